// SPDX-License-Identifier: GPL-2.0-only
/* What iterators over control groups and over the kernel's symbols walk on. */
#include "port/kernel/internal.h"

#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

int port_cgroup_find(int fd, u64 id, u64 *group)
{
	struct cgroup *c;

	if (fd)
		c = modbpf_ksym_cgroup_from_fd(fd);
	else
		c = id ? cgroup_get_from_id(id) : cgroup_get_from_path("/");
	if (IS_ERR(c))
		return PTR_ERR(c);
	*group = (u64)c;
	return 0;
}

u64 port_cgroup_number(u64 group)
{
	return cgroup_id((struct cgroup *)group);
}

bool port_cgroup_online(u64 group)
{
	return ((struct cgroup *)group)->self.flags & CSS_ONLINE;
}

int port_cgroup_path(u64 group, char *buf, size_t size)
{
	int n = cgroup_path_ns((struct cgroup *)group, buf, size, current->nsproxy->cgroup_ns);

	return n < 0 ? n : 0;
}

bool port_cgroups_lock(void)
{
	struct mutex *lock = modbpf_ksym_cgroup_mutex();

	if (lock)
		mutex_lock(lock);
	return lock;
}

void port_cgroups_unlock(void)
{
	mutex_unlock(modbpf_ksym_cgroup_mutex());
}

/* The kernel's own walk, which keeps all that it needs in the record. */
bool port_symbol_at(void *record, u64 index)
{
	const struct seq_operations *ops = modbpf_ksym_symbol_ops();
	struct seq_file m = { .private = record };
	loff_t pos = index;

	return ops && ops->start(&m, &pos);
}
