// SPDX-License-Identifier: GPL-2.0-only
// The grave: what may lose its last reference in any context, and readers may still look at, is emptied and freed by deferred work.
//
// bury() from any context, also NMI. The work runs in task context: it first empties all that was buried, which may bury more (objects
// that others owned); then it waits for a grace period, and then frees all of it. So a chain of objects of any length needs one grace
// period and no recursion.
#pragma once

#include "base/types.h"
#include "port/port.h"

namespace modbpf {

struct grave_item;
struct grave_kind {
    void (*empty)(grave_item *i); ///< before the grace period; may be null
    void (*free)(grave_item *i);  ///< behind it
};
struct grave_item {
    grave_item *next;
    const grave_kind *kind;
};

/// Once, in task context, before anything is buried.
void grave_init();
void bury(grave_item *i, const grave_kind &kind);
/// Returns when all that was buried before the call is freed. Task context, outside RCU sections.
void grave_flush();
/// Returns when nothing is buried: for the module's exit and for tests.
void grave_barrier();

} // namespace modbpf
