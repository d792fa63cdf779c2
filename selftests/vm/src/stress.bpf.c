// SPDX-License-Identifier: GPL-2.0-only
// Programs that do everything that can wait, allocate or wake somebody, for hooks.cpp to put anywhere in the kernel: hash updates and
// deletions with and without preallocation, ring buffer and perf buffer records that wake their reader each time.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

#include "hooks.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, __u64[6]);
} growing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u64);
} fixed SEC(".maps");

static __always_inline int work(void *ctx)
{
	__u32 r = bpf_get_prandom_u32();
	__u64 key = r & 4095, value[6] = { r };
	__u32 small = r & 1023;
	__u64 *v;

	count(RUNS);
	bpf_map_update_elem(&growing, &key, value, BPF_ANY);
	key = r >> 12 & 4095;
	bpf_map_delete_elem(&growing, &key);
	bpf_map_update_elem(&fixed, &small, &key, BPF_ANY);
	small = r >> 10 & 1023;
	bpf_map_delete_elem(&fixed, &small);
	bpf_probe_read_kernel(&value[1], sizeof(value[1]), ctx);
	if (!bpf_ringbuf_output(&ring, value, sizeof(value), BPF_RB_FORCE_WAKEUP))
		count(RING_OK);
	v = bpf_ringbuf_reserve(&ring, 40, 0);
	if (v) {
		*v = r;
		if (r & 1)
			bpf_ringbuf_submit(v, 0);
		else
			bpf_ringbuf_discard(v, BPF_RB_FORCE_WAKEUP);
	}
	if (!bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, value, sizeof(value)))
		count(PERF_OK);
	return 0;
}

SEC("kprobe")
int on_kprobe(struct pt_regs *ctx)
{
	return work(ctx);
}

SEC("kretprobe")
int on_kretprobe(struct pt_regs *ctx)
{
	return work(ctx);
}

SEC("tracepoint")
int on_tp(void *ctx)
{
	return work(ctx);
}

SEC("raw_tp")
int on_raw_tp(void *ctx)
{
	return work(ctx);
}

char _license[] SEC("license") = "GPL";
