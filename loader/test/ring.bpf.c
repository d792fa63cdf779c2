/* SPDX-License-Identifier: GPL-2.0-only */
/* For process_test: each test run puts the packet's first bytes into a ring buffer, or into a perf buffer. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} perf SEC(".maps");

__u64 runs;

SEC("xdp")
int put(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *e, *v;
	__u32 key = 1;

	if (data + 8 > end)
		return XDP_DROP;
	e = bpf_ringbuf_reserve(&events, 8, 0);
	if (!e)
		return XDP_ABORTED;
	*e = *(__u64 *)data;
	bpf_ringbuf_submit(e, 0);
	v = bpf_map_lookup_elem(&shared, &key);
	if (v)
		__sync_fetch_and_add(v, 1);
	runs++;
	return XDP_PASS;
}

/* Lines whose instructions the JIT makes one native instruction of, and a function of its own. */
static __attribute__((noinline)) int parts(__u64 v, __u64 *sum)
{
	__u64 a = v + 5;

	a = (__u64)(__u16)a;
	*sum += a;
	if (!(v & 3))
		return 3;
	a <<= 32;
	a >>= 32;
	return (int)a;
}

SEC("xdp")
int lines(struct xdp_md *ctx)
{
	__u64 sum = ctx->ingress_ifindex;
	int r = parts(sum, &sum);

	r += parts(sum + 1, &sum);
	return r & 1;
}

SEC("xdp")
int put_perf(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 v;

	if (data + 8 > end)
		return XDP_DROP;
	v = *(__u64 *)data;
	return bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &v, sizeof(v)) ? XDP_ABORTED : XDP_PASS;
}
