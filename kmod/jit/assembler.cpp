// SPDX-License-Identifier: GPL-2.0-only
#include "jit/assembler.h"

namespace modbpf {

namespace {
constexpr u32 max_text = 1u << 29;  ///< a quarter of rel32's reach
constexpr u32 max_passes = 32;      ///< then all jumps that are left become long
}  // namespace

status assembler::make_room() {
    if (MODBPF_BUG_ON(e.too_far()))
        return error(EFAULT);
    u32 used = buf_ ? here() : 0;
    TRY(fixups_.reserve(fixups_.size() + group_fixups));
    if (cap_ - used >= group_bytes)
        return {};
    if (used > max_text)
        return error(E2BIG);
    u32 cap = max(cap_ + cap_ / 2, 4096u - group_bytes) + group_bytes;
    u8 *p = static_cast<u8 *>(port_scratch_alloc(cap));
    if (!p)
        return error(ENOMEM);
    if (used)
        memcpy(p, buf_, used);
    port_scratch_free(buf_, cap_);
    buf_ = p;
    cap_ = cap;
    e = x86::encoder(buf_ + used);
    return {};
}

void assembler::add(fixup_kind kind, u32 label, u64 addr, x86::cond cc) {
    // room() made the place, so that this cannot fail.
    status s = fixups_.push({here(), label, addr, kind, cc, false});
    static_cast<void>(MODBPF_BUG_ON(!s.ok()));
}
/// For a displacement that was just written as the last 4 bytes.
void assembler::add_rel(fixup_kind kind, u32 label, u64 addr) {
    add(kind, label, addr);
    fixups_.back().pos -= 4;
}

/// Bytes that a fix-up adds to what is in the buffer, when it starts at offset `at` of the text.
u32 assembler::size_of(const fixup &f, u32 at) {
    switch (f.kind) {
        case fixup_kind::jump:
            return f.is_long ? 5 : 2;
        case fixup_kind::branch:
            return f.is_long ? 6 : 2;
        case fixup_kind::align:
            return -at & 15;
        default:
            return 0;
    }
}

/// One pass of layout. -> size of the text.
u32 assembler::measure() {
    u32 extra = 0;
    for (size_t i = 0; i < fixups_.size(); i++) {
        added_[i] = extra;
        extra += size_of(fixups_[i], fixups_[i].pos + extra);
    }
    added_[fixups_.size()] = extra;
    return here() + extra;
}

/// Makes long what does not reach (or all). -> whether anything changed.
bool assembler::grow(bool all) {
    bool changed = false;
    for (size_t i = 0; i < fixups_.size(); i++) {
        fixup &f = fixups_[i];
        if (f.is_long || (f.kind != fixup_kind::jump && f.kind != fixup_kind::branch))
            continue;
        s64 from = static_cast<s64>(f.pos) + added_[i] + 2;
        if (all || !x86::fits_s8(static_cast<s64>(offset(f.label)) - from))
            f.is_long = changed = true;
    }
    return changed;
}

result<u32> assembler::resolve() {
    if (MODBPF_BUG_ON(e.too_far()))
        return error(EFAULT);
    TRY(added_.resize(fixups_.size() + 1));
    u32 size = measure();
    for (u32 pass = 0; grow(pass >= max_passes); pass++)
        size = measure();
    if (size > max_text)
        return error(E2BIG);
    return size;
}

status assembler::emit_fixup(const fixup &f, u8 *text, u32 at) const {
    x86::encoder out(text + at);
    if (f.kind == fixup_kind::align) {
        for (u32 n = size_of(f, at); n; n--)
            out.int3();
        return {};
    }
    if (f.kind == fixup_kind::rel_label || f.kind == fixup_kind::rel_addr) {
        u64 target = f.kind == fixup_kind::rel_label ? addr_of(text + offset(f.label)) : f.addr;
        s64 rel = static_cast<s64>(target - addr_of(text + at + 4));
        if (!x86::fits_s32(rel))
            return error(E2BIG);
        out.imm32(static_cast<s32>(rel));
        return {};
    }
    s64 rel = static_cast<s64>(offset(f.label)) - (static_cast<s64>(at) + size_of(f, at));
    if (MODBPF_BUG_ON(!f.is_long && !x86::fits_s8(rel)))
        return error(EFAULT);
    if (f.kind == fixup_kind::jump)
        f.is_long ? out.jmp_rel32(static_cast<s32>(rel)) : out.jmp_rel8(static_cast<s8>(rel));
    else
        f.is_long ? out.jcc_rel32(f.cc, static_cast<s32>(rel)) : out.jcc_rel8(f.cc, static_cast<s8>(rel));
    return {};
}

status assembler::emit(u8 *text, u32 size) const {
    u32 from = 0, at = 0;
    for (size_t i = 0; i <= fixups_.size(); i++) {
        u32 to = i < fixups_.size() ? fixups_[i].pos : here();
        if (MODBPF_BUG_ON(to < from || at + (to - from) > size || at != from + added_[i]))
            return error(EFAULT);
        memcpy(text + at, buf_ + from, to - from);
        at += to - from;
        from = to;
        if (i == fixups_.size())
            break;
        const fixup &f = fixups_[i];
        bool in_place = f.kind == fixup_kind::rel_label || f.kind == fixup_kind::rel_addr;
        u32 bytes = in_place ? 4 : size_of(f, at);
        if (MODBPF_BUG_ON(at + bytes > size))
            return error(EFAULT);
        TRY(emit_fixup(f, text, at));
        at += bytes;
        if (in_place)
            from += 4;
    }
    if (MODBPF_BUG_ON(at != size))
        return error(EFAULT);
    return {};
}

}  // namespace modbpf
