// SPDX-License-Identifier: GPL-2.0-only
// scalar: soundness of every operation at small widths against all numbers, and at 64 bits at random.
#include "verifier/scalar.h"

#include <gtest/gtest.h>
#include <cstdlib>
#include <vector>

#include "verifier/scalar_branch.h"
#include "verifier/scalar_impl.h"
#include "verifier/small_int_test.h"

namespace modbpf {
namespace {

template <unsigned N>
using mini = basic_scalar<small_uint<N>, small_sint<N>, small_uint<N / 2>, small_sint<N / 2>, N>;

struct random_source {
    u64 s = 88172645463325252ull;
    u64 operator()() {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        return s;
    }
    u64 below(u64 n) { return (*this)() % n; }
};

constexpr u8 alu_ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_ARSH};
constexpr u8 jump_ops[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE};

/// The low `bytes` bytes of x, in the other order if `reverse`.
u64 run_swap(u64 x, u32 bytes, bool reverse) {
    u64 out = 0;
    for (u32 i = 0; i < bytes; i++)
        out |= (x >> i * 8 & 0xff) << (reverse ? bytes - 1 - i : i) * 8;
    return out;
}

/// What the machine does with an N-bit operation; DIV and MOD as the instruction set defines them for 0.
u64 run_alu(u8 op, unsigned n, u64 x, u64 y) {
    u64 mask = n == 64 ? ~0ull : (1ull << n) - 1;
    x &= mask, y &= mask;
    unsigned k = static_cast<unsigned>(y & (n - 1));
    s64 sx = static_cast<s64>(x << (64 - n)) >> (64 - n);
    switch (op) {
    case BPF_ADD: x += y; break;
    case BPF_SUB: x -= y; break;
    case BPF_MUL: x *= y; break;
    case BPF_DIV: x = y ? x / y : 0; break;
    case BPF_MOD: x = y ? x % y : x; break;
    case BPF_OR: x |= y; break;
    case BPF_AND: x &= y; break;
    case BPF_XOR: x ^= y; break;
    case BPF_LSH: x <<= k; break;
    case BPF_RSH: x >>= k; break;
    case BPF_ARSH: x = static_cast<u64>(sx >> k); break;
    }
    return x & mask;
}

bool run_jump(u8 op, unsigned n, u64 x, u64 y) {
    x <<= 64 - n, y <<= 64 - n;
    s64 sx = static_cast<s64>(x), sy = static_cast<s64>(y);
    switch (op) {
    case BPF_JEQ: return x == y;
    case BPF_JNE: return x != y;
    case BPF_JGT: return x > y;
    case BPF_JGE: return x >= y;
    case BPF_JLT: return x < y;
    case BPF_JLE: return x <= y;
    case BPF_JSGT: return sx > sy;
    case BPF_JSGE: return sx >= sy;
    case BPF_JSLT: return sx < sy;
    case BPF_JSLE: return sx <= sy;
    default: return x & y;
    }
}

/// An abstract value with the numbers that are in it, in order.
template <unsigned N> struct sample {
    mini<N> v;
    std::vector<u64> members;
};
template <unsigned N> sample<N> sample_of(mini<N> v) {
    sample<N> s{v, {}};
    for (u64 x = 0; x < 1ull << N; x++)
        if (v.contains(small_uint<N>(x)))
            s.members.push_back(x);
    return s;
}

/// All unsigned and signed ranges of 4 bits, synchronised, without duplicates.
std::vector<sample<4>> all_ranges4() {
    std::vector<sample<4>> out;
    for (int sign = 0; sign < 2; sign++)
        for (int lo = 0; lo < 16; lo++)
            for (int hi = lo; hi < 16; hi++) {
                auto v = mini<4>::unknown();
                if (sign)
                    v.smin = small_sint<4>(lo - 8), v.smax = small_sint<4>(hi - 8);
                else
                    v.umin = small_uint<4>(lo), v.umax = small_uint<4>(hi);
                scalar_impl::sync(v);
                bool known = false;
                for (const auto &o : out)
                    known |= scalar_impl::subset(o.v, v) && scalar_impl::subset(v, o.v);
                if (!known)
                    out.push_back(sample_of<4>(v));
            }
    return out;
}

/// Random constraints of all kinds at once, around a number that meets them.
template <unsigned N> sample<N> random_sample(random_source &rnd) {
    using V = mini<N>;
    auto v = V::unknown();
    u64 x = rnd.below(1ull << N);
    auto range = [&](auto &lo, auto &hi, auto at) {
        using T = decltype(at);
        T a(rnd()), b(rnd());
        if (b < a)
            swap(a, b);
        if (rnd.below(2) && a <= at && at <= b)
            lo = a, hi = b;
    };
    range(v.umin, v.umax, typename V::word(x));
    range(v.smin, v.smax, typename V::sword(x));
    range(v.u32_min, v.u32_max, typename V::half(x));
    range(v.s32_min, v.s32_max, typename V::shalf(x));
    if (rnd.below(2)) {
        u64 mask = rnd() & ((1ull << N) - 1);
        v.bits = {typename V::word(x & ~mask), typename V::word(mask)};
    }
    if (rnd.below(8) == 0)
        v = V::constant(typename V::word(x));
    auto exact = sample_of<N>(v);
    scalar_impl::sync(v);
    auto synced = sample_of<N>(v);
    EXPECT_EQ(exact.members, synced.members) << "sync lost or found a number";
    EXPECT_TRUE(v.valid());
    return synced;
}

template <unsigned N> void expect_members(const mini<N> &r, const std::vector<bool> &reached, const char *what, int op) {
    for (u64 x = 0; x < reached.size(); x++)
        if (reached[x]) {
            ASSERT_TRUE(r.contains(small_uint<N>(x))) << what << " op " << op << " lost " << x;
        }
}

template <unsigned N> void check_alu(const sample<N> &a, const sample<N> &b) {
    for (u8 op : alu_ops)
        for (bool alu32 : {false, true}) {
            std::vector<bool> reached(1u << N);
            for (u64 x : a.members)
                for (u64 y : b.members)
                    reached[run_alu(op, alu32 ? N / 2 : N, x, y)] = true;
            auto r = scalar_impl::alu(op, alu32, a.v, b.v);
            ASSERT_TRUE(r.valid());
            expect_members<N>(r, reached, alu32 ? "alu32" : "alu64", op);
        }
}

/// The members of `s` that are no longer in `v`.
template <unsigned N> std::vector<bool> lost_from(const sample<N> &s, const mini<N> &v) {
    std::vector<bool> lost(1u << N);
    for (u64 x : s.members)
        lost[x] = !v.contains(small_uint<N>(x));
    return lost;
}

template <unsigned N> void check_jump(const sample<N> &a, const sample<N> &b, u8 op, bool jmp32) {
    auto d = scalar_impl::decide(op, jmp32, a.v, b.v);
    auto ta = a.v, tb = b.v, fa = a.v, fb = b.v;
    bool may_take = scalar_impl::assume(op, jmp32, ta, tb), may_pass = scalar_impl::assume_not(op, jmp32, fa, fb);
    auto lost_ta = lost_from(a, ta), lost_tb = lost_from(b, tb), lost_fa = lost_from(a, fa), lost_fb = lost_from(b, fb);
    bool takes = false, passes = false, lost = false;
    for (u64 x : a.members)
        for (u64 y : b.members) {
            bool taken = run_jump(op, jmp32 ? N / 2 : N, x, y);
            takes |= taken, passes |= !taken;
            lost |= taken ? lost_ta[x] || lost_tb[y] : lost_fa[x] || lost_fb[y];
        }
    ASSERT_FALSE((takes && d == branch::not_taken) || (passes && d == branch::taken)) << int(op) << " jmp32 " << jmp32;
    ASSERT_FALSE((takes && !may_take) || (passes && !may_pass)) << int(op) << " jmp32 " << jmp32;
    ASSERT_FALSE(lost) << int(op) << " jmp32 " << jmp32;
    ASSERT_TRUE(!may_take || (ta.valid() && tb.valid()));
    ASSERT_TRUE(!may_pass || (fa.valid() && fb.valid()));
}

template <unsigned N> void check_jumps(const sample<N> &a, const sample<N> &b) {
    for (u8 op : jump_ops)
        for (bool jmp32 : {false, true})
            check_jump<N>(a, b, op, jmp32);
}

template <unsigned N> void check_extensions(const sample<N> &a) {
    for (unsigned bits = 1; bits < N; bits++) {
        std::vector<bool> z(1u << N), s(1u << N), h(1u << N);
        u64 mask = (1ull << N) - 1, half = (1ull << N / 2) - 1;
        for (u64 x : a.members) {
            u64 extended = static_cast<u64>(static_cast<s64>(x << (64 - bits)) >> (64 - bits));
            z[x & ((1ull << bits) - 1)] = true, s[extended & mask] = true, h[extended & half] = true;
        }
        expect_members<N>(scalar_impl::zero_extend(a.v, bits), z, "zext", static_cast<int>(bits));
        if (bits <= N / 2)
            expect_members<N>(scalar_impl::sign_extend(a.v, bits), s, "sext", static_cast<int>(bits));
        if (bits < N / 2)
            expect_members<N>(scalar_impl::sign_extend_half(a.v, bits), h, "sext32", static_cast<int>(bits));
    }
}

/// Every pair of the ranges with MODBPF_TEST_FULL=1, otherwise a ninth of the pairs, in which every range occurs.
template <class F> void each_pair_of_ranges(F f) {
    const auto all = all_ranges4();
    EXPECT_GT(all.size(), 150u);
    const size_t stride = getenv("MODBPF_TEST_FULL") ? 1 : 9;
    for (size_t i = 0; i < all.size(); i++)
        for (size_t j = i % stride; j < all.size(); j += stride) {
            f(all[i], all[j]);
            if (testing::Test::HasFatalFailure())
                return;
        }
}

TEST(scalar_small, alu_on_ranges_of_4_bits) {
    each_pair_of_ranges([](const auto &a, const auto &b) { check_alu<4>(a, b); });
}

TEST(scalar_small, jumps_on_ranges_of_4_bits) {
    each_pair_of_ranges([](const auto &a, const auto &b) { check_jumps<4>(a, b); });
}

TEST(scalar_small, random_values_of_8_bits) {
    random_source rnd;
    for (int i = 0; i < 100 && !HasFatalFailure(); i++) {
        auto a = random_sample<8>(rnd), b = random_sample<8>(rnd);
        check_alu<8>(a, b);
        check_jumps<8>(a, b);
        check_extensions<8>(a);
    }
}

TEST(scalar_small, shifts_by_every_constant) {
    random_source rnd;
    for (int i = 0; i < 60 && !HasFatalFailure(); i++) {
        auto a = random_sample<8>(rnd);
        for (u64 n = 0; n < 10; n++)
            check_alu<8>(a, sample_of<8>(mini<8>::constant(small_uint<8>(n))));
    }
}

TEST(scalar_small, subset_means_subset) {
    random_source rnd;
    int inside = 0;
    for (int i = 0; i < 10000; i++) {
        auto a = random_sample<6>(rnd), b = random_sample<6>(rnd);
        if (!scalar_impl::subset(a.v, b.v))
            continue;
        inside++;
        for (u64 x : a.members)
            ASSERT_TRUE(b.v.contains(small_uint<6>(x)));
    }
    EXPECT_GT(inside, 100);
}

// ---- 64 bits ------------------------------------------------------------------------------------------------

constexpr u64 edges[] = {
    0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x17fffffff,
    0x7fffffffffffffff, 0x8000000000000000, 0xffffffff00000000, 0xffffffff7fffffff, 0xffffffff80000000, ~0ull - 1, ~0ull,
};

u64 random_value(random_source &rnd) {
    switch (rnd.below(6)) {
    case 0:
    case 1: return edges[rnd.below(count_of(edges))];
    case 2: return edges[rnd.below(count_of(edges))] + rnd.below(17) - 8;
    case 3: return rnd.below(64);
    case 4: return 0 - rnd.below(64);
    default: return rnd() >> rnd.below(64);
    }
}

/// A valid scalar with *x in it.
scalar random_scalar(random_source &rnd, u64 *x) {
    u64 v = *x = random_value(rnd);
    scalar s = scalar::unknown();
    if (rnd.below(8) == 0)
        return scalar::constant(v);
    if (rnd.below(2)) {
        u64 mask = rnd() >> rnd.below(64) & (rnd.below(2) ? ~0ull : rnd());
        s.bits = {v & ~mask, mask};
    }
    auto range = [&](auto &lo, auto &hi, auto at) {
        auto a = static_cast<decltype(at)>(random_value(rnd)), b = static_cast<decltype(at)>(random_value(rnd));
        if (b < a)
            swap(a, b);
        if (rnd.below(2) && a <= at && at <= b)
            lo = a, hi = b;
    };
    range(s.umin, s.umax, v);
    range(s.smin, s.smax, static_cast<s64>(v));
    range(s.u32_min, s.u32_max, static_cast<u32>(v));
    range(s.s32_min, s.s32_max, static_cast<s32>(v));
    scalar_sync(s);
    EXPECT_TRUE(s.valid() && s.contains(v));
    return s;
}

TEST(scalar64, random_alu) {
    random_source rnd;
    for (int i = 0; i < 300000; i++) {
        u64 x, y;
        scalar a = random_scalar(rnd, &x), b = random_scalar(rnd, &y);
        u8 op = alu_ops[rnd.below(count_of(alu_ops))];
        bool alu32 = rnd.below(2);
        if (rnd.below(3) == 0)
            b = scalar::constant(y = rnd.below(alu32 ? 32 : 64));
        scalar r = scalar_alu(op, alu32, false, a, b);
        ASSERT_TRUE(r.valid());
        ASSERT_TRUE(r.contains(run_alu(op, alu32 ? 32 : 64, x, y))) << int(op) << " alu32 " << alu32 << " " << x << " " << y;
        u32 bytes = 1u << rnd.below(3);
        u64 ext = static_cast<u64>(static_cast<s64>(x << (64 - bytes * 8)) >> (64 - bytes * 8));
        ASSERT_TRUE(scalar_zext(a, bytes).contains(bytes == 4 ? static_cast<u32>(x) : x & ((1u << bytes * 8) - 1)));
        ASSERT_TRUE(scalar_sext(a, bytes).contains(ext));
        ASSERT_TRUE(scalar_sext32(a, bytes).contains(static_cast<u32>(ext)));
        ASSERT_TRUE(scalar_neg(alu32, a).contains(0 - x));
        scalar n = rnd.below(2) ? a : scalar::constant(x);
        u32 half = 2u << rnd.below(3);
        for (bool reverse : {false, true})
            ASSERT_TRUE(scalar_swap(half, reverse, n).contains(run_swap(x, half, reverse))) << half << " " << reverse << " " << x;
    }
}

TEST(scalar64, random_jumps) {
    random_source rnd;
    for (int i = 0; i < 300000; i++) {
        u64 x, y;
        scalar a = random_scalar(rnd, &x), b = random_scalar(rnd, &y);
        u8 op = jump_ops[rnd.below(count_of(jump_ops))];
        bool jmp32 = rnd.below(2), taken = run_jump(op, jmp32 ? 32 : 64, x, y);
        ASSERT_NE(scalar_branch(op, jmp32, a, b), taken ? branch::not_taken : branch::taken);
        ASSERT_TRUE(taken ? scalar_assume(op, jmp32, a, b) : scalar_assume_not(op, jmp32, a, b));
        ASSERT_TRUE(a.valid() && b.valid() && a.contains(x) && b.contains(y)) << int(op) << " jmp32 " << jmp32;
    }
}

TEST(scalar64, flip_swaps_operands) {
    random_source rnd;
    for (u8 op : jump_ops)
        for (int i = 0; i < 200; i++) {
            u64 x = random_value(rnd), y = random_value(rnd);
            ASSERT_EQ(run_jump(op, 64, x, y), run_jump(branch_flip(op), 64, y, x));
        }
}

TEST(scalar64, unknown_constant_and_equality) {
    EXPECT_TRUE(scalar::unknown().is_unknown());
    EXPECT_FALSE(scalar::constant(3).is_unknown());
    EXPECT_TRUE(scalar::constant(3).is_const32());
    scalar s = scalar::constant(~0ull);
    EXPECT_EQ(s.smin, -1);
    EXPECT_EQ(s.s32_max, -1);
    EXPECT_TRUE(scalar_subset(s, scalar::unknown()));
    EXPECT_FALSE(scalar_subset(scalar::unknown(), s));
    EXPECT_TRUE(scalar_equal(s, scalar::constant(~0ull)));
    EXPECT_FALSE(scalar_equal(s, scalar::constant(0)));
    s.umin = 0;
    EXPECT_FALSE(s.valid()); // a constant whose range is wider
}

}  // namespace
TEST(Scalar, TheShortWaysGiveWhatTheLongOneDoes) {
    std::vector<scalar> values;
    for (u64 c : {0ull, 1ull, 7ull, 0x7fffffffull, 0x80000000ull, 0xffffffffull, 0x100000000ull, 0x7fffffffffffffffull, 0x8000000000000000ull, ~0ull})
        values.push_back(scalar::constant(c));
    for (u32 bytes : {1u, 2u, 4u, 8u})
        values.push_back(scalar_of_bytes(bytes));
    scalar known = scalar::constant(200), any = scalar::unknown(), high = any;
    EXPECT_TRUE(scalar_assume(BPF_JGT, false, any, known)); // nothing is known of the low half alone
    values.push_back(any);
    any = scalar::unknown();
    EXPECT_TRUE(scalar_assume(BPF_JSGT, true, any, known)); // of the low half something is
    values.push_back(any);
    values.push_back(scalar_alu(BPF_LSH, false, false, high, scalar::constant(32)));
    values.push_back(scalar_alu(BPF_AND, false, false, high, scalar::constant(~1ull)));
    for (u8 op : alu_ops)
        for (bool alu32 : {false, true})
            for (const scalar &a : values)
                for (const scalar &b : values)
                    EXPECT_TRUE(scalar_equal(scalar_alu(op, alu32, false, a, b), scalar_impl::alu<scalar>(op, alu32, a, b))) << int(op) << alu32;
    for (const scalar &a : values)
        for (u32 bytes : {1u, 2u, 4u})
            EXPECT_TRUE(scalar_equal(scalar_zext(a, bytes), scalar_impl::zero_extend(a, bytes * 8))) << bytes;
}

TEST(Scalar, LoadedNumbersAreZeroExtendedUnknownOnes) {
    for (u32 bytes : {1u, 2u, 4u, 8u})
        EXPECT_TRUE(scalar_equal(scalar_of_bytes(bytes), scalar_zext(scalar::unknown(), bytes))) << bytes;
}

}  // namespace modbpf
