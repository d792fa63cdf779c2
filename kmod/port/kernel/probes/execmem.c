// SPDX-License-Identifier: GPL-2.0-only
/* Executable memory comes from execmem, not from module_alloc. */
#include <linux/execmem.h>

enum execmem_type probe(void);
enum execmem_type probe(void)
{
	return EXECMEM_BPF;
}
