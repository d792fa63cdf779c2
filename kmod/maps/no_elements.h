// SPDX-License-Identifier: GPL-2.0-only
// Commands on elements of maps that have none to user space (ring buffers): ENOTSUPP, as in Linux 6.12. Any context.
#pragma once

#include "maps/map.h"

namespace modbpf {

inline long lookup_refused(map *, const void *, void *, u64) {
    return -ENOTSUPP;
}
inline long update_refused(map *, const void *, const void *, u64) {
    return -ENOTSUPP;
}
inline long remove_refused(map *, const void *) {
    return -ENOTSUPP;
}
inline long next_key_refused(map *, const void *, void *) {
    return -ENOTSUPP;
}

}  // namespace modbpf
