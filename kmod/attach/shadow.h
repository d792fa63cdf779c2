// SPDX-License-Identifier: GPL-2.0-only
// Shadows: memory that programs read as one of the running kernel's own BPF structures. It has that structure's size, the members that
// programs look for, found by name in the kernel's types, and zeros elsewhere, so that what is read behind any of its pointers is 0.
#pragma once

#include "base/result.h"
#include "maps/map.h"

namespace modbpf {

/// struct bpf_map. Of port_alloc; ENOENT: the kernel has no such type. Task context.
result<void *> shadow_of(const map &m);

}  // namespace modbpf
