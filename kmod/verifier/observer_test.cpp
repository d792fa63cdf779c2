// SPDX-License-Identifier: GPL-2.0-only
// Tests of what verify() tells its observer: paths that fork, wait in a stack, go on and end.
#include "verifier/attack_rows.h"

namespace modbpf::test {

namespace {

struct seen {
    std::vector<u32> visits;
    std::vector<u32> waiting; ///< instruction of each path that waits
    int entries = 0, forks = 0, resumes = 0, ends = 0, pruned = 0, begun = 0;
    size_t insns = 0;
    bool sound = true;

    void path(path_event event, u32 insn, u32 place) {
        switch (event) {
        case path_event::entry: entries++; break;
        case path_event::forked:
            forks++;
            sound &= place == waiting.size();
            waiting.push_back(insn);
            break;
        case path_event::resumed:
            resumes++;
            sound &= place + 1 == waiting.size() && waiting.back() == insn;
            if (!waiting.empty())
                waiting.pop_back();
            break;
        case path_event::pruned: pruned++; break;
        case path_event::ended: ends++; break;
        }
    }
};

seen watch(const prog &p, options o, int *verdict, std::string *log = nullptr) {
    seen s;
    verify_observer watcher{
        .priv = &s,
        .state = [](void *self, u32 insn, const verifier_state &) { static_cast<seen *>(self)->visits.push_back(insn); return true; },
        .moved = [](void *, span<const u32>, span<const u8>) {},
        .begun = [](void *self, const verify_request &req) { static_cast<seen *>(self)->begun++, static_cast<seen *>(self)->insns = req.insns.size(); },
        .path = [](void *self, path_event e, u32 insn, u32 place) { static_cast<seen *>(self)->path(e, insn, place); }};
    o.observer = &watcher;
    outcome out = check(p, o);
    *verdict = out.err;
    if (log)
        *log = out.log;
    return s;
}

}  // namespace

TEST(Observer, PathsOfABranch) {
    int verdict;
    // r0 is unknown: both arms, and the second ends as the first does.
    prog p = prog{call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 7, 1), mov(r0, 1)} + ret0;
    seen s = watch(p, {}, &verdict);
    EXPECT_EQ(verdict, 0);
    EXPECT_TRUE(s.sound);
    EXPECT_EQ(s.begun, 1);
    EXPECT_EQ(s.insns, p.size());
    EXPECT_EQ(s.entries, 1);
    EXPECT_EQ(s.forks, 1);
    EXPECT_EQ(s.resumes, 1);
    EXPECT_EQ(s.ends, 2);
    EXPECT_EQ(s.visits.front(), 0u);
}

TEST(Observer, ARefusedPathDoesNotEnd) {
    int verdict;
    seen s = watch(prog{mov(r0, 0), ldx(BPF_DW, r0, r0, 0), exit_()}, {}, &verdict);
    EXPECT_EQ(verdict, EACCES);
    EXPECT_EQ(s.ends, 0);
    EXPECT_EQ(s.visits.back(), 1u);
    // Refused before exploration: begun, and nothing else.
    s = watch(prog{mov(r0, 0)}, {}, &verdict);
    EXPECT_EQ(verdict, EINVAL);
    EXPECT_EQ(s.begun, 1);
    EXPECT_TRUE(s.visits.empty());
}

/// Every row: paths wait in a stack; of an accepted program each path ends; the visits are those that the log counts.
TEST(Observer, Rows) {
    for (const auto &r : all_rows()) {
        int verdict;
        std::string log;
        seen s = watch(r.p, {.type = r.type, .flags = r.flags, .verify_only = true}, &verdict, &log); // the verdict alone
        EXPECT_EQ(verdict, r.err) << r.name;
        EXPECT_TRUE(s.sound) << r.name;
        EXPECT_LE(s.pruned, s.ends) << r.name;
        unsigned long processed = 0;
        size_t at = log.rfind("processed ");
        ASSERT_NE(at, std::string::npos) << r.name;
        EXPECT_EQ(sscanf(log.c_str() + at, "processed %lu", &processed), 1);
        EXPECT_EQ(s.visits.size(), processed) << r.name;
        if (!r.err) {
            EXPECT_EQ(s.forks, s.resumes) << r.name;
            EXPECT_EQ(s.ends, s.entries + s.resumes) << r.name;
        }
    }
}

}  // namespace modbpf::test
