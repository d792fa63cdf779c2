// SPDX-License-Identifier: GPL-2.0-only
/* The current task: identity (any context) and capabilities (task context, initial user namespace). */
#include "port/kernel/internal.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

notrace size_t port_stack_left(void)
{
	unsigned long left = current_stack_pointer - (unsigned long)task_stack_page(current);

	return left < THREAD_SIZE ? left : 0;
}

notrace u64 port_current(void)
{
	return (unsigned long)current;
}

notrace u64 port_current_pid_tgid(void)
{
	return (u64)current->tgid << 32 | (u32)current->pid;
}

notrace u64 port_current_uid_gid(void)
{
	kuid_t uid;
	kgid_t gid;

	current_uid_gid(&uid, &gid);
	return (u64)from_kgid(&init_user_ns, gid) << 32 | from_kuid(&init_user_ns, uid);
}

/* The name may be changing under the read: it is then a mix of the old and the new one, still bounded. */
notrace void port_current_comm(char *buf, size_t size)
{
	size_t i, max;

	if (!size)
		return;
	max = min_t(size_t, size - 1, TASK_COMM_LEN - 1);
	for (i = 0; i < max; i++) {
		buf[i] = READ_ONCE(current->comm[i]);
		if (!buf[i])
			break;
	}
	memset(buf + i, 0, size - i);
}

bool port_unprivileged_bpf(void)
{
	/* Only asked for callers without CAP_BPF, so a look-up each time does no harm. */
	const int *disabled = (const int *)(unsigned long)port_ksym_lookup("sysctl_unprivileged_bpf_disabled");

	return disabled && !READ_ONCE(*disabled);
}

bool port_capable(enum port_cap cap)
{
	switch (cap) {
	case PORT_CAP_BPF:
		return capable(CAP_BPF) || capable(CAP_SYS_ADMIN);
	case PORT_CAP_PERFMON:
		return capable(CAP_PERFMON) || capable(CAP_SYS_ADMIN);
	case PORT_CAP_NET_ADMIN:
		return capable(CAP_NET_ADMIN) || capable(CAP_SYS_ADMIN);
	case PORT_CAP_SYS_ADMIN:
		return capable(CAP_SYS_ADMIN);
	case PORT_CAP_SYS_BOOT:
		return capable(CAP_SYS_BOOT);
	}
	return false;
}
