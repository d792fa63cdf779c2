// SPDX-License-Identifier: GPL-2.0-only
/* Control groups of the unified hierarchy: those of the current task, and references to those that user space names. */
#include "port/kernel/internal.h"

#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/rcupdate.h>

notrace u64 port_current_cgroup_id(void)
{
	u64 id;

	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
	return id;
}

notrace u64 port_current_ancestor_cgroup_id(int level)
{
	struct cgroup *ancestor;
	u64 id = 0;

	rcu_read_lock();
	ancestor = cgroup_ancestor(task_dfl_cgroup(current), level);
	if (ancestor)
		id = cgroup_id(ancestor);
	rcu_read_unlock();
	return id;
}

/* struct port_cgroup is the kernel's own structure: the kernel frees it a grace period after its last reference. */

int port_cgroup_open(int fd, struct port_cgroup **out)
{
	struct cgroup *c = cgroup_get_from_fd(fd);

	if (IS_ERR(c))
		return PTR_ERR(c);
	*out = (struct port_cgroup *)c;
	return 0;
}

void port_cgroup_close(struct port_cgroup *c)
{
	cgroup_put((struct cgroup *)c);
}

notrace bool port_current_under_cgroup(const struct port_cgroup *c)
{
	return task_under_cgroup_hierarchy(current, (struct cgroup *)c);
}
