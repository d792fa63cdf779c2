// SPDX-License-Identifier: GPL-2.0-only
// tnum: exhaustive at 6 bits (every pair of tnums, every pair of their values), random at 64.
#include "verifier/tnum.h"

#include <gtest/gtest.h>

namespace modbpf {
namespace {

using tiny = basic_tnum<u64, 6>;
constexpr u64 ones6 = 63;

std::vector<tiny> all_tiny() {
    std::vector<tiny> out;
    for (u64 mask = 0; mask <= ones6; mask++)
        for (u64 value = 0; value <= ones6; value++)
            if (!(value & mask))
                out.push_back({value, mask});
    return out;
}

template <class F> void each_value(const tiny &t, F f) {
    for (u64 sub = t.mask;; sub = (sub - 1) & t.mask) {
        f(t.value | sub);
        if (!sub)
            break;
    }
}

/// Every value of op(a, b) is in the result, and the result is a proper tnum of the width.
template <class A, class C> void exhaustive(A abstract, C concrete) {
    const auto all = all_tiny();
    ASSERT_EQ(all.size(), 729u);
    u64 lost = 0, improper = 0;
    for (const tiny &a : all)
        for (const tiny &b : all) {
            tiny r = abstract(a, b);
            improper += !r.valid() || (r.value | r.mask) > ones6;
            each_value(a, [&](u64 x) { each_value(b, [&](u64 y) { lost += !r.contains(concrete(x, y) & ones6); }); });
        }
    EXPECT_EQ(lost, 0u);
    EXPECT_EQ(improper, 0u);
}

TEST(tnum, add_is_sound) {
    exhaustive([](tiny a, tiny b) { return tnum_add(a, b); }, [](u64 x, u64 y) { return x + y; });
}
TEST(tnum, sub_is_sound) {
    exhaustive([](tiny a, tiny b) { return tnum_sub(a, b); }, [](u64 x, u64 y) { return x - y; });
}
TEST(tnum, mul_is_sound) {
    exhaustive([](tiny a, tiny b) { return tnum_mul(a, b); }, [](u64 x, u64 y) { return x * y; });
}
TEST(tnum, and_is_sound) {
    exhaustive([](tiny a, tiny b) { return tnum_and(a, b); }, [](u64 x, u64 y) { return x & y; });
}
TEST(tnum, or_is_sound) {
    exhaustive([](tiny a, tiny b) { return tnum_or(a, b); }, [](u64 x, u64 y) { return x | y; });
}
TEST(tnum, xor_is_sound) {
    exhaustive([](tiny a, tiny b) { return tnum_xor(a, b); }, [](u64 x, u64 y) { return x ^ y; });
}

/// and, or, xor, add and sub are the most precise possible: the result is the union of all concrete results.
template <class A, class C> void optimal(A abstract, C concrete) {
    u64 loose = 0;
    for (const tiny &a : all_tiny())
        for (const tiny &b : all_tiny()) {
            u64 zeros = ones6, any = 0;
            each_value(a, [&](u64 x) {
                each_value(b, [&](u64 y) {
                    u64 r = concrete(x, y) & ones6;
                    zeros &= r, any |= r;
                });
            });
            tiny best{zeros, any & ~zeros}, r = abstract(a, b);
            loose += !(best == r);
        }
    EXPECT_EQ(loose, 0u);
}
TEST(tnum, bitwise_and_sums_are_optimal) {
    optimal([](tiny a, tiny b) { return tnum_and(a, b); }, [](u64 x, u64 y) { return x & y; });
    optimal([](tiny a, tiny b) { return tnum_or(a, b); }, [](u64 x, u64 y) { return x | y; });
    optimal([](tiny a, tiny b) { return tnum_xor(a, b); }, [](u64 x, u64 y) { return x ^ y; });
    optimal([](tiny a, tiny b) { return tnum_add(a, b); }, [](u64 x, u64 y) { return x + y; });
    optimal([](tiny a, tiny b) { return tnum_sub(a, b); }, [](u64 x, u64 y) { return x - y; });
}

TEST(tnum, shifts_and_neg_are_sound) {
    u64 lost = 0;
    for (const tiny &a : all_tiny()) {
        each_value(a, [&](u64 x) { lost += !tnum_neg(a).contains((0 - x) & ones6); });
        for (unsigned n = 0; n < 6; n++) {
            tiny l = tnum_lshift(a, n), r = tnum_rshift(a, n), s = tnum_arshift(a, n, 6);
            each_value(a, [&](u64 x) {
                lost += !l.contains((x << n) & ones6);
                lost += !r.contains(x >> n);
                s64 wide = static_cast<s64>(x << 58) >> 58;
                lost += !s.contains(static_cast<u64>(wide >> n) & ones6);
            });
            if (n < 3) { // the low half by itself; the rest becomes zero
                tiny h = tnum_arshift(a, n, 3);
                each_value(a, [&](u64 x) {
                    s64 wide = static_cast<s64>(x << 61) >> 61;
                    lost += !h.contains(static_cast<u64>(wide >> n) & 7);
                });
                EXPECT_EQ(h.value >> 3 | h.mask >> 3, 0u);
            }
        }
    }
    EXPECT_EQ(lost, 0u);
}

TEST(tnum, lattice_operations_mean_what_they_say) {
    const auto all = all_tiny();
    for (const tiny &a : all)
        for (const tiny &b : all) {
            bool overlap = false, subset = true;
            tiny u = tnum_union(a, b), i = tnum_intersect(a, b);
            u64 common = 0;
            for (u64 x = 0; x <= ones6; x++) {
                bool in_a = a.contains(x), in_b = b.contains(x);
                overlap |= in_a && in_b;
                subset &= !in_b || in_a;
                common += in_a && in_b;
                ASSERT_TRUE(!(in_a || in_b) || u.contains(x));
                ASSERT_TRUE(!(in_a && in_b) || i.contains(x));
            }
            ASSERT_EQ(tnum_overlap(a, b), overlap);
            ASSERT_EQ(tnum_in(a, b), subset);
            if (overlap) {
                ASSERT_EQ(common, 1u << __builtin_popcountll(i.mask)); // exact
            }
        }
}

TEST(tnum, meets_a_range_where_it_has_a_number) {
    for (u64 mask = 0; mask <= ones6; mask++)
        for (u64 value = 0; value <= ones6; value++) {
            if (value & mask)
                continue;
            tiny t{value, mask};
            for (u64 lo = 0; lo <= ones6; lo++) {
                bool any = false;
                for (u64 hi = lo; hi <= ones6; hi++) {
                    any |= t.contains(hi);
                    ASSERT_EQ(tnum_meets(t, lo, hi), any) << value << ' ' << mask << ' ' << lo << ' ' << hi;
                }
            }
        }
    EXPECT_FALSE(tnum_meets(tnum{13, 16}, u64(14), u64(24)));
    EXPECT_TRUE(tnum_meets(tnum{13, 16}, u64(14), u64(29)));
    EXPECT_TRUE(tnum_meets(tnum::unknown(), ~0ull, ~0ull));
}

TEST(tnum, range_is_the_smallest_that_holds_the_range) {
    for (u64 lo = 0; lo <= ones6; lo++)
        for (u64 hi = lo; hi <= ones6; hi++) {
            tiny r = tiny::range(lo, hi);
            for (u64 x = lo; x <= hi; x++)
                ASSERT_TRUE(r.contains(x));
            if (lo == hi) {
                ASSERT_TRUE(r.is_const());
                continue;
            }
            u64 top = 1ull << (63 - __builtin_clzll(lo ^ hi)); // the highest bit that differs is unknown, none above is
            ASSERT_TRUE(r.mask & top);
            ASSERT_EQ(r.mask, 2 * top - 1);
        }
    EXPECT_EQ(tnum::range(0, ~0ull), tnum::unknown());
    EXPECT_EQ(tnum::range(1ull << 63, ~0ull), (tnum{1ull << 63, (1ull << 63) - 1}));
}

TEST(tnum, halves_and_truncation) {
    tnum t{0x1234567800000001, 0x00000000000000f0};
    EXPECT_EQ(tnum_subreg(t), (tnum{1, 0xf0}));
    EXPECT_EQ(tnum_clear_subreg(t), tnum::constant(0x1234567800000000));
    EXPECT_EQ(tnum_with_subreg(t, tnum::constant(0xffffffff99999999)), tnum::constant(0x1234567899999999));
    EXPECT_EQ(tnum_const_subreg(t, 7), tnum::constant(0x1234567800000007));
    EXPECT_EQ(tnum_cast(tnum::unknown(), 1), (tnum{0, 0xff}));
    EXPECT_EQ(tnum_cast(t, 8), t);
    for (const tiny &a : all_tiny())
        each_value(a, [&](u64 x) { ASSERT_TRUE(tnum_truncate(a, 4).contains(x & 15)); });
}

TEST(tnum, alignment) {
    EXPECT_TRUE(tnum_is_aligned(tnum{8, 0xf0}, 8));
    EXPECT_FALSE(tnum_is_aligned(tnum{8, 0xf4}, 8));
    EXPECT_FALSE(tnum_is_aligned(tnum{12, 0}, 8));
    EXPECT_TRUE(tnum_is_aligned(tnum::unknown(), 1));
    EXPECT_TRUE(tnum_is_aligned(tnum::unknown(), 0));
}

// At 64 bits: values drawn from random tnums with runs of unknown bits at every position.
TEST(tnum, random_at_64_bits) {
    u64 s = 0x9e3779b97f4a7c15;
    auto rnd = [&] {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        return s;
    };
    u64 lost = 0;
    for (int i = 0; i < 200000; i++) {
        u64 x = rnd() >> (rnd() % 64), y = rnd() >> (rnd() % 64);
        u64 mx = rnd() & rnd() >> (rnd() % 64), my = rnd() & rnd() & rnd();
        tnum a{x & ~mx, mx}, b{y & ~my, my};
        unsigned n = rnd() % 64;
        lost += !tnum_add(a, b).contains(x + y) || !tnum_sub(a, b).contains(x - y) || !tnum_mul(a, b).contains(x * y);
        lost += !tnum_and(a, b).contains(x & y) || !tnum_or(a, b).contains(x | y) || !tnum_xor(a, b).contains(x ^ y);
        lost += !tnum_lshift(a, n).contains(x << n) || !tnum_rshift(a, n).contains(x >> n);
        lost += !tnum_arshift(a, n, 64).contains(static_cast<u64>(static_cast<s64>(x) >> n));
        lost += !tnum_arshift(a, n % 32, 32).contains(static_cast<u32>(static_cast<s32>(x) >> (n % 32)));
        lost += !tnum_union(a, b).contains(x) || !tnum_neg(a).contains(0 - x);
    }
    EXPECT_EQ(lost, 0u);
}

}  // namespace
}  // namespace modbpf
