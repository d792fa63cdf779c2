// SPDX-License-Identifier: GPL-2.0-only
#include "btf/show.h"

#include "btf/format.h"

namespace modbpf {

namespace {

constexpr u32 indent_max = 32, name_room = 80, chain_max = 10; // Linux's
constexpr u32 chunk_size = 128; ///< bytes fetched at once

bool is_printable(u8 c) { return (c >= ' ' && c < 0x7f) || c >= 0xa0; }

u32 kind_bit(btf_kind k) { return 1u << static_cast<u32>(k); }

/// One walk over an object. A structure or array that is not the object itself is walked twice: first to see whether anything in it is
/// to be shown. Linux's walk leaves its marks in the state that the second one starts with, and so does this one.
class shower {
public:
    shower(const btf &types, u64 flags, text_out &out) : types_(types), out_(out), flags_(flags) {}

    status show(u32 id, u64 object) {
        const btf_type *t = types_.type(id);
        if (!t)
            return error(EINVAL);
        u32 size;
        if (types_.size_of(id, &size)) {
            object_ = object, object_size_ = size;
            if (size && !at(object, 1))
                return failed_; // nothing of it is there: no text either
        }
        value(t, id, object, 0);
        return failed_;
    }

private:
    void fail(int code) {
        if (failed_.ok())
            failed_ = error(code);
    }

    // ---- the object's bytes ----

    /// `size` bytes at `from`, at most a chunk, or null.
    const u8 *at(u64 from, u32 size) {
        if (from >= chunk_at_ && from + size <= chunk_at_ + chunk_)
            return bytes_ + (from - chunk_at_);
        u64 left = from - object_ < object_size_ ? object_size_ - (from - object_) : 0;
        u32 n = max(size, static_cast<u32>(min<u64>(left, chunk_size)));
        chunk_ = 0;
        if (port_probe_read_kernel(bytes_, from, n) < 0) {
            fail(EFAULT);
            return nullptr;
        }
        chunk_at_ = from;
        chunk_ = n;
        return bytes_;
    }

    // ---- text around a value ----

    bool compact() const { return flags_ & BTF_F_COMPACT; }
    void indent() {
        if (!compact())
            out_.pad(' ', static_cast<s32>(min(depth_, indent_max)));
    }
    void line_end() {
        if (!compact())
            out_.put('\n');
    }

    /// What a type is called: of typedefs the first, of pointers and arrays what they lead to.
    struct naming {
        const btf_type *last;
        const char *name = nullptr;
        u32 kinds = 0, pointers = 0, arrays = 0;
    };
    /// False: the chain is too long, or broken.
    bool follow(u32 id, naming *n) const {
        const btf_type *t = types_.type(id);
        for (u32 i = 0; t && i < chain_max; i++) {
            btf_kind k = t->kind();
            n->last = t;
            if (k == btf_kind::typedef_ && !n->name)
                n->name = types_.string(t->name_off);
            else if (k == btf_kind::pointer)
                n->pointers++;
            else if (k == btf_kind::array)
                n->arrays++;
            u32 to = k == btf_kind::array ? types_.tail<btf_array>(t)->type
                     : k == btf_kind::typedef_ || k == btf_kind::pointer ? t->size_or_type : 0;
            if (k == btf_kind::typedef_ || k == btf_kind::pointer || k == btf_kind::array)
                n->kinds |= kind_bit(k);
            if (!to)
                return true;
            t = types_.type(to);
            while (t && t->is_modifier() && t->kind() != btf_kind::typedef_)
                t = types_.type(t->size_or_type);
        }
        return false;
    }

    const char *text_or_empty(const char *s) const { return s ? s : ""; }

