// SPDX-License-Identifier: GPL-2.0-only
// How long vfs_read takes: entry times in a hash by thread, and a histogram: slot i counts calls of 2^i .. 2^(i+1)-1 ns.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define SLOTS 40

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, __u64);
} start SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} read_ns_hist SEC(".maps");

static __u32 log2_of(__u64 v)
{
	__u32 r = 0;

#pragma unroll
	for (int shift = 32; shift; shift >>= 1) {
		if (v >> shift) {
			v >>= shift;
			r += shift;
		}
	}
	return r;
}

// EXPECT: accept
SEC("kprobe/vfs_read")
int read_enter(void *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();

	bpf_map_update_elem(&start, &thread, &now, BPF_ANY);
	return 0;
}

// EXPECT: accept
SEC("kretprobe/vfs_read")
int read_exit(void *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), *begin = bpf_map_lookup_elem(&start, &thread), *count;
	__u32 slot;

	if (!begin)
		return 0;
	slot = log2_of(bpf_ktime_get_ns() - *begin);
	bpf_map_delete_elem(&start, &thread);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	count = bpf_map_lookup_elem(&read_ns_hist, &slot);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
