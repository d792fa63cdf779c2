// SPDX-License-Identifier: GPL-2.0-only
// Images that can be run anywhere in this process: native code of the kernel's JIT or of modbpf's, copied, with what leaves it redirected.
#pragma once

#include "base/types.h"

#include <string>
#include <vector>

namespace modbpf::bench {

/// Native code as its translator gave it, and the addresses that its functions were made for.
struct native_code {
    std::vector<u8> text;
    struct function {
        u64 address;
        u32 offset, size; ///< in `text`
    };
    std::vector<function> functions;
    u32 data_at = 0, data_end_at = 0; ///< where the run-time context has the packet's ends
    u32 insns = 0;
    double translation_ns = 0; ///< 0: not known
};

/// A copy of `code` in executable memory. Jumps out of it return as the kernel does (thunk.S); calls out of it trap.
class image {
public:
    static constexpr u32 starts = 64; ///< possible start offsets within a cache line
    image() = default;
    image(const image &) = delete;
    ~image();
    /// False, with a message: the code cannot be decoded, or memory is missing.
    bool load(const native_code &code);
    /// Moves the code so that its entry lies at `offset` (below `starts`) of a cache line.
    void place(u32 offset);
    u32 run(const void *context) const { return static_cast<u32>(entry_(context)); }

private:
    struct exit {
        u32 at; ///< of the displacement
        u32 inside; ///< offset of its target in the text, or `outside`
        bool call;
    };
    static constexpr u32 outside = ~0u;
    bool find_exits(const native_code &code, const native_code::function &f);
    const native_code *code_ = nullptr;
    std::vector<exit> exits_;
    u8 *memory_ = nullptr;
    u64 (*entry_)(const void *) = nullptr;
};

/// Whether the code returns through a thunk: its last instruction is a jump, not a return.
bool returns_by_thunk(const native_code &code);

/// The entry's code and every function behind it, disassembled.
std::string listing(const native_code &code);

} // namespace modbpf::bench
