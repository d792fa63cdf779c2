// SPDX-License-Identifier: GPL-2.0-only
// The text of a scalar in the verifier's log, as Linux 6.12 writes it.
//
// Ranges that say nothing are left out; of the rest, those of one end (all "min", or all "max") with the same number are written
// once: "smin=umin=4,umax=9". Small numbers are decimal, others hexadecimal.
#include "port/port.h"
#include "verifier/scalar.h"

namespace modbpf {
namespace {

struct writer {
    char *buf;
    u32 size;
    u32 len = 0;

    void put(const char *fmt, ...) __attribute__((format(printf, 2, 3))) {
        __builtin_va_list args;
        __builtin_va_start(args, fmt);
        int n = port_vsnprintf(len < size ? buf + len : nullptr, len < size ? size - len : 0, fmt, args);
        __builtin_va_end(args);
        len += n > 0 ? static_cast<u32>(n) : 0;
    }
};

constexpr bool small_signed(s64 v) { return v >= -32768 && v <= 32767; }
constexpr bool small_unsigned(u64 v) { return v <= 65535; }

struct bound {
    const char *name;
    u64 value;
    bool is_signed;
    bool omit;

    bool negative() const { return is_signed && static_cast<s64>(value) < 0; }
};

/// A 32-bit signed bound is widened with its sign only where it will be written in decimal.
u64 widen(s32 v) { return small_signed(v) ? static_cast<u64>(static_cast<s64>(v)) : static_cast<u32>(v); }

void put_number(writer &w, const bound &b) {
    if (b.is_signed && small_signed(static_cast<s64>(b.value)))
        w.put("%lld", static_cast<s64>(b.value));
    else if (!b.is_signed && small_unsigned(b.value))
        w.put("%llu", b.value);
    else
        w.put("0x%llx", b.value);
}

}  // namespace

int scalar_format(char *buf, u32 size, const scalar &s) {
    writer w{buf, size};
    if (size)
        buf[0] = 0;
    if (s.is_const()) {
        bound b{"", s.value(), true, false};
        put_number(w, b);
        return static_cast<int>(w.len);
    }
    const scalar u = scalar::unknown();
    bound bounds[] = {
        {"smin", static_cast<u64>(s.smin), true, s.smin == u.smin},
        {"smax", static_cast<u64>(s.smax), true, s.smax == u.smax},
        {"umin", s.umin, false, s.umin == u.umin},
        {"umax", s.umax, false, s.umax == u.umax},
        {"smin32", widen(s.s32_min), true, s.s32_min == u.s32_min},
        {"smax32", widen(s.s32_max), true, s.s32_max == u.s32_max},
        {"umin32", s.u32_min, false, s.u32_min == u.u32_min},
        {"umax32", s.u32_max, false, s.u32_max == u.u32_max},
    };
    const char *sep = "";
    for (size_t i = 0; i < count_of(bounds); i++) {
        const bound &b = bounds[i];
        if (b.omit)
            continue;
        w.put("%s%s=", sep, b.name);
        sep = ",";
        for (size_t j = i + 2; j < count_of(bounds); j += 2) {
            bound &same = bounds[j];
            if (same.omit || same.value != b.value || same.negative() != b.negative())
                continue;
            same.omit = true;
            w.put("%s=", same.name);
        }
        put_number(w, b);
    }
    if (!s.bits.is_unknown())
        w.put("%svar_off=(0x%llx; 0x%llx)", sep, s.bits.value, s.bits.mask);
    return static_cast<int>(w.len);
}

}  // namespace modbpf
