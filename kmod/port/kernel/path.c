// SPDX-License-Identifier: GPL-2.0-only
/* Names of files. */
#include "port/kernel/internal.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/path.h>
#include <linux/string.h>
#include <linux/uaccess.h>

long port_path_text(u64 path, char *buf, size_t size)
{
	struct path copy;
	char *text;
	long len;

	len = port_probe_read_kernel(&copy, path, sizeof(copy));
	if (len)
		return len;
	text = d_path(&copy, buf, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	len = buf + size - text;
	memmove(buf, text, len);
	return len;
}
