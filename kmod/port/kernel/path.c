// SPDX-License-Identifier: GPL-2.0-only
/* Names of files. */
#include "port/kernel/internal.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/path.h>
#include <linux/string.h>
#include <linux/uaccess.h>

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
