// SPDX-License-Identifier: GPL-2.0-only
// The verifier's log in user memory, in both of Linux's modes. Positions count bytes of the whole text since its start.
//
// Rolling mode writes the text with its NUL into the user buffer as into a ring, at position modulo size; the bytes kept are
// [start_, end_], whether they are in the ring or still pending: a verifier that explores leaves little of what it prints, and a copy to
// user memory costs more than a line. finalize() then rotates the ring in place by three reversals, through a small buffer of ours, because the
// user's buffer may be huge.
#include "base/log.h"

#include "port/port.h"

namespace modbpf {
namespace {

constexpr u32 line_max = 1024;    ///< bytes of one printf with the NUL, as in Linux; what is longer is cut
constexpr u32 pending_max = 4096; ///< a kernel page: room for some dozens of lines, and for a greatest one behind them

void reverse(char *p, u32 n) {
    for (u32 i = 0; i < n / 2; i++)
        swap(p[i], p[n - 1 - i]);
}

/// Reverses user bytes [from, to), a chunk from each end at a time. False: fault.
bool reverse_user(u64 buf, u64 from, u64 to) {
    char left[128], right[128];
    while (to - from > 1) {
        u32 n = static_cast<u32>(min<u64>(sizeof(left), (to - from) / 2));
        if (port_copy_from_user(left, buf + from, n) || port_copy_from_user(right, buf + to - n, n))
            return false;
        reverse(left, n), reverse(right, n);
        if (port_copy_to_user(buf + from, right, n) || port_copy_to_user(buf + to - n, left, n))
            return false;
        from += n, to -= n;
    }
    return true;
}

}  // namespace

status verifier_log::init(u32 level, u64 user_buf, u32 size) {
    if ((user_buf != 0) != (size != 0) || (user_buf && !level) || (level & ~BPF_LOG_MASK) || size > ~0u >> 2)
        return error(EINVAL);
    if (level)
        TRY(pending_.resize_zeroed(pending_max));
    level_ = level, buf_ = user_buf, size_ = size;
    return {};
}

/// Writes the n bytes that are pending, with their NUL or without it, to their places in the ring.
void verifier_log::flush(u32 n) {
    u32 keep = min(n, size_);
    const char *text = pending_.data() + n - keep;
    u64 from = pending_at_ + n - keep;
    pending_at_ = end_;
    if (!buf_ || !keep)
        return;
    u32 at = static_cast<u32>(from % size_);
    u32 first = min(keep, size_ - at);
    if (port_copy_to_user(buf_ + at, text, first) || (keep > first && port_copy_to_user(buf_, text + first, keep - first)))
        fail();
}

void verifier_log::append_fixed(char *text, u32 n) {
    u64 pos = end_;
    u32 fits = pos < size_ ? static_cast<u32>(min<u64>(size_ - pos, n)) : 0;
    end_ += n - 1;
    pending_at_ = end_;
    if (!fits || !buf_)
        return;
    text[fits - 1] = 0;
    if (port_copy_to_user(buf_ + pos, text, fits))
        fail();
}

/// Counts n bytes, with the NUL, that stand behind the text that is pending.
void verifier_log::append_rolling(u32 n) {
    u64 after = end_ + n;
    if (after - start_ >= size_)
        start_ = after - size_;
    end_ = after - 1;
    pending_any_ = true;
}

void verifier_log::vprintf(const char *fmt, __builtin_va_list args) {
    if (!level_)
        return;
    if (end_ - pending_at_ + line_max > pending_max)
        flush(static_cast<u32>(end_ - pending_at_));
    char *line = pending_.data() + (end_ - pending_at_);
    int len = port_vsnprintf(line, line_max, fmt, args);
    if (len < 0)
        return;
    u32 n = min<u32>(static_cast<u32>(len), line_max - 1) + 1; // with the NUL
    len_max_ = static_cast<u32>(min<u64>(max<u64>(len_max_, end_ + n), ~0u));
    if (level_ & BPF_LOG_FIXED)
        append_fixed(line, n);
    else
        append_rolling(n);
}

void verifier_log::printf(const char *fmt, ...) {
    __builtin_va_list args;
    __builtin_va_start(args, fmt);
    vprintf(fmt, args);
    __builtin_va_end(args);
}

void verifier_log::reset(u64 pos) {
    if (MODBPF_BUG_ON(pos > end_) || !level_)
        return;
    end_ = pos;
    start_ = min(start_, pos);
    if (!(level_ & BPF_LOG_FIXED)) {
        pending_at_ = min(pending_at_, pos);
        pending_[pos - pending_at_] = 0;
        pending_any_ = true;
        return;
    }
    pending_at_ = pos;
    // As in Linux, the NUL of a fixed log goes one byte behind the new end; the next text overwrites both.
    const char nul = 0;
    if (buf_ && pos + 1 < size_ && port_copy_to_user(buf_ + pos + 1, &nul, 1))
        fail();
}

status verifier_log::finalize(u32 *true_size) {
    *true_size = 0;
    if (!level_)
        return {};
    if (pending_any_)
        flush(static_cast<u32>(end_ - pending_at_) + 1);
    if (buf_ && start_) {
        u64 tail = size_ - start_ % size_; // length of the ring's last part, which holds the beginning of the text
        if (!reverse_user(buf_, 0, size_) || !reverse_user(buf_, 0, tail) || !reverse_user(buf_, tail, size_))
            fail();
    }
    *true_size = len_max_;
    if (fault_)
        return error(EFAULT);
    if (buf_ && len_max_ > size_)
        return error(ENOSPC);
    return {};
}

}  // namespace modbpf
