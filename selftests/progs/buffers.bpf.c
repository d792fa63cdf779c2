// SPDX-License-Identifier: GPL-2.0-only
// Ring buffer and perf buffer, and the references that a reservation makes.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct event {
	__u64 a;
	__u64 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} rb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} pb SEC(".maps");

// EXPECT: accept
// RETVAL: 24
SEC("tc")
int reserve_submit(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (!e)
		return -1;
	e->a = 1;
	e->b = 2;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return bpf_ringbuf_query(&rb, BPF_RB_AVAIL_DATA);
}

// A discarded record still takes its room until the consumer passes it.
// EXPECT: accept
// RETVAL: 24
SEC("tc")
int reserve_discard(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (!e)
		return -1;
	bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
	return bpf_ringbuf_query(&rb, BPF_RB_PROD_POS);
}

// 4096 bytes hold 170 records of 24; with one byte of distance the last one does not fit: -EAGAIN.
// EXPECT: accept
// REPEAT: 171
// RETVAL: -11
SEC("tc")
int output_until_full(struct __sk_buff *ctx)
{
	struct event e = { 3, 4 };

	return bpf_ringbuf_output(&rb, &e, sizeof(e), BPF_RB_NO_WAKEUP);
}

// EXPECT: accept
// RETVAL: 4096
SEC("xdp")
int ring_size(struct xdp_md *ctx)
{
	return bpf_ringbuf_query(&rb, BPF_RB_RING_SIZE);
}

// No event stands in the array: -ENOENT.
// EXPECT: accept
// RETVAL: -2
SEC("tc")
int perf_output_empty(struct __sk_buff *ctx)
{
	struct event e = { 5, 6 };

	return bpf_perf_event_output(ctx, &pb, BPF_F_CURRENT_CPU, &e, sizeof(e));
}

// EXPECT: accept
// RETVAL: -7
SEC("tc")
int perf_output_index(struct __sk_buff *ctx)
{
	__u32 x = 1;

	return bpf_perf_event_output(ctx, &pb, 100000, &x, sizeof(x));
}

// EXPECT: reject "Unreleased reference"
SEC("?tc")
int leak(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (e)
		e->a = 1;
	return 0;
}

// EXPECT: reject "Unreleased reference"
SEC("?tc")
int leak_on_one_path(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (!e)
		return 0;
	if (ctx->mark)
		return 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// EXPECT: reject "type=scalar expected="
SEC("?tc")
int submit_twice(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (!e)
		return 0;
	bpf_ringbuf_submit(e, 0);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// EXPECT: reject "invalid mem access 'scalar'"
SEC("?tc")
int use_after_submit(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (!e)
		return 0;
	bpf_ringbuf_submit(e, 0);
	return *(volatile __u64 *)&e->a;
}

// EXPECT: reject "invalid access to memory"
SEC("?tc")
int past_record(struct __sk_buff *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);

	if (!e)
		return 0;
	((volatile __u64 *)e)[2] = 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}
