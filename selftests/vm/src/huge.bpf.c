// SPDX-License-Identifier: GPL-2.0-only
// For 70-run.sh: a map that no machine has room for.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 0x7fffffff);
	__type(key, __u32);
	__type(value, __u64);
} m SEC(".maps");

SEC("kprobe/vfs_read")
int huge(void *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&m, &key) != 0;
}
