// SPDX-License-Identifier: GPL-2.0-only
// vec, own, ref, result, span: ownership, growth and allocation failure.
#include <gtest/gtest.h>

#include "base/memory.h"
#include "base/result.h"
#include "base/span.h"
#include "base/vec.h"

namespace modbpf {
namespace {

int alive = 0;
struct counted {
    int value = 0;
    counted() { alive++; }
    explicit counted(int v) : value(v) { alive++; }
    counted(counted &&o) noexcept : value(o.value) { alive++; }
    ~counted() { alive--; }
};
struct shared : refcounted<shared> {
    static void dispose(shared *s) { destroy(s); }
    counted c;
};

TEST(vec, grows_and_destroys_every_element) {
    {
        vec<counted> v;
        for (int i = 0; i < 1000; i++)
            ASSERT_TRUE(v.push(counted(i)).ok());
        EXPECT_EQ(alive, 1000);
        for (int i = 0; i < 1000; i++)
            ASSERT_EQ(v[static_cast<size_t>(i)].value, i);
        ASSERT_TRUE(v.resize(10).ok());
        EXPECT_EQ(alive, 10);
        vec<counted> w(move(v));
        EXPECT_EQ(v.size(), 0u);
        EXPECT_EQ(w.back().value, 9);
        w.pop();
        EXPECT_EQ(w.view().size(), 9u);
    }
    EXPECT_EQ(alive, 0);
}

TEST(vec, failed_growth_keeps_what_is_there) {
    {
        vec<counted> v;
        constexpr size_t full = 40; // more than the first block holds: no room is left behind them
        ASSERT_TRUE(v.resize(full).ok());
        port_fail_nth_set(1);
        EXPECT_EQ(v.push(counted(1)).code(), -ENOMEM);
        port_fail_nth_set(0);
        EXPECT_EQ(v.size(), full);
        EXPECT_TRUE(v.push(counted(1)).ok());
    }
    EXPECT_EQ(alive, 0);
}

TEST(vec, sizes_that_overflow_are_enomem) {
    vec<u64> v;
    EXPECT_EQ(v.reserve(~0ull / 4).code(), -ENOMEM);
    EXPECT_EQ(v.resize(~0ull / 8).code(), -ENOMEM);
    EXPECT_EQ(v.size(), 0u);
}

TEST(own, has_one_owner) {
    {
        own<counted> a(make<counted>(PORT_SLEEPING, 7));
        ASSERT_TRUE(a);
        own<counted> b(move(a));
        EXPECT_FALSE(a);
        EXPECT_EQ(b->value, 7);
        a = move(b);
        EXPECT_EQ(alive, 1);
        a = own<counted>();
        EXPECT_EQ(alive, 0);
    }
    port_fail_nth_set(1);
    EXPECT_EQ(make<counted>(PORT_SLEEPING, 7), nullptr);
    port_fail_nth_set(0);
    EXPECT_EQ(alive, 0);
}

TEST(ref, counts) {
    ref<shared> a(adopt, make<shared>(PORT_SLEEPING));
    EXPECT_EQ(a->refs(), 1u);
    {
        ref<shared> b = a, c(a.get());
        EXPECT_EQ(a->refs(), 3u);
        ref<shared> d(move(b));
        EXPECT_FALSE(b);
        EXPECT_EQ(a->refs(), 3u);
        d = d;
        EXPECT_EQ(a->refs(), 3u);
    }
    EXPECT_EQ(a->refs(), 1u);
    EXPECT_TRUE(a->try_get());
    a->put();
    shared *raw = a.release();
    EXPECT_EQ(alive, 1);
    raw->put();
    EXPECT_EQ(alive, 0);
}

result<own<counted>> produce(bool fail) {
    if (fail)
        return error(ENOENT);
    return own<counted>(make<counted>(PORT_SLEEPING, 3));
}
result<int> chain(bool fail) {
    own<counted> c = TRY(produce(fail));
    return c->value;
}

TEST(result, carries_a_value_or_an_errno) {
    auto good = chain(false);
    EXPECT_TRUE(good.ok());
    EXPECT_EQ(*good, 3);
    EXPECT_EQ(good.code(), 0);
    auto bad = chain(true);
    EXPECT_FALSE(bad.ok());
    EXPECT_EQ(bad.code(), -ENOENT);
    EXPECT_EQ(alive, 0);
}

TEST(span, views) {
    int a[] = {1, 2, 3, 4};
    span<int> s(a);
    span<const int> c = s;
    EXPECT_EQ(c.size(), 4u);
    EXPECT_EQ(c.sub(1, 2)[1], 3);
    EXPECT_EQ(c.from(3).size(), 1u);
    EXPECT_TRUE(c.from(4).empty());
}

TEST(types, arithmetic) {
    EXPECT_EQ(align_up(0, 8), 0u);
    EXPECT_EQ(align_up(1, 8), 8u);
    EXPECT_EQ(align_up(8, 8), 8u);
    EXPECT_EQ(align_up(~0ull, 8), 0u);
    EXPECT_TRUE(is_pow2(1) && is_pow2(1ull << 63));
    EXPECT_FALSE(is_pow2(0) || is_pow2(6));
}

}  // namespace
}  // namespace modbpf
