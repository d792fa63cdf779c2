// SPDX-License-Identifier: GPL-2.0-only
// TAP for the guest's test programs: ok(), and an exit status that says whether all of them held.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <errno.h>
#include <unistd.h>

inline int tap_failed;

__attribute__((format(printf, 2, 3))) inline bool ok(bool condition, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    printf(condition ? "ok - " : "not ok - ");
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
    fflush(stdout);
    tap_failed += !condition;
    return condition;
}
/// Lockdep and KASAN: it takes ten times as long for a turn of a race.
inline bool debug_kernel() { return !access("/proc/lockdep", F_OK); }
inline int turns(int n) { return debug_kernel() ? n / 10 : n; }

inline int tap_exit() { return tap_failed ? 1 : 0; }
