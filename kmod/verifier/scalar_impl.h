// SPDX-License-Identifier: GPL-2.0-only
// The transfer functions of scalar.h (comparisons: scalar_branch.h), as templates over the word types; included by scalar.cpp and by tests alone.
//
// How a value is kept: one tnum and four ranges (unsigned and signed; whole word and low half). Each operation computes what
// it can say about each of the five by itself, and sync() lets them learn from each other. Every step of sync() only removes
// values that no concrete number has, so an empty result means that there is no such number; an empty value is never
// "repaired" into a narrow one by later steps in a way that matters, because any answer is sound for no number at all.
//
// Results equal those of Linux 6.12 (reg_bounds_sync, adjust_scalar_min_max_vals, regs_refine_cond_op, ...), because they
// appear in logs, and are never looser. They are tighter in a few rare cases: Linux forgets all ranges where JSET falls through,
// and replaces (here: intersects) the ranges of a non-negative sign-extended half. Where Linux detects a contradiction late or
// not at all, assume() answers false.
#pragma once

#include "base/bpf.h"
#include "verifier/scalar.h"

namespace modbpf::scalar_impl {

template <class T> void raise(T &bound, T v) { bound = max(bound, v); }
template <class T> void lower(T &bound, T v) { bound = min(bound, v); }
template <class T> T select(bool c, T yes, T no) { return c ? yes : no; }

template <class U, class S> struct range_pair {
    U &umin, &umax;
    S &smin, &smax;
};
template <class V> auto word_of(V &v) {
    return range_pair<typename V::word, typename V::sword>{v.umin, v.umax, v.smin, v.smax};
}
template <class V> auto half_of(V &v) {
    return range_pair<typename V::half, typename V::shalf>{v.u32_min, v.u32_max, v.s32_min, v.s32_max};
}

/// Makes the value visibly empty: no number is in it.
template <class V> void make_empty(V &v) {
    v.umin = typename V::word(1), v.umax = typename V::word(0);
}

// ---- agreement of the parts -----------------------------------------------------------------------------

/// Ranges learn from the bits: the least number has the unknown bits 0 (the sign bit 1 in the signed order).
template <class U, class S, class L> void learn_from_bits(range_pair<U, S> r, U value, U mask, L) {
    U top = L::top();
    raise(r.smin, static_cast<S>(static_cast<U>(value | (mask & top))));
    lower(r.smax, static_cast<S>(static_cast<U>(value | (mask & ~top))));
    raise(r.umin, value);
    lower(r.umax, static_cast<U>(value | mask));
}

template <class V> void ranges_from_bits(V &v) {
    using H = typename V::half;
    auto low = tnum_subreg(v.bits);
    learn_from_bits(half_of(v), static_cast<H>(low.value), static_cast<H>(low.mask), half_limits<V>{});
    learn_from_bits(word_of(v), v.bits.value, v.bits.mask, word_limits<V>{});
}

/// Signed and unsigned range of one width. On the circle of words each is an arc; where an arc does not cross the other order's
/// seam it is a range there too, and where it crosses it may still meet the other arc at one end only.
template <class U, class S> void exchange_signs(range_pair<U, S> r) {
    if (static_cast<S>(r.umin) <= static_cast<S>(r.umax)) {
        raise(r.smin, static_cast<S>(r.umin));
        lower(r.smax, static_cast<S>(r.umax));
    }
    if (static_cast<U>(r.smin) <= static_cast<U>(r.smax)) {
        raise(r.umin, static_cast<U>(r.smin));
        lower(r.umax, static_cast<U>(r.smax));
    } else if (r.umax < static_cast<U>(r.smin)) { // only the arc's non-negative end [0, smax] is left
        r.smin = static_cast<S>(r.umin);
        lower(r.umax, static_cast<U>(r.smax));
    } else if (static_cast<U>(r.smax) < r.umin) { // only its negative end [smin, -1]
        r.smax = static_cast<S>(r.umax);
        raise(r.umin, static_cast<U>(r.smin));
    }
}

/// The low half learns from one range [lo, hi] of the word (given as words). `unsigned_order`: the range is unsigned.
template <class V> void half_from_word(V &v, typename V::word lo, typename V::word hi, bool unsigned_order) {
    using U = typename V::word;
    using H = typename V::half;
    using SH = typename V::shalf;
    constexpr unsigned h = V::width / 2;
    H llo = static_cast<H>(lo), lhi = static_cast<H>(hi);
    if (static_cast<U>(lo >> h) != static_cast<U>(hi >> h))
        return;
    // Same upper half throughout: the low halves go from llo to lhi without wrapping.
    if (unsigned_order || llo <= lhi) {
        raise(v.u32_min, llo);
        lower(v.u32_max, lhi);
    }
    if (static_cast<SH>(llo) <= static_cast<SH>(lhi)) {
        raise(v.s32_min, static_cast<SH>(llo));
        lower(v.s32_max, static_cast<SH>(lhi));
    }
}

/// Upper halves that follow each other, with the low half going from negative to non-negative: a signed range of the half.
template <class V> void half_across_zero(V &v, typename V::word lo, typename V::word hi) {
    using H = typename V::half;
    using SH = typename V::shalf;
    constexpr unsigned h = V::width / 2;
    SH slo = static_cast<SH>(static_cast<H>(lo)), shi = static_cast<SH>(static_cast<H>(hi));
    H next = static_cast<H>(static_cast<H>(lo >> h) + H(1));
    if (next == static_cast<H>(hi >> h) && slo < SH(0) && !(shi < SH(0))) {
        raise(v.s32_min, slo);
        lower(v.s32_max, shi);
    }
}

/// `bound` with its low half replaced.
template <class V> typename V::word splice(typename V::word bound, typename V::half low) {
    using U = typename V::word;
    constexpr unsigned h = V::width / 2;
    return static_cast<U>(static_cast<U>(static_cast<U>(bound >> h) << h) | static_cast<U>(low));
}

/// The word's ends must have low halves within [lo, hi] (in the unsigned order).
template <class V> void word_from_half(V &v, typename V::half lo, typename V::half hi) {
    using U = typename V::word;
    using S = typename V::sword;
    raise(v.umin, splice<V>(v.umin, lo));
    lower(v.umax, splice<V>(v.umax, hi));
    raise(v.smin, static_cast<S>(splice<V>(static_cast<U>(v.smin), lo)));
    lower(v.smax, static_cast<S>(splice<V>(static_cast<U>(v.smax), hi)));
}

/// A word that is a sign-extended half, which is not negative, equals its half.
template <class V> void word_from_small_half(V &v) {
    using U = typename V::word;
    using S = typename V::sword;
    using SH = typename V::shalf;
    S half_min = static_cast<S>(half_limits<V>::smin()), half_max = static_cast<S>(half_limits<V>::smax());
    if (v.s32_min < SH(0) || v.smin < half_min || half_max < v.smax)
        return;
    raise(v.smin, static_cast<S>(v.s32_min)), lower(v.smax, static_cast<S>(v.s32_max));
    raise(v.umin, static_cast<U>(v.smin)), lower(v.umax, static_cast<U>(v.smax));
    auto r = V::bits_type::range(v.umin, v.umax);
    if (v.umax < v.umin || !tnum_overlap(v.bits, r))
        return make_empty(v);
    v.bits = tnum_intersect(v.bits, r);
}

/// What the ranges teach each other, as steps of which each is sound by itself: run(step) for each.
template <class V, class F> void exchange_ranges(V &v, F &&run) {
    using U = typename V::word;
    using H = typename V::half;
    run([&] { half_from_word(v, v.umin, v.umax, true); });
    run([&] { half_from_word(v, static_cast<U>(v.smin), static_cast<U>(v.smax), false); });
    run([&] { half_across_zero(v, v.umin, v.umax); });
    run([&] { half_across_zero(v, static_cast<U>(v.smin), static_cast<U>(v.smax)); });
    run([&] { exchange_signs(half_of(v)); });
    run([&] { exchange_signs(word_of(v)); });
    run([&] { word_from_half(v, v.u32_min, v.u32_max); });
    run([&] {
        if (static_cast<H>(v.s32_min) <= static_cast<H>(v.s32_max))
            word_from_half(v, static_cast<H>(v.s32_min), static_cast<H>(v.s32_max));
    });
    run([&] { word_from_small_half(v); });
}

template <class V> void bits_from_ranges(V &v) {
    using U = typename V::word;
    using T = typename V::bits_type;
    if (v.umax < v.umin || v.u32_max < v.u32_min)
        return make_empty(v);
    T r = T::range(v.umin, v.umax);
    if (!tnum_overlap(v.bits, r))
        return make_empty(v);
    T whole = tnum_intersect(v.bits, r);
    T low = tnum_subreg(whole), low_r = T::range(static_cast<U>(v.u32_min), static_cast<U>(v.u32_max));
    if (!tnum_overlap(low, low_r))
        return make_empty(v);
    v.bits = tnum_with_subreg(whole, tnum_intersect(low, low_r));
}

inline constexpr int sync_rounds = 3;

template <class V, class F> void sync_steps(V &v, F &&run) {
    run([&] { ranges_from_bits(v); });
    for (int round = 0; round < sync_rounds; round++)
        exchange_ranges(v, run);
    run([&] { bits_from_ranges(v); });
    run([&] { ranges_from_bits(v); });
}

/// The same with plain words: when a round taught nothing, the next one will not either.
template <class V> void sync(V &v) {
    auto run = [](auto &&step) { step(); };
    ranges_from_bits(v);
    for (int round = 0; round < sync_rounds; round++) {
        V before = v;
        exchange_ranges(v, run);
        if (same(before, v))
            break;
    }
    bits_from_ranges(v);
    ranges_from_bits(v);
}

// ---- arithmetic -----------------------------------------------------------------------------------------

template <class U, class S, class L> void add_range(range_pair<U, S> d, range_pair<const U, const S> s, L) {
    S lo = static_cast<S>(static_cast<U>(static_cast<U>(d.smin) + static_cast<U>(s.smin)));
    S hi = static_cast<S>(static_cast<U>(static_cast<U>(d.smax) + static_cast<U>(s.smax)));
    // A sum is below what was added to exactly when the other one is negative; otherwise it wrapped around.
    auto wraps = (lo < d.smin) != (s.smin < S(0)) || (hi < d.smax) != (s.smax < S(0));
    U ulo = static_cast<U>(d.umin + s.umin), uhi = static_cast<U>(d.umax + s.umax);
    auto uwraps = ulo < d.umin || uhi < d.umax;
    d.smin = select(wraps, L::smin(), lo), d.smax = select(wraps, L::smax(), hi);
    d.umin = select(uwraps, U(0), ulo), d.umax = select(uwraps, L::umax(), uhi);
}

template <class U, class S, class L> void sub_range(range_pair<U, S> d, range_pair<const U, const S> s, L) {
    S lo = static_cast<S>(static_cast<U>(static_cast<U>(d.smin) - static_cast<U>(s.smax)));
    S hi = static_cast<S>(static_cast<U>(static_cast<U>(d.smax) - static_cast<U>(s.smin)));
    auto wraps = (d.smin < lo) != (s.smax < S(0)) || (d.smax < hi) != (s.smin < S(0));
    auto uwraps = d.umin < s.umax;
    U ulo = static_cast<U>(d.umin - s.umax), uhi = static_cast<U>(d.umax - s.umin);
    d.smin = select(wraps, L::smin(), lo), d.smax = select(wraps, L::smax(), hi);
    d.umin = select(uwraps, U(0), ulo), d.umax = select(uwraps, L::umax(), uhi);
}

/// Only non-negative factors that fit half the width, so that the product cannot wrap.
template <class U, class S, class L> void mul_range(range_pair<U, S> d, range_pair<const U, const S> s, L, unsigned bits) {
    U small = static_cast<U>(static_cast<U>(U(1) << (bits / 2)) - U(1));
    if (d.smin < S(0) || s.smin < S(0) || small < d.umax || small < s.umax) {
        d.umin = U(0), d.umax = L::umax(), d.smin = L::smin(), d.smax = L::smax();
        return;
    }
    d.umin = static_cast<U>(d.umin * s.umin), d.umax = static_cast<U>(d.umax * s.umax);
    auto wide = static_cast<U>(L::smax()) < d.umax;
    d.smin = select(wide, L::smin(), static_cast<S>(d.umin)), d.smax = select(wide, L::smax(), static_cast<S>(d.umax));
}

/// AND, OR, XOR: `value`, `mask` are the result's bits. The signed range follows the unsigned one if that keeps its sign.
template <class U, class S, class L>
void bitwise_range(u8 op, range_pair<U, S> d, range_pair<const U, const S> s, U value, U mask, L) {
    U lo = value, hi = static_cast<U>(value | mask);
    if (op == BPF_AND && mask != U(0))
        hi = min(s.umax, d.umax);
    if (op == BPF_OR && mask != U(0))
        lo = max(d.umin, s.umin);
    auto same_sign = static_cast<S>(lo) <= static_cast<S>(hi);
    d.umin = lo, d.umax = hi;
    d.smin = select(same_sign, static_cast<S>(lo), L::smin()), d.smax = select(same_sign, static_cast<S>(hi), L::smax());
}

template <class U, class S> range_pair<const U, const S> readonly(range_pair<U, S> r) {
    return {r.umin, r.umax, r.smin, r.smax};
}

template <class V> void shift_left(V &d, bool alu32, unsigned n) {
    using U = typename V::word;
    using S = typename V::sword;
    using H = typename V::half;
    constexpr unsigned w = V::width, h = w / 2;
    S high_min = static_cast<S>(static_cast<U>(static_cast<U>(static_cast<S>(d.s32_min)) << h));
    S high_max = static_cast<S>(static_cast<U>(static_cast<U>(static_cast<S>(d.s32_max)) << h));
    bool word_fits = n < w && !(static_cast<U>(U(1) << (w - 1 - n)) < d.umax);
    bool half_fits = n < h && !(static_cast<H>(H(1) << (h - 1 - n)) < d.u32_max);
    U lo = static_cast<U>(d.umin << n), hi = static_cast<U>(d.umax << n);
    H llo = half_fits ? static_cast<H>(d.u32_min << n) : H(0);
    H lhi = half_fits ? static_cast<H>(d.u32_max << n) : half_limits<V>::umax();
    forget_word(d), forget_half(d);
    d.u32_min = llo, d.u32_max = lhi;
    if (alu32) {
        d.bits = tnum_subreg(tnum_lshift(tnum_subreg(d.bits), n));
        return;
    }
    if (word_fits)
        d.umin = lo, d.umax = hi;
    if (n == h) // half of the common sign extension by two shifts: the half's sign is now the word's
        d.smin = high_min, d.smax = high_max;
    d.bits = tnum_lshift(d.bits, n);
}

template <class V> void shift_right(V &d, bool alu32, unsigned n) {
    using U = typename V::word;
    using H = typename V::half;
    U lo = static_cast<U>(d.umin >> n), hi = static_cast<U>(d.umax >> n);
    H llo = alu32 ? static_cast<H>(d.u32_min >> n) : H(0), lhi = alu32 ? static_cast<H>(d.u32_max >> n) : H(0);
    forget_word(d), forget_half(d);
    d.bits = tnum_rshift(alu32 ? tnum_subreg(d.bits) : d.bits, n);
    if (alu32)
        d.u32_min = llo, d.u32_max = lhi;
    else
        d.umin = lo, d.umax = hi;
}

template <class V> void shift_right_signed(V &d, bool alu32, unsigned n) {
    using S = typename V::sword;
    using SH = typename V::shalf;
    S lo = static_cast<S>(d.smin >> n), hi = static_cast<S>(d.smax >> n);
    SH llo = alu32 ? static_cast<SH>(d.s32_min >> n) : SH(0), lhi = alu32 ? static_cast<SH>(d.s32_max >> n) : SH(0);
    forget_word(d), forget_half(d);
    d.bits = tnum_arshift(d.bits, n, alu32 ? V::width / 2 : V::width);
    if (alu32)
        d.s32_min = llo, d.s32_max = lhi;
    else
        d.smin = lo, d.smax = hi;
}

/// A constant shift amount below the operation's width. (Linux looks at the whole source register also in 32-bit shifts.)
template <class V> bool shift_amount(bool alu32, const V &src, unsigned *n) {
    using U = typename V::word;
    unsigned width = alu32 ? V::width / 2 : V::width;
    bool known = alu32 ? src.is_const32() && src.s32_min == src.s32_max && src.u32_min == src.u32_max
                       : src.is_const() && src.smin == src.smax && src.umin == src.umax;
    if (!known || !(src.umax < U(width)))
        return false;
    *n = static_cast<unsigned>(static_cast<u64>(alu32 ? static_cast<U>(src.u32_min) : src.umin));
    return *n < width;
}

/// The word becomes the zero-extended low half.
template <class V> void extend_half(V &v) {
    using U = typename V::word;
    using S = typename V::sword;
    using H = typename V::half;
    using SH = typename V::shalf;
    v.bits = tnum_subreg(v.bits);
    v.umin = static_cast<U>(v.u32_min), v.umax = static_cast<U>(v.u32_max);
    auto non_negative = !(v.s32_min < SH(0)) && !(v.s32_max < SH(0));
    v.smin = select(non_negative, static_cast<S>(v.s32_min), S(0));
    v.smax = select(non_negative, static_cast<S>(v.s32_max), static_cast<S>(static_cast<U>(static_cast<H>(~H(0)))));
}

/// What synchronising yields; an empty value (its operands were: dead code) becomes unknown, so that V2 holds.
template <class V> V settled(V v) {
    if (v.is_const()) { // there is nothing left to learn
        V c = V::constant(v.value());
        return subset(c, v) ? c : V::unknown();
    }
    sync(v);
    return v.valid() ? v : V::unknown();
}

/// What the operation itself says, before its parts learn from each other.
template <class V> V alu_unsettled(u8 op, bool alu32, const V &dst, const V &src) {
    V d = dst, s = src;
    auto dw = word_of(d);
    auto dh = half_of(d);
    auto sw = readonly(word_of(s));
    auto sh = readonly(half_of(s));
    using H = typename V::half;
    unsigned n = 0;
    switch (op) {
    case BPF_ADD:
        add_range(dh, sh, half_limits<V>{}), add_range(dw, sw, word_limits<V>{});
        d.bits = tnum_add(d.bits, s.bits);
        break;
    case BPF_SUB:
        sub_range(dh, sh, half_limits<V>{}), sub_range(dw, sw, word_limits<V>{});
        d.bits = tnum_sub(d.bits, s.bits);
        break;
    case BPF_MUL:
        mul_range(dh, sh, half_limits<V>{}, V::width / 2), mul_range(dw, sw, word_limits<V>{}, V::width);
        d.bits = tnum_mul(d.bits, s.bits);
        break;
    case BPF_AND:
    case BPF_OR:
    case BPF_XOR:
        d.bits = op == BPF_AND ? tnum_and(d.bits, s.bits) : op == BPF_OR ? tnum_or(d.bits, s.bits) : tnum_xor(d.bits, s.bits);
        bitwise_range(op, dh, sh, static_cast<H>(d.bits.value), static_cast<H>(d.bits.mask), half_limits<V>{});
        bitwise_range(op, dw, sw, d.bits.value, d.bits.mask, word_limits<V>{});
        break;
    case BPF_LSH:
    case BPF_RSH:
    case BPF_ARSH:
        if (!shift_amount(alu32, s, &n))
            return V::unknown();
        op == BPF_LSH ? shift_left(d, alu32, n) : op == BPF_RSH ? shift_right(d, alu32, n) : shift_right_signed(d, alu32, n);
        break;
    default:
        return V::unknown();
    }
    if (alu32) {
        forget_word(d);
        ranges_from_bits(d);
        extend_half(d);
    }
    return d;
}

template <class V> V alu(u8 op, bool alu32, const V &dst, const V &src) { return settled(alu_unsettled(op, alu32, dst, src)); }

// ---- widening and narrowing -----------------------------------------------------------------------------

template <class V> V zero_extend_unsettled(V v, unsigned bits) {
    using U = typename V::word;
    using S = typename V::sword;
    U keep = static_cast<U>(word_limits<V>::umax() >> (V::width - bits));
    v.bits = tnum_truncate(v.bits, bits);
    bool same_top = static_cast<U>(v.umin & ~keep) == static_cast<U>(v.umax & ~keep);
    v.umin = same_top ? static_cast<U>(v.umin & keep) : U(0);
    v.umax = same_top ? static_cast<U>(v.umax & keep) : keep;
    v.smin = static_cast<S>(v.umin), v.smax = static_cast<S>(v.umax);
    if (bits < V::width / 2)
        forget_half(v);
    return v;
}

/// Sign-extends the low `bits` bits of x.
template <class U, class S> S extended(U x, unsigned bits, unsigned width) {
    return static_cast<S>(static_cast<U>(x << (width - bits))) >> (width - bits);
}

/// [lo, hi] is a range of the type whose numbers share all but their low `bits` bits, and both ends have the same sign at bit
/// bits - 1. Then the extended numbers are a range too.
template <class U, class S> bool extend_range(S &lo, S &hi, unsigned bits, unsigned width) {
    if (bits < width && static_cast<U>(static_cast<U>(lo) >> bits) != static_cast<U>(static_cast<U>(hi) >> bits))
        return false;
    S a = extended<U, S>(static_cast<U>(lo), bits, width), b = extended<U, S>(static_cast<U>(hi), bits, width);
    if ((a < S(0)) != (b < S(0)))
        return false;
    lo = a < b ? a : b, hi = a < b ? b : a;
    return true;
}

/// bits is at most half the width: what comes out is a sign-extended half.
template <class V> V sign_extend_unsettled(V v, unsigned bits) {
    using U = typename V::word;
    using S = typename V::sword;
    using H = typename V::half;
    using SH = typename V::shalf;
    if (v.is_const())
        return V::constant(static_cast<U>(extended<U, S>(v.value(), bits, V::width)));
    S lo = v.smin, hi = v.smax;
    v = V::unknown();
    if (extend_range<U, S>(lo, hi, bits, V::width)) {
        v.smin = lo, v.smax = hi, v.umin = static_cast<U>(lo), v.umax = static_cast<U>(hi);
        v.s32_min = static_cast<SH>(lo), v.s32_max = static_cast<SH>(hi);
        v.u32_min = static_cast<H>(v.umin), v.u32_max = static_cast<H>(v.umax);
        v.bits = V::bits_type::range(v.umin, v.umax);
    } else {
        v.smin = static_cast<S>(word_limits<V>::smin() >> (V::width - bits));
        v.smax = static_cast<S>(word_limits<V>::smax() >> (V::width - bits));
        v.s32_min = static_cast<SH>(v.smin), v.s32_max = static_cast<SH>(v.smax);
    }
    return v;
}

/// Sign-extends within the half, then zero-extends.
template <class V> V sign_extend_half_unsettled(V v, unsigned bits) {
    using U = typename V::word;
    using H = typename V::half;
    using SH = typename V::shalf;
    constexpr unsigned h = V::width / 2;
    SH lo = v.s32_min, hi = v.s32_max;
    bool known = v.is_const32();
    if (known)
        lo = hi = static_cast<SH>(static_cast<H>(v.bits.value));
    v = V::unknown();
    if (extend_range<H, SH>(lo, hi, bits, h)) {
        v.s32_min = lo, v.s32_max = hi, v.u32_min = static_cast<H>(lo), v.u32_max = static_cast<H>(hi);
        v.bits = V::bits_type::range(static_cast<U>(v.u32_min), static_cast<U>(v.u32_max));
    } else {
        v.s32_min = static_cast<SH>(half_limits<V>::smin() >> (h - bits));
        v.s32_max = static_cast<SH>(half_limits<V>::smax() >> (h - bits));
    }
    extend_half(v);
    return v;
}

/// Any number of `bits` bits: what a load of that many gives.
template <class V> V any_of_width(unsigned bits) {
    using U = typename V::word;
    using S = typename V::sword;
    using H = typename V::half;
    using SH = typename V::shalf;
    V v = V::unknown();
    U top = static_cast<U>(word_limits<V>::umax() >> (V::width - bits));
    v.bits = tnum_truncate(v.bits, bits);
    v.umax = top, v.smin = S(0), v.smax = static_cast<S>(top);
    if (bits < V::width / 2)
        v.u32_max = static_cast<H>(top), v.s32_min = SH(0), v.s32_max = static_cast<SH>(top);
    return v;
}

template <class V> V zero_extend(const V &v, unsigned bits) { return settled(zero_extend_unsettled(v, bits)); }
template <class V> V sign_extend(const V &v, unsigned bits) { return settled(sign_extend_unsettled(v, bits)); }
template <class V> V sign_extend_half(const V &v, unsigned bits) { return settled(sign_extend_half_unsettled(v, bits)); }

}  // namespace modbpf::scalar_impl

