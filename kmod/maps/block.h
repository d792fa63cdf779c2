// SPDX-License-Identifier: GPL-2.0-only
// map_block: the one piece of memory that a map's elements lie in, zeroed: an allocation, or a region where it is too large for one or
// where user space maps it. Task context.
#pragma once

#include "base/memory.h"

namespace modbpf {

class map_block {
public:
    map_block() = default;
    map_block(const map_block &) = delete;
    ~map_block() {
        if (region_)
            port_region_destroy(region_);
        else
            port_free(at_);
    }

    /// Once. ENOMEM, also before the machine is emptied for it.
    status alloc(u64 bytes, bool mappable) {
        if (bytes > port_memory_bytes())
            return error(ENOMEM);
        bytes_ = bytes;
        if (mappable || bytes >= PORT_ALLOC_MAX) {
            bytes_ = align_up(bytes, PORT_PAGE_SIZE);
            region_ = port_region_create(bytes_, 0);
            at_ = region_ ? static_cast<u8 *>(port_region_addr(region_)) : nullptr;
        } else {
            at_ = static_cast<u8 *>(port_alloc(bytes, PORT_SLEEPING));
        }
        return at_ ? status() : status(error(ENOMEM));
    }

    u8 *at() const { return at_; }
    port_region *region() const { return region_; }  ///< null where it is an allocation
    u64 bytes() const { return bytes_; }

private:
    u8 *at_ = nullptr;
    port_region *region_ = nullptr;
    u64 bytes_ = 0;
};

}  // namespace modbpf
