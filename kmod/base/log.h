// SPDX-License-Identifier: GPL-2.0-only
// verifier_log: the text that PROG_LOAD and BTF_LOAD give back, with Linux's rolling and fixed (BPF_LOG_FIXED) buffers.
//
// Linux 6.4 and later: without BPF_LOG_FIXED the buffer keeps the last log_size-1 bytes of a log that is too long; with it,
// the first. In both cases the load then fails with ENOSPC. log_true_size is the full length with the NUL in either case. A rolling log
// goes to user memory when a page of it is there, and at the end; a fixed one line by line, since what a reset leaves of it shows.
// A fault makes finalize() return EFAULT. Level 0: nothing is kept. Task context; not shared.
#pragma once

#include "base/bpf.h"
#include "base/memory.h"
#include "base/result.h"
#include "base/vec.h"

namespace modbpf {

class verifier_log {
public:
    verifier_log() = default;
    /// EINVAL for attributes that Linux refuses (size > 2^30 - 1 (UINT_MAX >> 2), buffer and level not both given or
    /// both absent, unknown level bits), ENOMEM.
    status init(u32 level, u64 user_buf, u32 size);

    bool enabled() const { return level_ != 0; }
    u32 level() const { return level_; }
    /// Truncates to `pos` (from position()): a path that was fine disappears from the log at level 1.
    void reset(u64 pos);
    u64 position() const { return end_; }

    [[gnu::cold]] void printf(const char *fmt, ...) __attribute__((format(printf, 2, 3)));
    [[gnu::cold]] void vprintf(const char *fmt, __builtin_va_list args);

    /// Writes the NUL and puts a rolling log in order. *true_size: bytes of the whole text with the NUL (0 at level 0 with no buffer).
    /// ENOSPC when the text did not fit, EFAULT when user memory was bad.
    status finalize(u32 *true_size);

private:
    void append_fixed(char *text, u32 n);
    void append_rolling(u32 n);
    void flush(u32 n);
    void fail() { buf_ = 0, fault_ = true; }

    u32 level_ = 0;
    u32 size_ = 0;
    u64 buf_ = 0;     ///< user address; 0 when there is none or after a fault
    u64 start_ = 0;   ///< text position of the first byte kept
    u64 end_ = 0;     ///< text position behind the last byte written
    u32 len_max_ = 0; ///< greatest length that the text had at any time, with the NUL
    bool fault_ = false;
    /// Rolling: the text [pending_at_, end_] with its NUL is not yet in user memory; nothing is before the first text or reset.
    /// Fixed: where a line is made.
    vec<char> pending_;
    u64 pending_at_ = 0;
    bool pending_any_ = false;
};

}  // namespace modbpf
