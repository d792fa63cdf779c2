// SPDX-License-Identifier: GPL-2.0-only
// text_out: text into a buffer that may be too short: it counts everything and keeps what fits. Any context.
#pragma once

#include "base/types.h"
#include "port/port.h"

namespace modbpf {

class text_out {
public:
    text_out(char *buf, u32 size) : buf_(buf), size_(size) {}
    void put(char c) {
        if (pos_ < size_)
            buf_[pos_] = c;
        pos_++;
    }
    void put(const char *s, u32 n) {
        for (u32 i = 0; i < n; i++)
            put(s[i]);
    }
    void put(const char *s) { put(s, static_cast<u32>(strlen(s))); }
    void pad(char c, s32 n) {
        if (n <= 0)
            return;
        u32 room = pos_ < size_ ? size_ - pos_ : 0;
        if (u32 here = min(room, static_cast<u32>(n)))
            memset(buf_ + pos_, c, here);
        pos_ += static_cast<u32>(n);
    }
    /// At least `least` digits.
    void put_number(u64 value, u32 base = 10, u32 least = 1) {
        char digits[24];
        u32 n = 0;
        for (; value || n < least; value /= base)
            digits[n++] = "0123456789abcdef"[value % base];
        while (n)
            put(digits[--n]);
    }
    void put_signed(s64 value) {
        if (value < 0)
            put('-');
        put_number(value < 0 ? 0 - static_cast<u64>(value) : static_cast<u64>(value));
    }
    bool full() const { return pos_ >= size_; }
    u32 length() const { return pos_; } ///< of everything
    /// Terminates what fits. -> length of everything
    u32 finish() {
        if (size_)
            buf_[min(pos_, size_ - 1)] = '\0';
        return pos_;
    }

private:
    char *buf_;
    u32 size_;
    u32 pos_ = 0;
};

}  // namespace modbpf
