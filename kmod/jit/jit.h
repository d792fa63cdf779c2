// SPDX-License-Identifier: GPL-2.0-only
// The x86-64 JIT: verified code to sealed native text.
//
// An image is one block of text that holds all subprograms of a program. It is written while writable, then sealed
// (read-only, executable), and freed by the owner after every possible runner is gone.
#pragma once

#include "helpers/helper.h"
#include "isa/code.h"

namespace modbpf {

struct jit_func {
    u32 insn;    ///< index of the subprogram's first instruction
    u32 offset;  ///< of its native code in the image
    u32 size;    ///< bytes
    u32 body;    ///< offset of what stands behind the look at its hook
};

class jit_image {
public:
    jit_image() = default;
    jit_image(jit_image &&o) noexcept;
    jit_image &operator=(jit_image &&o) noexcept;
    ~jit_image();  ///< frees the text; task context
    u64 (*entry() const)(const void *ctx);
    const void *tail_entry() const;  ///< where a tail call enters; see jit/frame.h
    span<const u8> text() const { return {static_cast<const u8 *>(text_), used_}; }  ///< the emitted bytes
    size_t allocated() const { return size_; }
    span<const jit_func> funcs() const { return funcs_.view(); }
    /// Native offset of each instruction of the code, for line info; the last entry is the end. The second of two
    /// instructions that became one, and the second word of a 64-bit load, have the offset of what follows.
    span<const u32> insn_offsets() const { return insn_offsets_.view(); }

private:
    friend struct jit_builder;
    void *pages_ = nullptr; ///< size_ bytes, of which used_ at text_ are code and the others int3
    void *text_ = nullptr;
    size_t size_ = 0;
    size_t used_ = 0;
    u32 entry_offset_ = 0;
    u32 tail_offset_ = 0;
    vec<jit_func> funcs_;
    vec<u32> insn_offsets_;
};

/// What the machine asks of generated code; the structure shares its name with the function that fills it.
using jit_machine = struct ::port_jit_env;

/// For tests, but for the hooks: what the image calls, and what the machine asks for. Null: the real ones.
struct jit_options {
    const helper_proto *(*helper)(u32 id) = nullptr;
    runnable *(*slot)(map *m, u32 index) = nullptr;
    bool (*packet)(const void *ctx, s32 off, u32 size, u64 *value) = nullptr;
    u64 (*near)(u64 fn) = nullptr; ///< a stand-in for a kernel function within the image's reach
    const jit_machine *env = nullptr;
    u32 passes = ~0u;  ///< of jit/passes.h, among those that are on
    bool thorough = false; ///< passes run where they do not pay, too
    bool blind = false; ///< constants of the program do not stand in the text: see docs/jit.md
    /// One a subprogram, which live as long as the image: each function first looks whether a text is there, and goes to it. Calls stay
    /// calls then. Null: functions begin at once.
    const code_hook *hooks = nullptr;
};

/// Turns passes on and off for programs to come, by a list: see parse_passes(). EINVAL, nothing changed. Any context.
status set_jit_passes(const char *list);

/// Translates and seals. ENOMEM; E2BIG when the image would not fit rel32; EINVAL never (the code is verified): what
/// cannot
/// be translated is a bug of ours and is reported (EFAULT). Task context.
result<jit_image> jit_compile(const code &c, const jit_options &options = {});

/// May the program, or what it hands its context on to, look at its context? False only when that is certain. Task context.
bool reads_context(const code &c);

}  // namespace modbpf
