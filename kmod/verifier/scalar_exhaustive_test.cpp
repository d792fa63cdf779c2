// SPDX-License-Identifier: GPL-2.0-only
// Ranges, exhaustively at 6 bits: every pair of unsigned ranges and every pair of signed ones through every operation and comparison, every
// combination of two parts of a value through sync(). A set of 6-bit numbers is a 64-bit mask, which makes that a matter of seconds.
// (selftests/prove proves the same at 64 bits, where it has z3.)
#include <gtest/gtest.h>
#include <vector>

#include "verifier/scalar_branch.h"
#include "verifier/scalar_impl.h"
#include "verifier/small_int_test.h"

namespace modbpf {
namespace {

constexpr unsigned bits = 6, half = 3;
constexpr u32 count = 1u << bits;
using number = basic_scalar<small_uint<bits>, small_sint<bits>, small_uint<half>, small_sint<half>, bits>;
using set = u64;

s32 as_signed(u32 x, unsigned n) { return static_cast<s32>(x << (32 - n)) >> (32 - n); }

/// The numbers in each tnum and each range, looked up by their ends.
struct meanings {
    set tnum[count][count], word[count][count], sword[count][count], low[8][8], slow[8][8];
    meanings() {
        fill(word, [](u32 x, u32 lo, u32 hi) { return lo <= x && x <= hi; });
        fill(tnum, [](u32 x, u32 value, u32 mask) { return (x & ~mask) == value; });
        fill(sword, [](u32 x, u32 lo, u32 hi) { return as_signed(lo, bits) <= as_signed(x, bits) && as_signed(x, bits) <= as_signed(hi, bits); });
        fill(low, [](u32 x, u32 lo, u32 hi) { return lo <= (x & 7) && (x & 7) <= hi; });
        fill(slow, [](u32 x, u32 lo, u32 hi) { return as_signed(lo, half) <= as_signed(x, half) && as_signed(x, half) <= as_signed(hi, half); });
    }
    template <u32 N, class F> static void fill(set (&table)[N][N], F in) {
        for (u32 a = 0; a < N; a++)
            for (u32 b = 0; b < N; b++)
                for (u32 x = table[a][b] = 0; x < count; x++)
                    table[a][b] |= set{in(x, a, b)} << x;
    }
    set of(const number &v) const {
        auto n = [](auto w) { return static_cast<u32>(w.v) & (count - 1); };
        return tnum[n(v.bits.value)][n(v.bits.mask)] & word[n(v.umin)][n(v.umax)] & sword[n(v.smin)][n(v.smax)] &
               low[n(v.u32_min) & 7][n(v.u32_max) & 7] & slow[n(v.s32_min) & 7][n(v.s32_max) & 7];
    }
};
const meanings &meaning() {
    static const meanings m;
    return m;
}

/// Of which order and part of the value a range is.
struct order {
    bool is_signed, is_half;
    constexpr unsigned width() const { return is_half ? half : bits; }
    constexpr u32 size() const { return 1u << width(); }
    /// The i-th number of the order.
    constexpr u32 at(u32 i) const { return is_signed ? (i - size() / 2) & (size() - 1) : i; }
    number range(u32 lo, u32 hi) const { // counted from the least number
        number v = number::unknown();
        s32 a = static_cast<s32>(is_signed ? lo - size() / 2 : lo), b = static_cast<s32>(is_signed ? hi - size() / 2 : hi);
        if (is_half && is_signed)
            v.s32_min = small_sint<half>(a), v.s32_max = small_sint<half>(b);
        else if (is_half)
            v.u32_min = small_uint<half>(a), v.u32_max = small_uint<half>(b);
        else if (is_signed)
            v.smin = small_sint<bits>(a), v.smax = small_sint<bits>(b);
        else
            v.umin = small_uint<bits>(a), v.umax = small_uint<bits>(b);
        return v;
    }
    /// All words whose part is x.
    set words(u32 x) const { return is_half ? 0x0101010101010101ull << x : set{1} << x; }
};
constexpr order orders[] = {{false, false}, {true, false}, {false, true}, {true, true}};

u32 run_alu(u8 op, unsigned n, u32 x, u32 y) {
    u32 all = (1u << n) - 1;
    x &= all, y &= all;
    switch (op) {
    case BPF_ADD: return (x + y) & all;
    case BPF_SUB: return (x - y) & all;
    case BPF_MUL: return (x * y) & all;
    case BPF_AND: return x & y;
    case BPF_OR: return x | y;
    default: return x ^ y;
    }
}

bool run_jump(u8 op, unsigned n, u32 x, u32 y) {
    x &= (1u << n) - 1, y &= (1u << n) - 1;
    s32 sx = as_signed(x, n), sy = as_signed(y, n);
    switch (op) {
    case BPF_JEQ: return x == y;
    case BPF_JSET: return x & y;
    case BPF_JGT: return x > y;
    case BPF_JGE: return x >= y;
    case BPF_JSGT: return sx > sy;
    default: return sx >= sy;
    }
}

/// Calls f(a, b, reached) for every pair of ranges, with the union of op(x, y) over x in a and y in b, until it returns false.
template <class Op, class F> void each_pair(order o, Op op, F f) {
    const u32 n = o.size();
    std::vector<set> by_first(n * n * n); // [x][lo][hi]: what x with some number of [lo, hi] gives
    std::vector<number> ranges(n * n);
    for (u32 lo = 0; lo < n; lo++)
        for (u32 hi = lo; hi < n; hi++) {
            ranges[lo * n + hi] = o.range(lo, hi);
            for (u32 x = 0; x < n; x++)
                by_first[(x * n + lo) * n + hi] = op(o.at(x), o.at(hi)) | (hi > lo ? by_first[(x * n + lo) * n + hi - 1] : 0);
        }
    for (u32 alo = 0; alo < n; alo++) {
        std::vector<set> reached(n * n);
        for (u32 ahi = alo; ahi < n; ahi++)
            for (u32 lo = 0; lo < n; lo++)
                for (u32 hi = lo; hi < n; hi++) {
                    set &s = reached[lo * n + hi];
                    s |= by_first[(ahi * n + lo) * n + hi];
                    if (!f(ranges[alo * n + ahi], ranges[lo * n + hi], s))
                        return;
                }
    }
}

TEST(scalar_exhaustive, arithmetic_on_every_pair_of_ranges) {
    const meanings &m = meaning();
    for (order o : orders)
        for (u8 op : {BPF_ADD, BPF_SUB, BPF_MUL, BPF_AND, BPF_OR, BPF_XOR})
            each_pair(o, [&](u32 x, u32 y) { return set{1} << run_alu(op, o.width(), x, y); },
                      [&](const number &a, const number &b, set reached) {
                          set lost = reached & ~m.of(scalar_impl::alu_unsettled(op, o.is_half, a, b));
                          EXPECT_EQ(lost, 0u) << int(op) << " signed " << o.is_signed << " half " << o.is_half;
                          return !lost;
                      });
}

TEST(scalar_exhaustive, shifts_of_every_range) {
    const meanings &m = meaning();
    for (order o : orders)
        for (u32 lo = 0; lo < o.size(); lo++)
            for (u32 hi = lo; hi < o.size(); hi++)
                for (u32 n = 0; n < o.width(); n++) {
                    number a = o.range(lo, hi), k = number::constant(small_uint<bits>(n));
                    set l = m.of(scalar_impl::alu(BPF_LSH, o.is_half, a, k)), r = m.of(scalar_impl::alu(BPF_RSH, o.is_half, a, k)),
                        s = m.of(scalar_impl::alu(BPF_ARSH, o.is_half, a, k));
                    u32 all = o.size() - 1;
                    for (u32 i = lo; i <= hi; i++) {
                        u32 x = o.at(i);
                        ASSERT_TRUE(l >> ((x << n) & all) & 1) << lo << ' ' << hi << ' ' << n;
                        ASSERT_TRUE(r >> (x >> n) & 1) << lo << ' ' << hi << ' ' << n;
                        ASSERT_TRUE(s >> (static_cast<u32>(as_signed(x, o.width()) >> n) & all) & 1) << lo << ' ' << hi << ' ' << n;
                    }
                }
}

void check_narrowing(order o, u8 op, bool taken, bool second) {
    const meanings &m = meaning();
    auto kept_by = [&](u32 x, u32 y) { return run_jump(op, o.width(), x, y) == taken ? o.words(second ? y : x) : 0; };
    each_pair(o, kept_by, [&](const number &a, const number &b, set kept) {
        number na = a, nb = b;
        bool possible = taken ? scalar_impl::refine(op, o.is_half, na, nb) : scalar_impl::refine_not(op, o.is_half, na, nb);
        set lost = possible ? kept & ~m.of(second ? nb : na) : kept;
        EXPECT_EQ(lost, 0u) << int(op) << " signed " << o.is_signed << " half " << o.is_half << " taken " << taken;
        return !lost;
    });
}

TEST(scalar_exhaustive, narrowing_of_every_pair_of_ranges) {
    for (order o : orders)
        for (u8 op : {BPF_JEQ, BPF_JSET, BPF_JGT, BPF_JGE, BPF_JSGT, BPF_JSGE}) {
            bool other_order = o.is_signed ? op == BPF_JGT || op == BPF_JGE || op == BPF_JSET : op == BPF_JSGT || op == BPF_JSGE;
            for (int way = 0; way < 4 && !other_order; way++) // a set has room for the numbers of one side
                check_narrowing(o, op, way & 1, way & 2);
        }
}

void check_sync(number v) {
    const meanings &m = meaning();
    set before = m.of(v);
    scalar_impl::sync(v);
    ASSERT_EQ(before & ~m.of(v), 0u) << "sync loses a number";
    ASSERT_TRUE(!before || scalar_impl::inhabited(v)) << "a value with a number is said to be empty";
}

TEST(scalar_exhaustive, sync_of_every_two_parts) {
    for (u32 lo = 0; lo < count && !HasFatalFailure(); lo++)
        for (u32 hi = lo; hi < count; hi++)
            for (bool is_signed : {false, true}) {
                number r = order{is_signed, false}.range(lo, hi);
                for (u32 mask = 0; mask < count; mask++) // with every tnum
                    for (u32 value = (count - 1) & ~mask;; value = (value - 1) & ~mask) {
                        number v = r;
                        v.bits = {small_uint<bits>(value), small_uint<bits>(mask)};
                        check_sync(v);
                        if (!value)
                            break;
                    }
                for (s32 a = 0; a < 8; a++) // with every range of the half
                    for (s32 b = a; b < 8; b++) {
                        number v = r;
                        v.u32_min = small_uint<half>(a), v.u32_max = small_uint<half>(b);
                        check_sync(v);
                        v = r;
                        v.s32_min = small_sint<half>(a - 4), v.s32_max = small_sint<half>(b - 4);
                        check_sync(v);
                    }
                for (u32 a = 0; !is_signed && a < count; a++) // with every range of the other order
                    for (u32 b = a; b < count; b++) {
                        number v = r, s = orders[1].range(a, b);
                        v.smin = s.smin, v.smax = s.smax;
                        check_sync(v);
                    }
            }
}

}  // namespace
}  // namespace modbpf
