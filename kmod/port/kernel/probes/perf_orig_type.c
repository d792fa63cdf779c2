// SPDX-License-Identifier: GPL-2.0-only
/* An event keeps the type that it was opened with, where the kernel gives it another. */
#include <linux/perf_event.h>

u32 probe(struct perf_event *e);
u32 probe(struct perf_event *e)
{
	return e->orig_type;
}
