// SPDX-License-Identifier: GPL-2.0-only
/* Events: what is common to all kinds. Task context. */
#include "port/kernel/internal.h"

#include <linux/slab.h>

void *modbpf_event_alloc(size_t size, void (*detach)(struct port_event *e))
{
	struct port_event *e = modbpf_fail_nth() ? NULL : kzalloc(size, GFP_KERNEL_ACCOUNT);

	if (e)
		e->detach = detach;
	return e;
}

void port_event_detach(struct port_event *e)
{
	if (e)
		e->detach(e);
}

u64 port_event_missed(struct port_event *e)
{
	return e->missed ? e->missed(e) : 0;
}
