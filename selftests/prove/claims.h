// SPDX-License-Identifier: GPL-2.0-only
// What is proved: claims by name, each a piece of code that runs with symbolic words (explorer.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "explorer.h"
#include "verifier/scalar.h"

namespace modbpf::prove {

struct claim {
    std::string name;
    unsigned width;
    std::function<void(explorer &)> body;
    bool is_false = false; ///< a control: z3 has to find a counterexample
};

template <unsigned N> using uword = word<N, false>;
template <unsigned N> using bits_of = basic_tnum<uword<N>, N>;
template <unsigned N> using number_of = basic_scalar<uword<N>, word<N, true>, uword<N / 2>, word<N / 2, true>, N>;

inline z3::expr fresh(const std::string &name, unsigned width) { return context().bv_const(name.c_str(), width); }

/// The meaning of a tnum: x is one of its numbers.
template <unsigned N> z3::expr in(const z3::expr &x, const bits_of<N> &t) { return (x & ~t.mask.e) == t.value.e; }

/// Any tnum that has x.
template <unsigned N> bits_of<N> any_bits(explorer &e, const std::string &name, const z3::expr &x) {
    bits_of<N> t{uword<N>(fresh(name + ".value", N)), uword<N>(fresh(name + ".mask", N))};
    e.assume(in<N>(x, t));
    return t;
}

std::vector<claim> tnum_claims();
std::vector<claim> scalar_claims();
std::vector<claim> branch_claims();

}  // namespace modbpf::prove
