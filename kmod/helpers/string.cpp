// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

constexpr u64 base_mask = 0x1f;  // the bits of `flags` that carry the base
constexpr u32 text_max = 63;     // Linux looks at that many characters behind the sign

struct parsed {
    u64 magnitude;
    bool negative;
    long consumed;
};

bool is_space(u8 c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

int digit_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// The characters of one number: reading behind the end gives NUL.
struct window {
    const char *p;
    u32 n;
    char at(u32 i) const { return i < n ? p[i] : '\0'; }
};

// Digits of `base` from w[i]; -ERANGE on overflow, -EINVAL when there is none; else the index behind them.
long parse_digits(const window &w, u32 i, u32 base, u64 *value) {
    u32 first = i;
    bool overflow = false;
    u64 v = 0;
    for (;; i++) {
        int d = digit_value(w.at(i));
        if (d < 0 || d >= static_cast<int>(base))
            break;
        u64 next;
        overflow |= __builtin_mul_overflow(v, static_cast<u64>(base), &next);
        overflow |= __builtin_add_overflow(next, static_cast<u64>(d), &v);
    }
    if (overflow)
        return -ERANGE;
    if (i == first)
        return -EINVAL;
    *value = v;
    return i;
}

long parse(const char *buf, u64 len, u64 flags, parsed *out) {
    u32 base = static_cast<u32>(flags & base_mask);
    if (!len || (flags & ~base_mask) || (base != 0 && base != 8 && base != 10 && base != 16))
        return -EINVAL;
    u64 start = 0;
    while (start < len && is_space(static_cast<u8>(buf[start])))
        start++;
    out->negative = start < len && buf[start] == '-';
    start += out->negative;
    if (start == len)
        return -EINVAL;

    window w{buf + start, static_cast<u32>(min<u64>(len - start, text_max))};
    bool hex_prefix = w.at(0) == '0' && (w.at(1) | 0x20) == 'x';
    if (!base)
        base = w.at(0) != '0' ? 10 : hex_prefix && digit_value(w.at(2)) >= 0 ? 16 : 8;
    long end = parse_digits(w, base == 16 && hex_prefix ? 2 : 0, base, &out->magnitude);
    if (end < 0)
        return end;
    out->consumed = static_cast<long>(start) + end;
    return 0;
}

}  // namespace

u64 bpf_strncmp(u64 r1, u64 r2, u64 r3, u64, u64) {
    const u8 *a = ptr_of<const u8>(r1), *b = ptr_of<const u8>(r3);
    for (u32 i = 0, n = static_cast<u32>(r2); i < n; i++) {
        if (a[i] != b[i])
            return helper_errno(a[i] < b[i] ? -1 : 1);
        if (!a[i])
            break;
    }
    return 0;
}

u64 bpf_strtol(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    s64 *res = ptr_of<s64>(r4);
    parsed v;
    *res = 0;
    long err = parse(ptr_of<const char>(r1), r2, r3, &v);
    if (err < 0)
        return helper_errno(err);
    constexpr u64 top = 1ull << 63;
    if (v.negative ? v.magnitude > top : v.magnitude >= top)
        return helper_errno(-ERANGE);
    *res = static_cast<s64>(v.negative ? 0 - v.magnitude : v.magnitude);
    return helper_errno(v.consumed);
}

u64 bpf_strtoul(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u64 *res = ptr_of<u64>(r4);
    parsed v;
    *res = 0;
    long err = parse(ptr_of<const char>(r1), r2, r3, &v);
    if (err < 0)
        return helper_errno(err);
    if (v.negative)
        return helper_errno(-EINVAL);
    *res = v.magnitude;
    return helper_errno(v.consumed);
}

}  // namespace modbpf
