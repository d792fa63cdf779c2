// SPDX-License-Identifier: GPL-2.0-only
/* A registered uprobe has a handle, and whoever takes several out waits once for all of them. */
#include <linux/uprobes.h>

void probe(struct inode *inode, struct uprobe_consumer *consumer);
void probe(struct inode *inode, struct uprobe_consumer *consumer)
{
	struct uprobe *u = uprobe_register(inode, 0, 0, consumer);

	uprobe_unregister_nosync(u, consumer);
	uprobe_unregister_sync();
}