    /// .member = (struct name *[]){
    void name() {
        if (array_member_)
            return;
        naming n{};
        if (!follow(member_ ? member_->type : named_, &n))
            return;
        btf_kind k = n.last->kind();
        bool composite = n.last->is_composite(), pointer = n.kinds & kind_bit(btf_kind::pointer);
        const char *opens = pointer ? "" : n.kinds & kind_bit(btf_kind::array) ? "[" : composite ? "{" : "";
        if (flags_ & BTF_F_NONAME)
            return out_.put(opens);
        const char *prefix = n.kinds & kind_bit(btf_kind::typedef_) ? ""
                             : k == btf_kind::structure ? "struct"
                             : k == btf_kind::union_    ? "union"
                             : n.last->is_enum()        ? "enum"
                                                        : "";
        const char *type_name = text_or_empty(n.name ? n.name : types_.string(n.last->name_off));
        const char *member_name = member_ ? text_or_empty(types_.string(member_->name_off)) : "";
        char buf[name_room];
        text_out to(buf, name_room);
        if (*member_name) {
            to.put('.');
            to.put(member_name);
            to.put(" = ");
        }
        to.put('(');
        to.put(prefix);
        if (*prefix && *type_name)
            to.put(' ');
        to.put(type_name);
        if (n.pointers)
            to.put(' ');
        to.pad('*', static_cast<s32>(n.pointers));
        for (u32 i = 0; i < n.arrays; i++)
            to.put("[]");
        to.put(')');
        to.put(opens);
        to.finish();
        out_.put(buf);
    }

    /// One value, unless it is zero and such are left out. `put` writes it.
    template <class F> void emit(bool nonzero, F put) {
        if (!nonzero && !(flags_ & BTF_F_ZERO) && depth_)
            return;
        found_ = true;
        if (dry_)
            return;
        indent();
        name();
        put();
        if (depth_)
            out_.put(',');
        line_end();
    }
    void emit_signed(s64 v) {
        emit(v != 0, [&] { out_.put_signed(v); });
    }
    void emit_unsigned(u64 v) {
        emit(v != 0, [&] { out_.put_number(v); });
    }

    // ---- kinds ----

    void value(const btf_type *t, u32 id, u64 from, u32 bit) {
        switch (t->kind()) {
        case btf_kind::integer: return integer(t, id, from, bit);
        case btf_kind::pointer: return pointer(id, from);
        case btf_kind::array:
        case btf_kind::structure:
        case btf_kind::union_: return aggregate(t, id, from, bit);
        case btf_kind::enum_: return enumeration<btf_enum>(t, id, from);
        case btf_kind::enum64: return enumeration<btf_enum64>(t, id, from);
        case btf_kind::typedef_:
        case btf_kind::volatile_:
        case btf_kind::const_:
        case btf_kind::restrict_:
        case btf_kind::type_tag:
        case btf_kind::var: return resolved(t, id, from, bit);
        case btf_kind::datasec: return section(t, id, from, bit);
        default: return unsupported(t->kind());
        }
    }

    void unsupported(btf_kind k) {
        if (dry_)
            return;
        out_.put("<unsupported kind:");
        out_.put_number(static_cast<u32>(k));
        out_.put('>');
    }

    /// The kernel's own types go by the name that leads to them, others by what they are in the end.
    void resolved(const btf_type *t, u32 id, u64 from, u32 bit) {
        bool variable = t->kind() == btf_kind::var;
        u32 to = types_.skip_modifiers(variable ? t->size_or_type : id);
        const btf_type *what = types_.type(to);
        if (!what)
            return unsupported(btf_kind::unknown);
        value(what, variable || !types_.kernel ? to : id, from, bit);
    }

    void wide(u64 low, u64 high) {
        emit(low || high, [&] {
            out_.put("0x");
            if (high)
                out_.put_number(high, 16);
            out_.put_number(low, 16, high ? 16 : 1);
        });
    }

