/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs that the verifier refuses, each for a reason that people meet often: what `modbpf verify --explain` is tested with. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct event {
	__u32 pid;
	__u64 ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct counters {
	__u64 slot[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");

static __noinline struct counters *find(__u32 key)
{
	return bpf_map_lookup_elem(&counts, &key);
}

SEC("raw_tp/sys_enter")
int null_value(struct bpf_raw_tracepoint_args *ctx)
{
	struct counters *c = find(ctx->args[1] & 7);

	if (ctx->args[1] > 3)
		return 0;
	c->slot[2] = 1;
	return 0;
}

SEC("raw_tp/sys_enter")
int wild_index(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 key = 0;
	__u64 index = ctx->args[1];
	struct counters *c = bpf_map_lookup_elem(&counts, &key);

	if (!c)
		return 0;
	if (index > 8) /* one too many */
		return 0;
	c->slot[index]++;
	return 0;
}

SEC("xdp")
int short_packet(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 14 > end)
		return XDP_PASS;
	return data[14] ? XDP_DROP : XDP_PASS;
}

SEC("raw_tp/sys_enter")
int kept_record(struct bpf_raw_tracepoint_args *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->ns = bpf_ktime_get_ns();
	if (e->ns & 1)
		return 0; /* forgets the record */
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int cut_pointer(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 key;

	asm volatile("%0 = r10\n\t%0 += -24" : "=r"(key));
	return bpf_map_delete_elem(&counts, (void *)(long)key);
}

SEC("raw_tp/sys_enter")
int wild_size(struct bpf_raw_tracepoint_args *ctx)
{
	char text[64];

	return bpf_probe_read_kernel(text, ctx->args[1], (void *)ctx->args[0]);
}

SEC("raw_tp/sys_enter")
int kernel_address(struct bpf_raw_tracepoint_args *ctx)
{
	return *(int *)ctx->args[0];
}

SEC("raw_tp/sys_enter")
int endless(struct bpf_raw_tracepoint_args *ctx)
{
	volatile int again = 1;

	while (again)
		;
	return 0;
}

SEC("xdp")
int wrong_field(struct xdp_md *ctx)
{
	return ((__u32 *)ctx)[7];
}

SEC("raw_tp/sys_enter")
int lost_argument(struct bpf_raw_tracepoint_args *ctx)
{
	int ret;

	asm volatile("call 5\n\t%0 = r1" : "=r"(ret) : : "r0", "r1", "r2", "r3", "r4", "r5");
	return ret;
}
