// SPDX-License-Identifier: GPL-2.0-only
// What the array types share: u32 keys below max_entries, every element there from the start.
// Reference: Linux's kernel/bpf/arraymap.c for every answer.
#pragma once

#include "maps/copy.h"
#include "maps/map.h"

namespace modbpf {

/// MAP_CREATE's conditions that hold for ARRAY, PERCPU_ARRAY, PROG_ARRAY and PERF_EVENT_ARRAY.
status check_array(const map_params &p);
/// The conditions of the two whose elements are fds.
status check_fd_array(const map_params &p);
long array_next_key(map *m, const void *key, void *next);

inline u32 array_index(const void *key) {
    return load4(key);
}

}  // namespace modbpf
