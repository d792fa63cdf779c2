// SPDX-License-Identifier: GPL-2.0-only
/* Files: names, extended attributes, the one that a task runs. */
#include "port/kernel/internal.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mnt_idmapping.h>
#include <linux/path.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <linux/xattr.h>

long modbpf_path_text(const struct path *path, char *buf, size_t size)
{
	char *text = d_path(path, buf, size);
	long len;

	if (IS_ERR(text))
		return PTR_ERR(text);
	len = buf + size - text;
	memmove(buf, text, len);
	return len;
}

long port_path_text(u64 path, char *buf, size_t size)
{
	struct path copy;
	long ret = port_probe_read_kernel(&copy, path, sizeof(copy));

	return ret ?: modbpf_path_text(&copy, buf, size);
}

/* The lock may be held by who was interrupted for a program: nobody waits for it. */
u64 port_task_exe_file(u64 task)
{
	struct task_struct *t = (struct task_struct *)task;
	struct file *file = NULL;

	if (!spin_trylock(&t->alloc_lock))
		return 0;
	if (t->mm && !(t->flags & PF_KTHREAD))
		file = modbpf_ksym_mm_exe_file(t->mm);
	spin_unlock(&t->alloc_lock);
	return (u64)file;
}

void port_exe_file_put(u64 file)
{
	fput((struct file *)file);
}

u64 port_file_dentry(u64 file)
{
	return (u64)file_dentry((struct file *)file);
}

/* Of the file itself, however it is mounted. */
static int may_read(struct inode *inode)
{
#ifdef MODBPF_HAVE_MNT_IDMAP
	return inode_permission(&nop_mnt_idmap, inode, MAY_READ);
#else
	return inode_permission(&init_user_ns, inode, MAY_READ);
#endif
}

long port_dentry_xattr(u64 dentry, const char *name, void *value, size_t size)
{
	struct inode *inode = d_inode((struct dentry *)dentry);
	int ret;

	if (!inode)
		return -EINVAL;
	ret = may_read(inode);
	return ret ?: __vfs_getxattr((struct dentry *)dentry, inode, name, value, size);
}
