// SPDX-License-Identifier: GPL-2.0-only
// Tnums: for all x in a and y in b, x op y is in op(a, b).
#include "claims.h"

namespace modbpf::prove {

namespace {

constexpr unsigned whole_mul_width = 8;

template <unsigned N, class A, class C> claim binary(const char *name, A abstract, C concrete) {
    return {name, N, [=](explorer &e) {
                z3::expr x = fresh("x", N), y = fresh("y", N);
                auto a = any_bits<N>(e, "a", x), b = any_bits<N>(e, "b", y);
                e.require(in<N>(concrete(x, y), abstract(a, b)), "the result has x op y");
            }};
}

template <class A, class C> claim unary(const char *name, A abstract, C concrete) {
    return {name, 64, [=](explorer &e) {
                z3::expr x = fresh("x", 64);
                auto a = any_bits<64>(e, "a", x);
                e.require(in<64>(concrete(x), abstract(a)), "the result has op x");
            }};
}

/// By every amount below `width`.
template <class A, class C> claim shift(const char *name, unsigned width, A abstract, C concrete) {
    return {name, 64, [=](explorer &e) {
                z3::expr x = fresh("x", 64), k = fresh("k", 64);
                e.assume(z3::ult(k, context().bv_val(width, 64)));
                auto a = any_bits<64>(e, "a", x);
                auto n = static_cast<unsigned>(e.choose(k));
                e.require(in<64>(concrete(x, context().bv_val(n, 64)), abstract(a, n)), "the result has x shifted");
            }};
}

z3::expr low_half(const z3::expr &x) { return z3::zext(x.extract(31, 0), 32); }

/// Long multiplication by induction over the rows. Before row i: P is the product of x's bits below i and y, K that of a's known ones
/// and b's known bits, and P - K is one of the numbers that acc stands for. The row keeps that, for every i.
void mul_row(explorer &e) {
    z3::expr x = fresh("x", 64), row_x = fresh("y << i", 64), k = fresh("i", 64);
    auto a = any_bits<64>(e, "a", x), row = any_bits<64>(e, "b << i", row_x);
    e.assume(z3::ult(k, context().bv_val(64, 64)));
    z3::expr difference = fresh("P - K", 64);
    uword<64> acc(fresh("acc", 64));
    e.assume((difference & ~acc.e) == 0);
    auto i = static_cast<unsigned>(e.choose(k));
    auto bit = [&](const z3::expr &w) { return w.extract(i, i) == context().bv_val(1, 1); };
    z3::expr zero = context().bv_val(0, 64);
    z3::expr more = z3::ite(bit(x), row_x, zero) - z3::ite(bit(a.value.e), row.value.e, zero);
    e.require(((difference + more) & ~tnum_mul_row(acc, a, row, i).e) == 0, "P - K is one of the numbers of acc");
}

void meets(explorer &e) {
    uword<64> lo(fresh("lo", 64)), hi(fresh("hi", 64));
    z3::expr x = fresh("x", 64);
    auto t = any_bits<64>(e, "t", x);
    e.assume(z3::ule(lo.e, x) && z3::ule(x, hi.e));
    if (!tnum_meets(t, lo, hi))
        e.unreachable("a number of t in the range, and the answer is no");
    e.require(in<64>(x, t), "the number is one");
}

void range(explorer &e) {
    z3::expr x = fresh("x", 64), lo = fresh("lo", 64), hi = fresh("hi", 64);
    e.assume(z3::ule(lo, x) && z3::ule(x, hi));
    e.require(in<64>(x, bits_of<64>::range(uword<64>(lo), uword<64>(hi))), "every number of the range is in it");
}

void intersect(explorer &e) {
    z3::expr x = fresh("x", 64);
    auto a = any_bits<64>(e, "a", x), b = any_bits<64>(e, "b", x);
    if (!tnum_overlap(a, b))
        e.unreachable("they share x, and are said to share nothing");
    e.require(in<64>(x, tnum_intersect(a, b)), "what is in both is in the intersection");
}

void join(explorer &e) {
    z3::expr x = fresh("x", 64), y = fresh("y", 64);
    auto a = any_bits<64>(e, "a", x), b = any_bits<64>(e, "b", y);
    e.require(in<64>(x, tnum_union(a, b)) && in<64>(y, tnum_union(a, b)), "what is in either is in the union");
}

void subset(explorer &e) {
    z3::expr x = fresh("x", 64);
    auto a = any_bits<64>(e, "a", x), b = any_bits<64>(e, "b", fresh("y", 64));
    if (tnum_in(b, a))
        e.require(in<64>(x, b), "what is in the inner is in the outer");
}

void contains(explorer &e) {
    z3::expr x = fresh("x", 64);
    auto a = any_bits<64>(e, "a", fresh("y", 64));
    bool has = a.contains(uword<64>(x));
    e.require(in<64>(x, a) == context().bool_val(has), "contains() means what the proofs mean");
}

template <unsigned N> claim truncate() {
    return unary(N == 8 ? "tnum truncate to 8" : N == 16 ? "tnum truncate to 16" : "tnum truncate to 32", [](auto a) { return tnum_truncate(a, N); },
                 [](const z3::expr &x) { return z3::zext(x.extract(N - 1, 0), 64 - N); });
}

}  // namespace

std::vector<claim> tnum_claims() {
    using e = z3::expr;
    return {
        binary<64>("tnum add", [](auto a, auto b) { return tnum_add(a, b); }, [](e x, e y) { return x + y; }),
        binary<64>("tnum sub", [](auto a, auto b) { return tnum_sub(a, b); }, [](e x, e y) { return x - y; }),
        binary<64>("tnum and", [](auto a, auto b) { return tnum_and(a, b); }, [](e x, e y) { return x & y; }),
        binary<64>("tnum or", [](auto a, auto b) { return tnum_or(a, b); }, [](e x, e y) { return x | y; }),
        binary<64>("tnum xor", [](auto a, auto b) { return tnum_xor(a, b); }, [](e x, e y) { return x ^ y; }),
        binary<64>("tnum with_subreg", [](auto a, auto b) { return tnum_with_subreg(a, b); },
                   [](e x, e y) { return z3::concat(x.extract(63, 32), y.extract(31, 0)); }),
        unary("tnum neg", [](auto a) { return tnum_neg(a); }, [](e x) { return -x; }),
        unary("tnum clear_subreg", [](auto a) { return tnum_clear_subreg(a); }, [](e x) { return x & context().bv_val(uint64_t{0xffffffff} << 32, 64); }),
        truncate<8>(),
        truncate<16>(),
        truncate<32>(),
        shift("tnum lshift", 64, [](auto a, unsigned n) { return tnum_lshift(a, n); }, [](e x, e n) { return z3::shl(x, n); }),
        shift("tnum rshift", 64, [](auto a, unsigned n) { return tnum_rshift(a, n); }, [](e x, e n) { return z3::lshr(x, n); }),
        shift("tnum arshift", 64, [](auto a, unsigned n) { return tnum_arshift(a, n, 64); }, [](e x, e n) { return z3::ashr(x, n); }),
        shift("tnum arshift of the low half", 32, [](auto a, unsigned n) { return tnum_arshift(a, n, 32); },
              [](e x, e n) { return low_half(z3::zext(z3::ashr(x.extract(31, 0), n.extract(31, 0)), 32)); }),
        {"tnum mul, one row", 64, mul_row},
        binary<whole_mul_width>("tnum mul, whole", [](auto a, auto b) { return tnum_mul(a, b); }, [](e x, e y) { return x * y; }),
        {"tnum range", 64, range},
        {"tnum meets", 64, meets},
        {"tnum intersect, overlap", 64, intersect},
        {"tnum union", 64, join},
        {"tnum in", 64, subset},
        {"tnum contains", 64, contains},
    };
}

}  // namespace modbpf::prove
