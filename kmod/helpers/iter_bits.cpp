// SPDX-License-Identifier: GPL-2.0-only
// The open-coded iterator over the bits that are set in some words of memory (kernel functions bpf_iter_bits_*): the words are copied when
// it begins, one into the iterator itself, more into an object. Any context.
#include "base/errno.h"
#include "helpers/kfuncs.h"
#include "maps/object.h"

namespace modbpf {

namespace {

constexpr u32 max_words = 511; // BITS_ITER_NR_WORDS_MAX

/// struct bpf_iter_bits: 16 bytes on the program's stack.
struct bits_iter {
    union {
        u64 word;   ///< of up to 64 bits
        u64 *words; ///< of more: an object
    };
    u32 bits; ///< how many there are; 0: drained
    s32 bit;  ///< that was given last
};
static_assert(sizeof(bits_iter) == 16);

} // namespace

result<ref<object_type>> bits_type() { return object_type::create(max_words * 8, false, nullptr, nullptr); }

/// iter_bits_new(iterator, address, words), the type
u64 kfunc_iter_bits_new(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    auto &it = *ptr_of<bits_iter>(r1);
    u32 count = static_cast<u32>(r3);
    it = {};
    it.bit = -1;
    if (!r2 || !count)
        return kfunc_errno(EINVAL);
    if (count > max_words)
        return kfunc_errno(E2BIG);
    u64 *to = &it.word;
    if (count > 1 && !(to = static_cast<u64 *>(object_new(ptr_of<object_type>(r4)))))
        return kfunc_errno(ENOMEM);
    if (port_probe_read_kernel(to, r2, count * 8)) {
        if (count > 1)
            object_drop(to);
        it.word = 0;
        return kfunc_errno(EFAULT);
    }
    if (count > 1)
        it.words = to;
    it.bits = count * 64;
    return 0;
}

u64 kfunc_iter_bits_next(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<bits_iter>(r1);
    const u64 *words = it.bits > 64 ? it.words : &it.word;
    for (u32 at = static_cast<u32>(it.bit + 1); at < it.bits; at = (at / 64 + 1) * 64)
        if (u64 left = words[at / 64] >> at % 64) {
            it.bit = static_cast<s32>(at + static_cast<u32>(__builtin_ctzll(left)));
            return addr_of(&it.bit);
        }
    it.bit = static_cast<s32>(it.bits);
    return 0;
}

u64 kfunc_iter_bits_destroy(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<bits_iter>(r1);
    if (it.bits > 64)
        object_drop(it.words);
    it = {};
    return 0;
}

} // namespace modbpf