    /// `bits`, at most 128, from bit `bit` of the byte at `from`.
    void bit_field(u64 from, u32 bit, u32 bits) {
        u32 bytes = (bit + bits + 7) / 8;
        if (!bits || bits > 128 || bytes > 16)
            return;
        const u8 *p = at(from, bytes);
        if (!p)
            return;
        unsigned __int128 v = 0;
        memcpy(&v, p, bytes);
        v >>= bit;
        if (bits < 128)
            v &= (static_cast<unsigned __int128>(1) << bits) - 1;
        wide(static_cast<u64>(v), static_cast<u64>(v >> 64));
    }

    template <class T> T read(const u8 *p) const {
        T v;
        memcpy(&v, p, sizeof(v));
        return v;
    }

    void integer(const btf_type *t, u32 id, u64 from, u32 bit) {
        named_ = id;
        const auto *data = types_.tail<btf_int_data>(t);
        u32 bits = data->bits();
        bool is_signed = data->encoding() & BTF_INT_SIGNED;
        u32 first = bit + data->bit_offset();
        bool plain = !first && (bits == 8 || bits == 16 || bits == 32 || bits == 64);
        if (!plain)
            return bit_field(from + first / 8, first % 8, bits);
        const u8 *p = at(from, bits / 8);
        if (!p)
            return;
        if (bits == 8 && array_encoding_ == BTF_INT_CHAR && character(*p))
            return;
        u64 v = bits == 64 ? read<u64>(p) : bits == 32 ? read<u32>(p) : bits == 16 ? read<u16>(p) : *p;
        if (!is_signed)
            return emit_unsigned(v);
        u32 above = 64 - bits;
        emit_signed(static_cast<s64>(v << above) >> above);
    }

    /// An element of an array of characters: true when it is done with. What follows a zero is not shown.
    bool character(u8 c) {
        if (!c)
            terminated_ = true;
        if (terminated_)
            return true;
        if (!is_printable(c))
            return false;
        emit(true, [&] {
            out_.put('\'');
            out_.put(static_cast<char>(c));
            out_.put('\'');
        });
        return true;
    }

    void pointer(u32 id, u64 from) {
        named_ = id;
        const u8 *p = at(from, sizeof(u64));
        if (!p)
            return;
        u64 v = read<u64>(p);
        emit(v != 0, [&] {
            out_.put("0x");
            if (flags_ & BTF_F_PTR_RAW)
                return out_.put_number(v, 16, 16);
            char text[32];
            port_format_symbol(text, sizeof(text), 'p', v);
            out_.put(text);
        });
    }

    static u32 number_of(const btf_enum &e) { return static_cast<u32>(e.val); }
    static u64 number_of(const btf_enum64 &e) { return static_cast<u64>(e.val_hi32) << 32 | e.val_lo32; }

    template <class E> void enumeration(const btf_type *t, u32 id, u64 from) {
        named_ = id;
        u32 size = t->size_or_type;
        if (!size || size > sizeof(u64))
            return;
        const u8 *p = at(from, size);
        if (!p)
            return;
        u64 raw = 0;
        memcpy(&raw, p, size);
        u32 above = 64 - 8 * size;
        if (t->kind_flag())
            raw = static_cast<u64>(static_cast<s64>(raw << above) >> above);
        const E *e = types_.tail<E>(t);
        for (u32 i = 0; i < t->vlen(); i++)
            if (number_of(e[i]) == static_cast<decltype(number_of(e[i]))>(raw)) {
                const char *known = types_.string(e[i].name_off);
                return emit(true, [&] { out_.put(!known ? "(invalid-name-offset)" : *known ? known : "(anon)"); });
            }
        t->kind_flag() ? emit_signed(static_cast<s64>(raw)) : emit_unsigned(raw);
    }

    void section(const btf_type *t, u32 id, u64 from, u32 bit) {
        named_ = id;
        emit(true, [&] {
            out_.put("section (\"");
            out_.put(text_or_empty(types_.string(t->name_off)));
            out_.put("\") = {");
        });
        const auto *v = types_.tail<btf_var_secinfo>(t);
        for (u32 i = 0; i < t->vlen(); i++) {
            if (i && !dry_)
                out_.put(',');
            if (const btf_type *var = types_.type(v[i].type))
                value(var, v[i].type, from + v[i].offset, bit);
        }
    }

