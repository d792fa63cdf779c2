// SPDX-License-Identifier: GPL-2.0-only
// Words that stand for all numbers at once: z3 terms behind the operators that the transfer functions use, so that the headers that ship
// (verifier/tnum.h, scalar_impl.h, scalar_branch.h) instantiate with them unchanged.
//
// A comparison gives a `truth`, a term too. Where the code under proof needs a bool (an if, a ?:, a bool that is returned) the truth asks
// explorer::decide(), which takes one arm now and the other one in a later run of the same code (explorer.h).
#pragma once

#include <type_traits>
#include <z3++.h>

#include "base/types.h"

namespace modbpf::prove {

inline z3::context &context() {
    static z3::context c;
    return c;
}

bool decide(const z3::expr &condition);
/// A value that the term can have here; every one of them has its turn.
u64 choose(const z3::expr &word);

struct truth {
    z3::expr e;
    operator bool() const { return decide(e); }
    truth operator!() const { return {!e}; }
    friend truth operator&&(const truth &a, const truth &b) { return {a.e && b.e}; }
    friend truth operator!=(const truth &a, const truth &b) { return {a.e != b.e}; }
    friend truth operator||(const truth &a, const truth &b) { return {a.e || b.e}; }
};

template <unsigned B, bool Signed> struct word {
    static constexpr unsigned bits = B;
    z3::expr e;

    word() : word(0) {}
    explicit word(const z3::expr &term) : e(term) {}
    template <class T>
        requires(std::is_integral_v<T>)
    explicit word(T x) : e(context().bv_val(static_cast<uint64_t>(static_cast<s64>(x)), B)) {}
    template <unsigned C, bool S> explicit word(const word<C, S> &x) : e(resized(x.e, C, S)) {}
    explicit operator u64() const { return choose(e); }

    static z3::expr resized(const z3::expr &x, unsigned from, bool is_signed) {
        if (from >= B)
            return from == B ? x : x.extract(B - 1, 0);
        return is_signed ? z3::sext(x, B - from) : z3::zext(x, B - from);
    }
    friend word operator+(const word &a, const word &b) { return word(a.e + b.e); }
    friend word operator-(const word &a, const word &b) { return word(a.e - b.e); }
    friend word operator*(const word &a, const word &b) { return word(a.e * b.e); }
    friend word operator&(const word &a, const word &b) { return word(a.e & b.e); }
    friend word operator|(const word &a, const word &b) { return word(a.e | b.e); }
    friend word operator^(const word &a, const word &b) { return word(a.e ^ b.e); }
    word operator~() const { return word(~e); }
    word operator<<(unsigned n) const { return word(z3::shl(e, context().bv_val(n, B))); }
    word operator>>(unsigned n) const {
        auto k = context().bv_val(n, B);
        return word(Signed ? z3::ashr(e, k) : z3::lshr(e, k));
    }
    friend truth operator==(const word &a, const word &b) { return {a.e == b.e}; }
    friend truth operator!=(const word &a, const word &b) { return {a.e != b.e}; }
    friend truth operator<(const word &a, const word &b) { return {Signed ? a.e < b.e : z3::ult(a.e, b.e)}; }
    friend truth operator<=(const word &a, const word &b) { return {Signed ? a.e <= b.e : z3::ule(a.e, b.e)}; }
};

// Preferred to the templates of the code under proof: terms, for which nothing has to be decided.
template <unsigned B, bool S> word<B, S> min(const word<B, S> &a, const word<B, S> &b) { return word<B, S>(z3::ite((b < a).e, b.e, a.e)); }
template <unsigned B, bool S> word<B, S> max(const word<B, S> &a, const word<B, S> &b) { return word<B, S>(z3::ite((a < b).e, b.e, a.e)); }
template <unsigned B, bool S> word<B, S> select(const truth &c, const word<B, S> &yes, const word<B, S> &no) { return word<B, S>(z3::ite(c.e, yes.e, no.e)); }

}  // namespace modbpf::prove
