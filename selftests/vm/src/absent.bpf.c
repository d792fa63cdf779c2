// SPDX-License-Identifier: GPL-2.0-only
// For 70-run.sh: a map type that modbpf does not have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} cpus SEC(".maps");

SEC("kprobe/vfs_read")
int absent(void *ctx)
{
	return bpf_redirect_map(&cpus, 0, 0);
}
