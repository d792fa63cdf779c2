// SPDX-License-Identifier: GPL-2.0-only
// What the tests of maps share: a map that is put and freed at the end of the test, and program-like sections.
#pragma once

#include "base/errno.h"
#include "maps/map.h"
#include "port/user/user.h"

#include <gtest/gtest.h>

namespace modbpf {

inline map_params params_of(u32 type, u32 key_size, u32 value_size, u32 max_entries, u32 flags = 0) {
    return {.type = type, .key_size = key_size, .value_size = value_size, .max_entries = max_entries, .flags = flags};
}

/// 0 or -errno of the type's check.
inline int check_code(const map_params &p) {
    return find_map_ops(p.type)->check(p).code();
}

/// Creates and owns one map, with one user reference. `m` is null, and `error` set, when that failed.
class test_map {
public:
    explicit test_map(const map_params &p) : ops(find_map_ops(p.type)) {
        status checked = ops->check(p);
        error = checked.code();
        if (error)
            return;
        auto r = ops->create(p);
        error = r.code();
        if (r) {
            m = *r;
            m->user_get();
        }
    }
    ~test_map() {
        if (!m)
            return;
        m->user_put();
        m->put();
        map_free_barrier();
    }
    test_map(const test_map &) = delete;
    map *operator->() const { return m; }

    const map_ops *ops;
    map *m = nullptr;
    int error = 0;
};

/// Self-checks that failed since the current suite of tests began: others provoke some.
class bug_watch : public ::testing::EmptyTestEventListener {
public:
    void OnTestSuiteStart(const ::testing::TestSuite &) override { before_ = port_user_bug_count(); }
    static u64 count() { return port_user_bug_count() - watch_->before_; }

private:
    static bug_watch *append() {
        auto *w = new bug_watch; // gtest owns it
        ::testing::UnitTest::GetInstance()->listeners().Append(w);
        return w;
    }
    u64 before_ = 0;
    static inline bug_watch *const watch_ = append();
};

/// As a program runs: preemption off, inside RCU.
struct program_section {
    preempt_guard preempt;
    rcu_read_guard rcu;
};

}  // namespace modbpf
