// SPDX-License-Identifier: GPL-2.0-only
/* task_lookup_next_fdget_rcu() gives a reference; before it there was task_lookup_next_fd_rcu(), which gave none. */
#include <linux/fdtable.h>

struct file *modbpf_probe(struct task_struct *task, unsigned int *fd);
struct file *modbpf_probe(struct task_struct *task, unsigned int *fd)
{
	return task_lookup_next_fdget_rcu(task, fd);
}