    void aggregate(const btf_type *t, u32 id, u64 from, u32 bit) {
        if (depth_ >= btf_show_nesting)
            return fail(E2BIG);
        const btf_member *member = member_;
        if (depth_ && !(flags_ & BTF_F_ZERO) && !dry_) {
            dry_ = true;
            found_ = false;
            walk(t, id, from, bit);
            dry_ = false;
            member_ = member;
            if (!found_)
                return;
        }
        walk(t, id, from, bit);
        if (dry_)
            member_ = member;
    }

    void walk(const btf_type *t, u32 id, u64 from, u32 bit) {
        bool array = t->kind() == btf_kind::array;
        named_ = id;
        if (array)
            begin_array(t);
        if (!dry_) {
            indent();
            name();
            line_end();
        }
        depth_++;
        array ? elements(t, from, bit) : members(t, from);
        depth_--;
        if (dry_)
            return;
        indent();
        out_.put(array ? ']' : '}');
        if (depth_)
            out_.put(compact() && t->kind() == btf_kind::union_ && !t->vlen() ? '|' : ',');
        line_end();
    }

    void begin_array(const btf_type *t) {
        const btf_type *e = types_.type(types_.skip_modifiers(types_.tail<btf_array>(t)->type));
        bool integers = e && e->kind() == btf_kind::integer;
        array_encoding_ = !integers ? 0 : e->size_or_type == 1 ? u32{BTF_INT_CHAR} : types_.tail<btf_int_data>(e)->encoding();
        terminated_ = false;
    }

    void elements(const btf_type *t, u64 from, u32 bit) {
        const auto *a = types_.tail<btf_array>(t);
        u32 resolved_id = types_.skip_modifiers(a->type), size = 0;
        const btf_type *e = types_.type(resolved_id);
        if (e && !types_.size_of(resolved_id, &size))
            size = 0;
        for (u32 i = 0; e && i < a->nelems && !terminated_ && failed_.ok(); i++) {
            array_member_ = true;
            member_ = nullptr;
            value(e, a->type, from + static_cast<u64>(i) * size, bit);
            array_member_ = false;
            member_ = nullptr;
        }
        array_encoding_ = 0;
        terminated_ = false;
    }

    void members(const btf_type *t, u64 from) {
        const auto *m = types_.tail<btf_member>(t);
        for (u32 i = 0; i < t->vlen(); i++) {
            const btf_type *mt = types_.type(m[i].type);
            if (!mt)
                continue;
            member_ = &m[i];
            u32 bit = m[i].bit_offset(t->kind_flag()), bits = m[i].bitfield_size(t->kind_flag());
            if (bits) {
                named_ = m[i].type;
                bit_field(from + bit / 8, bit % 8, bits);
            } else {
                value(mt, m[i].type, from + bit / 8, bit % 8);
            }
            member_ = nullptr;
        }
    }

    const btf &types_;
    text_out &out_;
    u64 flags_;
    u64 object_ = 0, object_size_ = 0;
    status failed_;
    u32 depth_ = 0;
    bool dry_ = false;          ///< only looks whether there is anything to show
    bool found_ = false;        ///< there is
    bool array_member_ = false; ///< elements have no names
    bool terminated_ = false;   ///< a zero ended an array of characters
    u32 array_encoding_ = 0;
    u32 named_ = 0;             ///< type whose name is shown, where it is not a member's
    const btf_member *member_ = nullptr;
    u64 chunk_at_ = 0;
    u32 chunk_ = 0; ///< bytes of the object in bytes_
    u8 bytes_[chunk_size];
};

}  // namespace

status btf_show(const btf &types, u32 id, u64 object, u64 flags, text_out &out) {
    shower s(types, flags, out);
    return s.show(id, object);
}

}  // namespace modbpf