namespace modbpf {

template <class U, class S, class UH, class SH, unsigned N> bool basic_scalar<U, S, UH, SH, N>::is_unknown() const {
    using namespace scalar_impl;
    return bits.is_unknown() && subset(unknown(), *this);
}

template <class U, class S, class UH, class SH, unsigned N> bool basic_scalar<U, S, UH, SH, N>::contains(U v) const {
    return scalar_impl::subset(constant(v), *this);
}

template <class U, class S, class UH, class SH, unsigned N> bool basic_scalar<U, S, UH, SH, N>::valid() const {
    if (is_const() && scalar_impl::subset(*this, constant(value())))
        return umin <= umax && smin <= smax && u32_min <= u32_max && s32_min <= s32_max;
    if (umax < umin || smax < smin || u32_max < u32_min || s32_max < s32_min || !bits.valid())
        return false;
    if (!tnum_overlap(bits, bits_type::range(umin, umax)))
        return false;
    auto low = tnum_subreg(bits);
    if (!tnum_overlap(low, bits_type::range(static_cast<U>(u32_min), static_cast<U>(u32_max))))
        return false;
    if (is_const())
        return false; // its ranges are others
    if (is_const32()) {
        UH h = static_cast<UH>(low.value);
        return u32_min == h && u32_max == h && s32_min == static_cast<SH>(h) && s32_max == static_cast<SH>(h);
    }
    return true;
}

}  // namespace modbpf
