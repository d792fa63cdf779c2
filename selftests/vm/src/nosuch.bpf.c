// SPDX-License-Identifier: GPL-2.0-only
// For 70-run.sh: a function that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("kprobe/no_such_function_here")
int nosuch(void *ctx)
{
	return 0;
}
