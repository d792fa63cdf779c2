// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/format.h"

#include "base/text_out.h"
#include "helpers/helper.h"
#include "port/port.h"

namespace modbpf {

namespace {

// The kernel's character classes: ASCII, and Latin-1 above.
bool is_space(u8 c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}
bool is_digit(u8 c) {
    return c >= '0' && c <= '9';
}
bool is_alnum(u8 c) {
    u8 lower = c | 0x20;
    return is_digit(c) || (lower >= 'a' && lower <= 'z') || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}
/// NUL, white space or punctuation: what may follow %s and %p.
bool ends_directive(u8 c) {
    return !c || is_space(c) || (c > ' ' && c != 0x7f && c < 0x80 && !is_alnum(c)) || (c > 0xa0 && !is_alnum(c));
}
bool is_plain(u8 c) {
    return c >= 0x80 || is_space(c) || (c >= ' ' && c < 0x7f);
}

/// Where the next argument lies in the kernel's packed form; both passes walk it alike. Only fetched strings are
/// stored.
class packed_args {
public:
    explicit packed_args(char *buf) : buf_(buf) {}
    u32 room() const { return format_fetched - used_; }
    char *here() { return buf_ + used_; }
    /// Length of the string here; room() when it does not end.
    u32 length() const {
        u32 n = 0;
        while (n < room() && buf_[used_ + n])
            n++;
        return n;
    }
    bool take_word(u32 bytes) {
        used_ = static_cast<u32>(align_up(used_, 4));
        return take(bytes);
    }
    bool take(u32 bytes) {
        if (bytes > room())
            return false;
        used_ += bytes;
        return true;
    }

private:
    char *buf_;
    u32 used_ = 0;
};

u32 format_ip4(char *out, const u8 *ip, bool padded) {
    u32 n = 0;
    for (u32 i = 0; i < 4; i++) {
        u8 v = ip[i];
        if (i)
            out[n++] = '.';
        if (padded || v >= 100)
            out[n++] = static_cast<char>('0' + v / 100);
        if (padded || v >= 10)
            out[n++] = static_cast<char>('0' + v / 10 % 10);
        out[n++] = static_cast<char>('0' + v % 10);
    }
    out[n] = '\0';
    return n;
}

u32 format_ip6(char *out, const u8 *ip, bool padded) {
    constexpr char hex[] = "0123456789abcdef";
    u32 n = 0;
    for (u32 i = 0; i < 16; i++) {
        if (i && i % 2 == 0 && !padded)
            out[n++] = ':';
        out[n++] = hex[ip[i] >> 4];
        out[n++] = hex[ip[i] & 15];
    }
    out[n] = '\0';
    return n;
}

status fetch_address(const directive &d, u64 arg, packed_args &packed) {
    u8 ip[16] = {};
    char text[40];
    u32 bytes = d.conversion == '4' ? 4 : 16;
    if (bytes > packed.room())
        return error(ENOSPC);
    if (port_probe_read_kernel(ip, arg, bytes) < 0)
        memset(ip, 0, sizeof(ip));
    u32 n = bytes == 4 ? format_ip4(text, ip, d.padded_ip) : format_ip6(text, ip, d.padded_ip);
    char *to = packed.here();
    if (!packed.take(n + 1))
        return error(ENOSPC);
    memcpy(to, text, n + 1);
    return {};
}

status fetch_symbol(u64 arg, format_scratch &scratch, packed_args &packed) {
    port_format_symbol(scratch.symbol, sizeof(scratch.symbol), 'B', arg);
    u32 n = static_cast<u32>(strlen(scratch.symbol));
    char *to = packed.here();
    if (!packed.take(n + 1))
        return error(ENOSPC);
    memcpy(to, scratch.symbol, n + 1);
    return {};
}

// A string that cannot be read is an empty one.
status fetch_string(const directive &d, u64 arg, packed_args &packed) {
    if (!packed.room())
        return error(ENOSPC);
    char *to = packed.here();
    bool user = d.conversion == 'u' || (d.conversion == 's' && !(arg >> 63));
    long n =
        user ? port_probe_read_user_str(to, arg, packed.room()) : port_probe_read_kernel_str(to, arg, packed.room());
    if (n < 1 || n > static_cast<long>(packed.room())) {
        *to = '\0';
        n = 1;
    }
    packed.take(static_cast<u32>(n));
    return {};
}

/// Checks room for d's argument and fetches what must be fetched.
status collect_one(const directive &d, u64 arg, format_scratch &scratch, packed_args &packed) {
    switch (d.kind) {
        case directive_kind::number:
            return packed.take_word(d.bytes) ? status{} : error(ENOSPC);
        case directive_kind::symbol:
        case directive_kind::pointer:
            return packed.take_word(8) ? status{} : error(ENOSPC);
        case directive_kind::character:
            return packed.take(1) ? status{} : error(ENOSPC);
        case directive_kind::string:
            return fetch_string(d, arg, packed);
        case directive_kind::fetched_plain:
            if (d.conversion == 'B')
                return fetch_symbol(arg, scratch, packed);
            if (d.conversion == '4' || d.conversion == '6')
                return fetch_address(d, arg, packed);
            return fetch_string(d, arg, packed);
        default:
            return {};
    }
}

void render_digits(text_out &out, const directive &d, u64 value, u32 base, bool upper, char sign, s32 width,
                   bool zero) {
    char digits[24];
    u32 n = 0;
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    do
        digits[n++] = set[value % base];
    while (value /= base);
    s32 pad = width - static_cast<s32>(n) - (sign ? 1 : 0);
    zero = zero && !d.left;
    if (!zero && !d.left)
        out.pad(' ', pad);
    if (sign)
        out.put(sign);
    if (zero)
        out.pad('0', pad);
    while (n)
        out.put(digits[--n]);
    if (d.left)
        out.pad(' ', pad);
}

void render_number(text_out &out, const directive &d, u64 arg) {
    if (d.conversion == 'd') {
        s64 v = d.bytes == 8 ? static_cast<s64>(arg) : static_cast<s32>(arg);
        char sign = v < 0 ? '-' : d.plus ? '+' : d.space ? ' ' : '\0';
        u64 magnitude = v < 0 ? 0 - static_cast<u64>(v) : static_cast<u64>(v);
        render_digits(out, d, magnitude, 10, false, sign, d.width, d.zero);
        return;
    }
    u64 v = d.bytes == 8 ? arg : static_cast<u32>(arg);
    render_digits(out, d, v, d.conversion == 'u' ? 10 : 16, d.conversion == 'X', '\0', d.width, d.zero);
}

void render_padded(text_out &out, const directive &d, const char *s, u32 n) {
    s32 pad = d.width - static_cast<s32>(n);
    if (!d.left)
        out.pad(' ', pad);
    out.put(s, n);
    if (d.left)
        out.pad(' ', pad);
}

void render_address(text_out &out, const directive &d, u64 value) {
    bool no_width = d.width < 0;
    render_digits(out, d, value, 16, false, '\0', no_width ? 16 : d.width, no_width || d.zero);
}

// %p and %pK: the port says what may be shown: 16 hexadecimal digits, or a word that is shown as it is.
void render_pointer(text_out &out, const directive &d, u64 arg, format_scratch &scratch) {
    if (d.conversion == 'x')
        return render_address(out, d, arg);
    port_format_symbol(scratch.symbol, sizeof(scratch.symbol), static_cast<char>(d.conversion), arg);
    u64 value = 0;
    const char *p = scratch.symbol;
    for (; is_digit(static_cast<u8>(*p)) || (*p >= 'a' && *p <= 'f'); p++)
        value = value << 4 | static_cast<u64>(*p <= '9' ? *p - '0' : *p - 'a' + 10);
    if (*p || p - scratch.symbol != 16)
        return render_padded(out, d, scratch.symbol, static_cast<u32>(strlen(scratch.symbol)));
    render_address(out, d, value);
}

void render_one(text_out &out, const directive &d, u64 arg, format_scratch &scratch, packed_args &packed) {
    const char *fetched;
    u32 length;
    switch (d.kind) {
        case directive_kind::number:
            packed.take_word(d.bytes);
            return render_number(out, d, arg);
        case directive_kind::pointer:
            packed.take_word(8);
            return render_pointer(out, d, arg, scratch);
        case directive_kind::symbol:
            packed.take_word(8);
            port_format_symbol(scratch.symbol, sizeof(scratch.symbol), static_cast<char>(d.conversion), arg);
            return render_padded(out, d, scratch.symbol, static_cast<u32>(strlen(scratch.symbol)));
        case directive_kind::character:
            packed.take(1);
            if (!d.left)
                out.pad(' ', d.width - 1);
            out.put(static_cast<char>(arg));
            if (d.left)
                out.pad(' ', d.width - 1);
            return;
        case directive_kind::string:
        case directive_kind::fetched_plain:
            fetched = packed.here();
            length = packed.length();
            packed.take(length + 1);
            if (d.kind == directive_kind::string)
                render_padded(out, d, fetched, length);
            else if (!out.full())  // Linux does not count what it has no room for here
                out.put(fetched, length);
            return;
        default:
            return;
    }
}

}  // namespace

status format_reader::next(directive *d) {
    *d = {};
    const char *start = p_;
    if (peek() == '%' && peek(1) == '%') {
        d->kind = directive_kind::text;
        d->text = p_;
        d->length = 1;
        p_ += 2;
        return {};
    }
    if (peek() == '%') {
        p_++;
        return directive_at(d);
    }
    for (char c; (c = peek()) && c != '%'; p_++)
        if (!is_plain(static_cast<u8>(c)))
            return error(EINVAL);
    d->kind = p_ == start ? directive_kind::end : directive_kind::text;
    d->text = start;
    d->length = static_cast<u32>(p_ - start);
    return {};
}

status format_reader::directive_at(directive *d) {
    for (;; p_++) {
        char flag = peek();
        if (flag == '0')
            d->zero = true;
        else if (flag == '+')
            d->plus = true;
        else if (flag == '-')
            d->left = true;
        else if (flag == ' ')
            d->space = true;
        else
            break;
    }
    d->width = -1;
    if (is_digit(static_cast<u8>(peek()))) {
        u32 w = 0;
        for (char c; is_digit(static_cast<u8>(c = peek())); p_++)
            w = w * 10 + static_cast<u32>(c - '0');
        d->width = static_cast<s32>(w << 8) >> 8;  // the kernel keeps 24 bits
    }
    char c = peek();
    if (c == 'p') {
        p_++;
        return pointer_at(d);
    }
    if (c == 's' || c == 'c') {
        p_++;
        d->kind = c == 's' ? directive_kind::string : directive_kind::character;
        d->conversion = static_cast<u8>(c);
        return c == 's' && !ends_directive(static_cast<u8>(peek())) ? error(EINVAL) : status{};
    }
    d->bytes = 4;
    for (u32 i = 0; i < 2 && peek() == 'l'; i++, p_++)
        d->bytes = 8;
    c = peek();
    if (c != 'd' && c != 'i' && c != 'u' && c != 'x' && c != 'X')
        return error(EINVAL);
    p_++;
    d->kind = directive_kind::number;
    d->conversion = static_cast<u8>(c == 'i' ? 'd' : c);
    return {};
}

status format_reader::pointer_at(directive *d) {
    char c = peek(), after = peek(1);
    if (ends_directive(static_cast<u8>(c))) {
        d->kind = directive_kind::pointer;
        d->conversion = 'p';
        return {};
    }
    d->conversion = static_cast<u8>(c);
    p_++;
    if (c == 'K' || c == 'x') {
        d->kind = directive_kind::pointer;
    } else if (c == 's' || c == 'S') {
        d->kind = directive_kind::symbol;
    } else if (c == 'B') {
        d->kind = directive_kind::fetched_plain;
    } else if ((c == 'k' || c == 'u') && after == 's') {
        p_++;
        d->kind = directive_kind::fetched_plain;
        if (!ends_directive(static_cast<u8>(peek())))
            return error(EINVAL);
    } else if ((c == 'i' || c == 'I') && (after == '4' || after == '6')) {
        p_++;
        d->kind = directive_kind::fetched_plain;
        d->conversion = static_cast<u8>(after);
        d->padded_ip = c == 'i';
    } else {
        return error(EINVAL);
    }
    while (is_alnum(static_cast<u8>(peek())))
        p_++;
    return {};
}

result<u32> format_collect(const char *fmt, u32 fmt_size, const u64 *args, u32 arg_count, format_scratch *scratch) {
    format_reader reader(fmt, fmt_size);
    packed_args packed(scratch ? scratch->fetched : nullptr);
    u32 used = 0;
    for (;;) {
        directive d;
        TRY(reader.next(&d));
        if (d.kind == directive_kind::end)
            return used;
        if (d.kind == directive_kind::text)
            continue;
        if (used >= arg_count)
            return error(EINVAL);
        if (scratch)
            TRY(collect_one(d, args[used], *scratch, packed));
        used++;
    }
}

u32 format_render(char *buf, u32 size, const char *fmt, u32 fmt_size, const u64 *args, u32 arg_count,
                  format_scratch *scratch) {
    format_reader reader(fmt, fmt_size);
    packed_args packed(scratch->fetched);
    text_out out(buf, size);
    for (u32 used = 0;;) {
        directive d;
        if (!reader.next(&d).ok() || d.kind == directive_kind::end)
            return out.finish();
        if (d.kind == directive_kind::text) {
            out.put(d.text, d.length);
            continue;
        }
        if (used >= arg_count)
            return out.finish();
        render_one(out, d, args[used++], *scratch, packed);
    }
}

result<u32> check_format(const char *fmt, u32 size) {
    u32 n = 0;
    while (n < size && fmt[n])
        n++;
    if (n == size)
        return error(EINVAL);
    return format_collect(fmt, n, nullptr, ~0u, nullptr);
}

}  // namespace modbpf
