// SPDX-License-Identifier: GPL-2.0-only
// What comparisons of two scalars decide and teach: scalar.h's scalar_branch, scalar_assume and scalar_assume_not, as templates over
// the word types; included by scalar.cpp and by tests alone.
//
// a > b is b < a with the sides swapped, so only "less" is written. Every narrowing keeps all pairs of numbers for which the
// assumption holds; false means that there is no such pair.
#pragma once

#include "verifier/scalar_impl.h"

namespace modbpf::scalar_impl {

template <class T> branch less(T amin, T amax, T bmin, T bmax, bool or_equal) {
    if (or_equal) {
        if (!(bmin < amax))
            return branch::taken;
        return bmax < amin ? branch::not_taken : branch::unknown;
    }
    if (amax < bmin)
        return branch::taken;
    return !(amin < bmax) ? branch::not_taken : branch::unknown;
}

/// Have the two no value in common, in the compared width?
template <class V> bool disjoint(bool jmp32, const V &a, const V &b) {
    if (a.u32_max < b.u32_min || b.u32_max < a.u32_min || a.s32_max < b.s32_min || b.s32_max < a.s32_min)
        return true;
    if (jmp32)
        return !tnum_overlap(tnum_subreg(a.bits), tnum_subreg(b.bits));
    return !tnum_overlap(a.bits, b.bits) || a.umax < b.umin || b.umax < a.umin || a.smax < b.smin || b.smax < a.smin;
}

template <class V> branch decide_set(bool jmp32, const V &a, const V &b) {
    auto x = jmp32 ? tnum_subreg(a.bits) : a.bits, y = jmp32 ? tnum_subreg(b.bits) : b.bits;
    using U = typename V::word;
    if (!x.is_const() && !y.is_const())
        return branch::unknown;
    if (static_cast<U>(x.value & y.value) != U(0))
        return branch::taken;
    return static_cast<U>(x.umax() & y.umax()) == U(0) ? branch::not_taken : branch::unknown;
}

template <class V> branch decide(u8 op, bool jmp32, const V &a, const V &b) {
    auto x = jmp32 ? tnum_subreg(a.bits) : a.bits, y = jmp32 ? tnum_subreg(b.bits) : b.bits;
    switch (op) {
    case BPF_JEQ:
    case BPF_JNE: {
        bool eq = op == BPF_JEQ;
        if (x.is_const() && y.is_const())
            return (x.value == y.value) == eq ? branch::taken : branch::not_taken;
        if (disjoint(jmp32, a, b))
            return eq ? branch::not_taken : branch::taken;
        return branch::unknown;
    }
    case BPF_JSET:
        return decide_set(jmp32, a, b);
    case BPF_JGT:
    case BPF_JGE:
        return jmp32 ? less(b.u32_min, b.u32_max, a.u32_min, a.u32_max, op == BPF_JGE)
                     : less(b.umin, b.umax, a.umin, a.umax, op == BPF_JGE);
    case BPF_JLT:
    case BPF_JLE:
        return jmp32 ? less(a.u32_min, a.u32_max, b.u32_min, b.u32_max, op == BPF_JLE)
                     : less(a.umin, a.umax, b.umin, b.umax, op == BPF_JLE);
    case BPF_JSGT:
    case BPF_JSGE:
        return jmp32 ? less(b.s32_min, b.s32_max, a.s32_min, a.s32_max, op == BPF_JSGE)
                     : less(b.smin, b.smax, a.smin, a.smax, op == BPF_JSGE);
    case BPF_JSLT:
    case BPF_JSLE:
        return jmp32 ? less(a.s32_min, a.s32_max, b.s32_min, b.s32_max, op == BPF_JSLE)
                     : less(a.smin, a.smax, b.smin, b.smax, op == BPF_JSLE);
    default:
        return branch::unknown;
    }
}

/// a < b or a <= b on one pair of ranges. False: impossible.
template <class T> bool order(T &amin, T &amax, T &bmin, T &bmax, bool or_equal) {
    if (or_equal) {
        lower(amax, bmax);
        raise(bmin, amin);
    } else {
        if (!(amin < bmax)) // also: nothing is below the least or above the greatest number
            return false;
        lower(amax, static_cast<T>(bmax - T(1)));
        raise(bmin, static_cast<T>(amin + T(1)));
    }
    return !(amax < amin) && !(bmax < bmin);
}

template <class V> bool assume_equal(bool jmp32, V &a, V &b) {
    if (disjoint(jmp32, a, b))
        return false;
    if (jmp32) {
        raise(a.u32_min, b.u32_min), lower(a.u32_max, b.u32_max), raise(a.s32_min, b.s32_min), lower(a.s32_max, b.s32_max);
        b.u32_min = a.u32_min, b.u32_max = a.u32_max, b.s32_min = a.s32_min, b.s32_max = a.s32_max;
        auto low = tnum_intersect(tnum_subreg(a.bits), tnum_subreg(b.bits));
        a.bits = tnum_with_subreg(a.bits, low), b.bits = tnum_with_subreg(b.bits, low);
        return true;
    }
    raise(a.umin, b.umin), lower(a.umax, b.umax), raise(a.smin, b.smin), lower(a.smax, b.smax);
    b.umin = a.umin, b.umax = a.umax, b.smin = a.smin, b.smax = a.smax;
    a.bits = b.bits = tnum_intersect(a.bits, b.bits);
    return true;
}

/// Takes the number `v` off both ends of a range. False: it was the only one.
template <class T> bool trim(T &lo, T &hi, T v) {
    if (lo == v && hi == v)
        return false;
    if (lo == v)
        lo = static_cast<T>(lo + T(1));
    if (hi == v)
        hi = static_cast<T>(hi - T(1));
    return true;
}

template <class V> bool assume_unequal(bool jmp32, V &a, V &b) {
    using S = typename V::sword;
    using H = typename V::half;
    using SH = typename V::shalf;
    auto known = [&](const V &v) { return jmp32 ? v.is_const32() : v.is_const(); };
    if (!known(a) && !known(b))
        return true;
    V &x = known(b) ? a : b;
    const V &c = known(b) ? b : a;
    if (jmp32) {
        H h = static_cast<H>(c.bits.value);
        return trim(x.u32_min, x.u32_max, h) && trim(x.s32_min, x.s32_max, static_cast<SH>(h));
    }
    return trim(x.umin, x.umax, c.bits.value) && trim(x.smin, x.smax, static_cast<S>(c.bits.value));
}

/// (a & b) != 0, or == 0: something is learnt about one operand when the other is a constant.
template <class V> bool assume_set(bool jmp32, bool set, V &a, V &b) {
    using U = typename V::word;
    using T = typename V::bits_type;
    auto known = [&](const V &v) { return jmp32 ? v.is_const32() : v.is_const(); };
    branch b0 = decide_set(jmp32, a, b);
    if (b0 == (set ? branch::not_taken : branch::taken))
        return false;
    if (!known(a) && !known(b))
        return true;
    V &x = known(b) ? a : b;
    U c = jmp32 ? tnum_subreg(known(b) ? b.bits : a.bits).value : (known(b) ? b.bits : a.bits).value;
    if (!set) {
        x.bits = tnum_and(x.bits, T::constant(static_cast<U>(~c)));
        return true;
    }
    bool one_bit = c != U(0) && static_cast<U>(c & static_cast<U>(c - U(1))) == U(0);
    if (one_bit)
        x.bits = tnum_or(x.bits, T::constant(c));
    return true;
}

template <class V> bool refine(u8 op, bool jmp32, V &a, V &b) {
    switch (op) {
    case BPF_JEQ:
        return assume_equal(jmp32, a, b);
    case BPF_JNE:
        return assume_unequal(jmp32, a, b);
    case BPF_JSET:
        return assume_set(jmp32, true, a, b);
    case BPF_JGT:
    case BPF_JGE:
        return jmp32 ? order(b.u32_min, b.u32_max, a.u32_min, a.u32_max, op == BPF_JGE)
                     : order(b.umin, b.umax, a.umin, a.umax, op == BPF_JGE);
    case BPF_JLT:
    case BPF_JLE:
        return jmp32 ? order(a.u32_min, a.u32_max, b.u32_min, b.u32_max, op == BPF_JLE)
                     : order(a.umin, a.umax, b.umin, b.umax, op == BPF_JLE);
    case BPF_JSGT:
    case BPF_JSGE:
        return jmp32 ? order(b.s32_min, b.s32_max, a.s32_min, a.s32_max, op == BPF_JSGE)
                     : order(b.smin, b.smax, a.smin, a.smax, op == BPF_JSGE);
    case BPF_JSLT:
    case BPF_JSLE:
        return jmp32 ? order(a.s32_min, a.s32_max, b.s32_min, b.s32_max, op == BPF_JSLE)
                     : order(a.smin, a.smax, b.smin, b.smax, op == BPF_JSLE);
    default:
        return true;
    }
}

/// Known bits and range can each leave numbers and yet have none in common; Linux goes on with such a value.
template <class V> bool bits_meet_ranges(const V &v) {
    using U = typename V::word;
    return tnum_meets(v.bits, v.umin, v.umax) && tnum_meets(tnum_subreg(v.bits), static_cast<U>(v.u32_min), static_cast<U>(v.u32_max));
}

template <class V> bool inhabited(const V &v) { return v.valid() && bits_meet_ranges(v); }

template <class V> bool synced_pair(bool possible, V &a, V &b) {
    if (!possible)
        return false;
    sync(a), sync(b);
    return inhabited(a) && inhabited(b);
}

template <class V> bool assume(u8 op, bool jmp32, V &a, V &b) { return synced_pair(refine(op, jmp32, a, b), a, b); }

inline u8 opposite(u8 op) {
    switch (op) {
    case BPF_JEQ: return BPF_JNE;
    case BPF_JNE: return BPF_JEQ;
    case BPF_JGT: return BPF_JLE;
    case BPF_JGE: return BPF_JLT;
    case BPF_JLT: return BPF_JGE;
    case BPF_JLE: return BPF_JGT;
    case BPF_JSGT: return BPF_JSLE;
    case BPF_JSGE: return BPF_JSLT;
    case BPF_JSLT: return BPF_JSGE;
    case BPF_JSLE: return BPF_JSGT;
    default: return op;
    }
}

template <class V> bool refine_not(u8 op, bool jmp32, V &a, V &b) {
    return op == BPF_JSET ? assume_set(jmp32, false, a, b) : refine(opposite(op), jmp32, a, b);
}

template <class V> bool assume_not(u8 op, bool jmp32, V &a, V &b) { return synced_pair(refine_not(op, jmp32, a, b), a, b); }

}  // namespace modbpf::scalar_impl
