// SPDX-License-Identifier: GPL-2.0-only
// object_cache: memory of one size for what programs make while they run: objects, timers, work queues. Taken and given back in any
// context, without locks or allocation.
//
// A cache is an elem_pool (maps/pool.h) that grows ahead of need by deferred work: what is taken is a piece behind a header with its number.
// take() gives null when programs take faster than the work can add memory, or when the cache has what it may have. Memory that was given
// back stays the cache's: it is mapped until the module goes.
//
// Ownership: the caches are the module's, made on first use in task context (prepare), freed by caches_free when no piece is out any more.
#pragma once

#include "maps/pool.h"

namespace modbpf {

class object_cache {
public:
    object_cache() = default;
    object_cache(const object_cache &) = delete;

    /// A zeroed piece, or null.
    void *take();
    void give(void *piece);
    u32 piece_size() const { return size_; }

    /// The cache for pieces of `size` bytes, made when it is not there. E2BIG, ENOMEM. Task context.
    static result<object_cache *> of_size(u32 size);

private:
    struct header {
        u32 number;
        u32 link; ///< the pool's
    };
    static_assert(__builtin_offsetof(header, link) == elem_pool::link_offset);

    elem_pool pool_;
    u32 size_ = 0;
};

/// Pieces of all caches that are out. For tests.
u64 cache_pieces_out();
/// Frees the caches. Task context, when all pieces are back and nothing can take any.
void caches_free();

} // namespace modbpf
