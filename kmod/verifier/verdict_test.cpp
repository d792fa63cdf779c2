// SPDX-License-Identifier: GPL-2.0-only
// Runs the rows of verdict_rows.h, then again with pruning off, with the other arm first, with a checkpoint at each prune point,
// without log and with a short one: nothing of that may change a verdict.
#include "verifier/attack_rows.h"
#include "verifier/dynptr_rows.h"
#include "verifier/caller_rows.h"
#include "verifier/covering_rows.h"
#include "verifier/found_rows.h"

namespace modbpf::test {

namespace {

outcome run(const row &r, options o) {
    o.type = r.type;
    o.flags |= r.flags;
    o.verify_only = true; // the verdict counts, not whether modbpf has what the program calls
    return check(r.p, o);
}

}  // namespace

namespace {

std::vector<row> rows_and_attacks() {
    std::vector<row> all = all_rows();
    for (auto rows : {attack_rows, dynptr_rows, covering_rows, caller_rows, found_rows})
        for (auto &r : rows())
            all.push_back(r);
    return all;
}

}  // namespace

TEST(Verdict, Rows) {
    for (const auto &r : rows_and_attacks()) {
        auto out = run(r, {.log_level = BPF_LOG_LEVEL2});
        EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
        EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
        EXPECT_NE(out.log.find("processed "), std::string::npos) << r.name;
        EXPECT_EQ(out.log.find("verifier bug"), std::string::npos) << r.name;
    }
}

/// Where the maps of the tests are, and the values of those whose place is known to programs.
std::vector<u64> addresses_of_maps() {
    std::vector<u64> places;
    for (int fd = hash_fd; fd < last_fd; fd++) {
        map *m = verifier_maps::get().at(fd);
        places.push_back(addr_of(m));
        if (!m->ops->value_address)
            continue;
        if (auto values = m->ops->value_address(m, 0))
            places.push_back(*values);
    }
    return places;
}
/// Whether a number of `log`, hexadecimal or decimal, is within the first page of one of `places`.
bool shows_any(const std::string &log, const std::vector<u64> &places) {
    constexpr size_t digits_min = 9; // no user address of the tests has fewer
    for (size_t i = 0, end; i < log.size(); i = end + 1) {
        for (end = i; end < log.size() && isxdigit(static_cast<u8>(log[end])); end++)
            ;
        if (end - i < digits_min)
            continue;
        for (int base : {10, 16})
            for (u64 p : places)
                if (strtoull(log.c_str() + i, nullptr, base) - p < 4096)
                    return true;
    }
    return false;
}

// CVE-2026-72402: no log has an address of the kernel's, whoever asks: loads of maps show what the program names them by.
TEST(Verdict, NoAddressesInTheLog) {
    const std::vector<u64> places = addresses_of_maps();
    char some[64];
    snprintf(some, sizeof(some), "r1 = 0x%llx", static_cast<unsigned long long>(places.back() + 8));
    ASSERT_TRUE(shows_any(some, places));
    const prog map_and_value = ld_map(r6, hash_fd) + ld_value(r7, rodata_fd, 8) + ret0;
    for (bool perfmon : {false, true}) {
        auto out = check(map_and_value, {.log_level = BPF_LOG_LEVEL2, .perfmon = perfmon});
        EXPECT_EQ(out.err, 0) << out.log;
        EXPECT_FALSE(shows_any(out.log, places)) << out.log;
    }
    for (const auto &r : rows_and_attacks()) {
        auto out = run(r, {.log_level = BPF_LOG_LEVEL2 | BPF_LOG_STATS});
        EXPECT_FALSE(shows_any(out.log, places)) << r.name << "\n" << out.log;
    }
}

// V8: seven functions, each of which calls the next forty times in code that is never reached: 40^7 ways to the last one.
TEST(Verdict, DepthOfManyCallPaths) {
    constexpr s32 functions = 7, calls = 40, words = calls + 4;
    prog p;
    for (s32 f = 0; f < functions; f++) {
        p = p + prog{mov(r6, 0), jmp(BPF_JEQ, r6, 0, f + 1 < functions ? calls : 0)};
        for (s32 i = 0; i < calls && f + 1 < functions; i++)
            p.push_back(call_pc(words - 3 - i));
        p = p + ret0;
    }
    EXPECT_EQ(check(p).err, 0) << check(p).log;
}

// V4 and V9.
TEST(Verdict, DoesNotDependOnTheOrderOfTheSearchOrTheLog) {
    const options ways[] = {
        {.no_pruning = true}, {.other_arm_first = true}, {.flags = BPF_F_TEST_STATE_FREQ},
        {.flags = BPF_F_TEST_STATE_FREQ, .other_arm_first = true}, {.log_level = 0}, {.log_level = BPF_LOG_STATS},
        {.flags = BPF_F_TEST_REG_INVARIANTS, .log_level = BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2 | BPF_LOG_STATS, .log_size = 200},
    };
    for (const auto &r : rows_and_attacks())
        for (const auto &o : ways)
            EXPECT_EQ(run(r, o).err, r.err) << r.name << " flags " << o.flags << " no_pruning " << o.no_pruning << " other arm "
                                            << o.other_arm_first << " log level " << o.log_level;
}

// V9: every allocation fails once, and the answer is ENOMEM.
TEST(Verdict, FailedAllocations) {
    verifier_maps::get();
    for (const auto &r : all_rows()) {
        if (r.err || r.p.size() > 16)
            continue;
        for (u64 n = 1; n < 10000; n++) {
            port_fail_nth_set(n);
            auto out = run(r, {.log_level = 0});
            u64 counted = port_fail_nth_set(0);
            if (counted < n) {
                EXPECT_EQ(out.err, 0) << r.name;
                break;
            }
            EXPECT_EQ(out.err, ENOMEM) << r.name << " allocation " << n;
        }
    }
}

}  // namespace modbpf::test
