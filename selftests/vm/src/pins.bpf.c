// SPDX-License-Identifier: GPL-2.0-only
// For pins.cpp: calls of getpgid() by one process, counted in a map.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

const volatile __u32 target;

#define NR_GETPGID 121

SEC("raw_tp/sys_enter")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 key = 0;
	__u64 *n;

	if (ctx->args[1] != NR_GETPGID || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	n = bpf_map_lookup_elem(&calls, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

char _license[] SEC("license") = "GPL";
