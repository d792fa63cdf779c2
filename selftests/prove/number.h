// SPDX-License-Identifier: GPL-2.0-only
// The meaning of a scalar, written apart from the code that is proved.
#pragma once

#include "base/bpf.h"
#include "claims.h"

namespace modbpf::prove {

/// x is one of the numbers of v: it has the known bits and lies in all four ranges.
template <unsigned N> z3::expr in(const z3::expr &x, const number_of<N> &v) {
    z3::expr h = x.extract(N / 2 - 1, 0);
    return in<N>(x, v.bits) && z3::ule(v.umin.e, x) && z3::ule(x, v.umax.e) && v.smin.e <= x && x <= v.smax.e && z3::ule(v.u32_min.e, h) &&
           z3::ule(h, v.u32_max.e) && v.s32_min.e <= h && h <= v.s32_max.e;
}

/// Any scalar that has x; nothing else is known of how its parts agree.
template <unsigned N> number_of<N> any_number(explorer &e, const std::string &name, const z3::expr &x) {
    number_of<N> v;
    v.bits = {uword<N>(fresh(name + ".value", N)), uword<N>(fresh(name + ".mask", N))};
    v.umin = uword<N>(fresh(name + ".umin", N)), v.umax = uword<N>(fresh(name + ".umax", N));
    v.smin = word<N, true>(fresh(name + ".smin", N)), v.smax = word<N, true>(fresh(name + ".smax", N));
    v.u32_min = uword<N / 2>(fresh(name + ".u32_min", N / 2)), v.u32_max = uword<N / 2>(fresh(name + ".u32_max", N / 2));
    v.s32_min = word<N / 2, true>(fresh(name + ".s32_min", N / 2)), v.s32_max = word<N / 2, true>(fresh(name + ".s32_max", N / 2));
    e.assume(in<N>(x, v));
    return v;
}

}  // namespace modbpf::prove
