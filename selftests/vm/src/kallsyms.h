// SPDX-License-Identifier: GPL-2.0-only
// Where a function of the kernel is.
#pragma once

#include <stdio.h>
#include <string.h>

/// The first of that name in /proc/kallsyms; 0: there is none.
inline unsigned long address_of(const char *name) {
    FILE *f = fopen("/proc/kallsyms", "r");
    char line[512], found[300];
    unsigned long at, first = 0;
    while (f && !first && fgets(line, sizeof(line), f))
        if (sscanf(line, "%lx %*c %299s", &at, found) == 2 && !strcmp(found, name))
            first = at;
    if (f)
        fclose(f);
    return first;
}
