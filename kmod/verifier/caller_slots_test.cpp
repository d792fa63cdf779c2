// SPDX-License-Identifier: GPL-2.0-only
// Slots of callers that nobody reads any more do not keep paths apart inside their callees.
#include "verifier/caller_rows.h"

namespace modbpf::test {

namespace {

unsigned long processed(const prog &p) {
    outcome out = check(p, {.verify_only = true});
    EXPECT_EQ(out.err, 0) << out.log;
    unsigned long n = 0;
    size_t at = out.log.rfind("processed ");
    EXPECT_TRUE(at != std::string::npos && sscanf(out.log.c_str() + at, "processed %lu", &n) == 1);
    return n;
}

/// A callee reads the slot before it dawdles (`early`) or behind that.
prog reads(bool early, u32 depth) {
    std::vector<caller_part> parts{{value_in_slot(40), {}}};
    for (u32 i = 1; i < depth; i++)
        parts.push_back({{mov(r5, 0)}, {}});
    prog idle;
    for (int i = 0; i < 4; i++)
        idle = idle + dawdle;
    parts.push_back(early ? caller_part{read_by(r1), idle} : caller_part{idle, read_by(r1)});
    return call_chain(parts);
}

}  // namespace

TEST(CallerSlots, PathsMeetBehindTheLastRead) {
    for (u32 depth : {1u, 2u, 3u}) {
        unsigned long one_path = dawdle.size() * 4, early = processed(reads(true, depth)), late = processed(reads(false, depth));
        EXPECT_GT(late, early + one_path / 2) << depth << " calls: the paths that differ have to be followed to the read, and no farther";
    }
}

}  // namespace modbpf::test
