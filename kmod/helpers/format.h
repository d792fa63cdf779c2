// SPDX-License-Identifier: GPL-2.0-only
// format: the printf language of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf.
//
// A directive is % [0 + - space]* [width] and one of
//     d i u x X, each also with l or ll;  c;  s;
//     p (hashed), pK (as kptr_restrict says), px (plain), ps pS pB (symbol), pks pus (kernel, user string),
//     pi4 pI4 pi6 pI6 (address that the argument points to).
// What else follows a p after these is skipped in the output if it is a letter or a digit, as the kernel's printf does.
//
// A format may lie in memory that others write meanwhile (a map value): every walk is bounded by its size, and the
// second pass trusts nothing that the first one found.
//
// Formatting has two passes: collect() checks everything and fetches what pointers point to, into a scratch buffer;
// render() then writes the text. So output is touched only when nothing can fail any more. Any context; no allocation.
#pragma once

#include "base/result.h"
#include "base/types.h"

namespace modbpf {

inline constexpr u32 format_max_args = 12;    ///< MAX_BPRINTF_VARARGS
inline constexpr u32 format_fetched = 512;    ///< MAX_BPRINTF_BIN_ARGS: bytes that all arguments of one call may take
inline constexpr u32 format_line_max = 1024;  ///< MAX_BPRINTF_BUF

enum class directive_kind : u8 {
    end,
    text,    ///< a run of plain characters (and %% as one '%')
    number,  ///< d i u x X
    character,
    string,         ///< fetched; padded to the width
    symbol,         ///< %ps %pS
    pointer,        ///< %p %pK %px
    fetched_plain,  ///< %pks %pus %pB %pi4...: fetched; Linux ignores the width
};

struct directive {
    directive_kind kind;
    bool left, plus, space, zero;
    s32 width;
    u8 conversion;   ///< d u x X; s, k, u: whose string; S, s, B: symbol; p, K, x; 4, 6: address
    u8 bytes;        ///< number: 4 or 8
    bool padded_ip;  ///< %pi4, %pi6: leading zeros and no colons
    const char *text;
    u32 length;
};

/// Walks a format up to its NUL or its size.
class format_reader {
public:
    format_reader(const char *fmt, u32 size) : p_(fmt), end_(fmt + size) {}
    /// The next directive. EINVAL when it is none, or a character is not printable ASCII, white space or above 0x7f.
    status next(directive *d);

private:
    status directive_at(directive *d);
    status pointer_at(directive *d);
    char peek(u32 i = 0) const { return p_ + i < end_ ? __atomic_load_n(p_ + i, __ATOMIC_RELAXED) : '\0'; }
    const char *p_;
    const char *end_;
};

/// Room for one call. Not on the stack: too large for a program's path.
struct format_scratch {
    char fetched[format_fetched];
    char symbol[600];  ///< one symbol with offset, size and module
};

/// First pass. EINVAL: bad format, or fewer arguments than directives; ENOSPC: the arguments do not fit. Without
/// scratch it only checks. -> number of directives that take an argument.
result<u32> format_collect(const char *fmt, u32 fmt_size, const u64 *args, u32 arg_count, format_scratch *scratch);
/// Second pass, with what the first one fetched. -> length of the whole text; buf is terminated if size > 0.
u32 format_render(char *buf, u32 size, const char *fmt, u32 fmt_size, const u64 *args, u32 arg_count,
                  format_scratch *scratch);

}  // namespace modbpf
