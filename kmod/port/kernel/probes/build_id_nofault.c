// SPDX-License-Identifier: GPL-2.0-only
/* build_id_parse() may fault; what never does has a name of its own. */
#include <linux/buildid.h>

int modbpf_probe(struct vm_area_struct *vma, unsigned char *id);
int modbpf_probe(struct vm_area_struct *vma, unsigned char *id)
{
	return build_id_parse_nofault(vma, id, NULL);
}
