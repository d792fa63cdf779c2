// SPDX-License-Identifier: GPL-2.0-only
// For 70-run.sh: a program that the verifier refuses.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("kprobe/vfs_read")
int refused(int *ctx)
{
	volatile char b[8] = { 0 };

	return b[*ctx];
}
