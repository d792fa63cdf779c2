// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU. Programs run with preemption off, which ordinary RCU counts as a read section; so ordinary grace periods cover them.
 * A port_rcu_head is laid over struct rcu_head, and its callback over rcu_callback_t: same size, same calling convention.
 */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>

notrace void port_rcu_read_lock(void)
	__acquires(RCU)
{
	rcu_read_lock();
}
NOKPROBE_SYMBOL(port_rcu_read_lock);

notrace void port_rcu_read_unlock(void)
	__releases(RCU)
{
	rcu_read_unlock();
}
NOKPROBE_SYMBOL(port_rcu_read_unlock);

notrace void port_rcu_call(struct port_rcu_head *head, void (*fn)(struct port_rcu_head *head))
{
	BUILD_BUG_ON(sizeof(struct rcu_head) != sizeof(*head));
	modbpf_count_deferred();
	call_rcu((struct rcu_head *)head, (rcu_callback_t)(void *)fn);
}

void port_rcu_synchronize(void)
{
	synchronize_rcu();
}

void port_rcu_barrier(void)
{
	rcu_barrier();
}
