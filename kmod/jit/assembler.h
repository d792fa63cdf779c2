// SPDX-License-Identifier: GPL-2.0-only
// assembler: a growing buffer of native code with labels and fix-ups, and the layout that gives every jump its size.
//
// Terms: a *fix-up* marks a place of the buffer whose bytes depend on where things end up: a jump (no bytes in the
// buffer yet), a
// 4-byte displacement, or alignment padding. resolve() decides between short and long jumps; emit() writes the text.
//
// Why the layout is sound (the class of CVE-2021-29154): jumps start short and only ever grow, so the loop ends; after
// the last
// pass every short jump was checked against the offsets of that same pass; emit() checks each displacement once more
// and
// reports a bug rather than emit a jump that does not land on its label.
//
// Task context. Owns its buffers. One thread.
#pragma once

#include "base/vec.h"
#include "jit/x86_encoder.h"

namespace modbpf {

enum class fixup_kind : u8 {
    jump,       ///< jmp to label, 2 or 5 bytes
    branch,     ///< jcc to label, 2 or 6 bytes
    rel_label,  ///< 4-byte displacement to a label (call, lea)
    rel_addr,   ///< 4-byte displacement to an absolute address (call, jmp)
    align,      ///< int3 up to a multiple of 16
};
struct fixup {
    u32 pos;  ///< in the buffer
    u32 label;
    u64 addr;
    fixup_kind kind;
    x86::cond cc;
    bool is_long;
};

class assembler {
public:
    assembler() = default;
    assembler(const assembler &) = delete;
    ~assembler() { port_scratch_free(buf_, cap_); }

    /// Labels 0..n-1 exist, unbound.
    status set_labels(u32 n) { return labels_.resize(n); }
    /// Makes room for one group: up to group_bytes of code and group_fixups fix-ups. ENOMEM; E2BIG for a monstrous
    /// program; EFAULT, reported, when a jump inside a group does not reach.
    status room() { return !e.too_far() && fixups_.has_room(group_fixups) && cap_ - here() >= group_bytes ? status() : make_room(); }
    static constexpr u32 group_bytes = 640;
    static constexpr u32 group_fixups = 16;

    x86::encoder e{nullptr};  ///< writes at the buffer's end; valid after room()

    void bind(u32 label) { labels_[label] = {here(), static_cast<u32>(fixups_.size())}; }
    void jump(u32 label) { add(fixup_kind::jump, label, 0); }
    void branch(x86::cond cc, u32 label) { add(fixup_kind::branch, label, 0, cc); }
    void call(u32 label) { e.call_rel32(0), add_rel(fixup_kind::rel_label, label, 0); }
    void call_addr(u64 addr) { e.call_rel32(0), add_rel(fixup_kind::rel_addr, 0, addr); }
    void jmp_addr(u64 addr) { e.jmp_rel32(0), add_rel(fixup_kind::rel_addr, 0, addr); }
    void lea(x86::reg dst, u32 label) { e.lea_rip(dst, 0), add_rel(fixup_kind::rel_label, label, 0); }
    void align() { add(fixup_kind::align, 0, 0); }

    /// Chooses jump sizes. -> bytes of text. ENOMEM, E2BIG.
    result<u32> resolve();
    /// After resolve(): a label's offset in the text.
    u32 offset(u32 label) const {
        const place_of &l = labels_[label];
        return l.pos + added_[l.fixups];
    }
    /// Writes the text that will run at its own address. E2BIG: an address is out of rel32 reach; EFAULT: a bug of
    /// ours.
    status emit(u8 *text, u32 size) const;

private:
    struct place_of {
        u32 pos = 0;
        u32 fixups = 0;  ///< how many lie before it
    };
    u32 here() const { return static_cast<u32>(e.at() - buf_); }
    status make_room();
    void add(fixup_kind kind, u32 label, u64 addr, x86::cond cc = x86::cond::e);
    void add_rel(fixup_kind kind, u32 label, u64 addr);
    static u32 size_of(const fixup &f, u32 at);
    u32 measure();
    bool grow(bool all);
    status emit_fixup(const fixup &f, u8 *text, u32 at) const;

    u8 *buf_ = nullptr;
    u32 cap_ = 0;
    scratch_vec<fixup> fixups_;
    scratch_vec<place_of> labels_;
    scratch_vec<u32> added_;  ///< by fix-up: bytes that the fix-ups before it add to the buffer
};

}  // namespace modbpf
