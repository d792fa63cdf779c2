// SPDX-License-Identifier: GPL-2.0-only
// Local storage: maps whose values belong to an object of the kernel's, its owner: TASK_STORAGE, CGRP_STORAGE,
// INODE_STORAGE, SK_STORAGE.
#pragma once

#include "maps/map.h"

namespace modbpf {

/// Once, in task context, before the first such map; ENOMEM. stop: the last one is freed.
status storage_start();
void storage_stop();

inline constexpr u64 BPF_LOCAL_STORAGE_GET_F_CREATE = 1;

/// Program side; any context, inside RCU. `owner`: its address; the program knows that it is there.
/// The value of `owner`, valid until the section ends; where it has none and `create` is set, a new one with `value`, or zeros for null.
/// Null: there is none, the owner is at its end, no memory, or the lock is taken.
void *storage_get(map *m, u64 owner, const void *value, bool create);
/// -ENOENT, -EBUSY.
long storage_remove(map *m, u64 owner);

}  // namespace modbpf
