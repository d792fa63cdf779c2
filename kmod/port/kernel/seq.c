// SPDX-License-Identifier: GPL-2.0-only
/*
 * Texts that programs write: the kernel's own struct seq_file, because programs read it as that, on a buffer of ours. The kernel's
 * functions of that name do the rest of what such a file needs; no file of the kernel's stands behind it.
 */
#include "port/kernel/internal.h"

#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

static struct seq_file *seq_of(const struct port_seq *s)
{
	return (struct seq_file *)s;
}

struct port_seq *port_seq_create(void)
{
	struct seq_file *seq = port_alloc(sizeof(*seq), PORT_SLEEPING);

	if (seq)
		mutex_init(&seq->lock);
	return (struct port_seq *)seq;
}

int port_seq_buffer(struct port_seq *s, size_t size)
{
	struct seq_file *seq = seq_of(s);

	seq->buf = port_alloc(size, PORT_SLEEPING);
	if (!seq->buf)
		return -ENOMEM;
	seq->size = size;
	return 0;
}

void port_seq_destroy(struct port_seq *s)
{
	if (s)
		port_free(seq_of(s)->buf);
	port_free(s);
}

size_t port_seq_count(const struct port_seq *s)
{
	return seq_of(s)->count;
}

bool port_seq_overflowed(const struct port_seq *s)
{
	return seq_has_overflowed(seq_of(s));
}

void port_seq_set(struct port_seq *s, size_t from, size_t count, s64 index)
{
	struct seq_file *seq = seq_of(s);

	seq->from = from;
	seq->count = count;
	seq->index = index;
}

int port_seq_to_user(const struct port_seq *s, size_t from, u64 to, size_t n)
{
	return copy_to_user((void __user *)(unsigned long)to, seq_of(s)->buf + from, n) ? -EFAULT : 0;
}

notrace size_t port_seq_room(struct port_seq *s, char **at)
{
	struct seq_file *seq = seq_of(s);

	*at = seq->buf + seq->count;
	return seq->size - seq->count;
}

notrace void port_seq_commit(struct port_seq *s, size_t n)
{
	struct seq_file *seq = seq_of(s);

	seq->count = n < seq->size - seq->count ? seq->count + n : seq->size;
}
