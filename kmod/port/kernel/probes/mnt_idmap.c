// SPDX-License-Identifier: GPL-2.0-only
/* Owners of files are mapped per mount, by struct mnt_idmap, not by a user namespace. */
#include <linux/fs.h>
#include <linux/mount.h>

int probe(struct vfsmount *mnt, struct inode *inode);
int probe(struct vfsmount *mnt, struct inode *inode)
{
	return inode_permission(mnt_idmap(mnt), inode, MAY_READ);
}
