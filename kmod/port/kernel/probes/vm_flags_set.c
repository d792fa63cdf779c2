// SPDX-License-Identifier: GPL-2.0-only
/* vm_area_struct's flags are read-only but for these functions. */
#include <linux/mm.h>

void probe(struct vm_area_struct *vma);
void probe(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_DONTEXPAND);
	vm_flags_clear(vma, VM_MAYEXEC);
}
