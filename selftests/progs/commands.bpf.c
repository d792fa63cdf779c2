// SPDX-License-Identifier: GPL-2.0-only
// Commands of bpf() that programs make.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

char text[256], not_types[8];

/* What is wrong with the types is told to user space alone: the kernel's memory is never written, wherever log_buf points. In a process it is
 * all user space. */
// EXPECT: accept
// RETVAL: 0
SEC("syscall")
int log_of_a_command(void *ctx)
{
	union bpf_attr attr = {};
	long rc;

	attr.btf = (__u64)(long)not_types;
	attr.btf_size = sizeof(not_types);
	attr.btf_log_buf = (__u64)(long)text;
	attr.btf_log_size = sizeof(text);
	attr.btf_log_level = 1;
	rc = bpf_sys_bpf(BPF_BTF_LOAD, &attr, sizeof(attr));
	if (rc >= 0)
		return 1;
	return (long)text < 0 ? text[0] : !text[0];
}
