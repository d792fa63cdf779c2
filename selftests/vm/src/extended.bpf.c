// SPDX-License-Identifier: GPL-2.0-only
// Programs of extended.cpp: some that others trace and replace, and those others.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sk_buff {
	unsigned int len;
	unsigned int mark;
} __attribute__((preserve_access_index));
struct xdp_buff {
	void *data;
	void *data_end;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

__u64 args = 0;    /* what a tracer saw of its function */
__u64 result = 0;
__u64 where = 0;
__u64 cookie = 0;
__u64 length = 0;
__u64 order = 0;
__u64 calls = 0;   /* of the program that calls itself */
__u64 entries = 0; /* that tracers counted */

/* ---- the traced ---- */

__noinline int add(int a, int b)
{
	asm volatile("" ::: "memory");
	return a + b;
}

SEC("xdp")
int sums(struct xdp_md *ctx)
{
	return add(3, 4) + 100;
}

/* Static: its prototype holds as long as its callers keep to it. */
static __noinline int twice(struct __sk_buff *skb)
{
	asm volatile("" ::: "memory");
	return skb->len * 2;
}

__noinline int length_of(struct __sk_buff *skb, int more)
{
	asm volatile("" ::: "memory");
	return skb->len + more;
}

SEC("tc")
int looks(struct __sk_buff *skb)
{
	return length_of(skb, 1) + twice(skb);
}

__noinline int jump(struct __sk_buff *skb)
{
	asm volatile("" ::: "memory");
	bpf_tail_call(skb, &jumps, 0);
	return 1;
}

SEC("tc")
int turns(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&calls, 1);
	jump(skb);
	return 2;
}

SEC("tc")
int callee(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&calls, 1);
	bpf_tail_call(skb, &jumps, 0);
	return 3;
}

__noinline int slow(int n)
{
	asm volatile("" ::: "memory");
	return n + 1;
}

SEC("syscall")
int sleeps(void *ctx)
{
	return slow(6);
}

/* ---- at them ---- */

SEC("?fentry/add")
int BPF_PROG(add_entry, int a, int b)
{
	args = a * 16 + b;
	where = bpf_get_func_ip(ctx);
	cookie = bpf_get_attach_cookie(ctx);
	order = order * 10 + 1;
	__sync_fetch_and_add(&entries, 1);
	return 0;
}

SEC("?fexit/add")
int BPF_PROG(add_exit, int a, int b, int ret)
{
	args = a * 16 + b;
	result = ret;
	order = order * 10 + 2;
	return 0;
}

SEC("?fexit/sums")
int BPF_PROG(sums_exit, struct xdp_buff *xdp, int ret)
{
	length = xdp->data_end - xdp->data;
	result = ret;
	order = order * 10 + 3;
	return 0;
}

SEC("?fexit/length_of")
int BPF_PROG(length_exit, struct sk_buff *skb, int more, int ret)
{
	length = skb->len;
	args = more;
	result = ret;
	return 0;
}

SEC("?fexit/twice")
int BPF_PROG(twice_exit, struct sk_buff *skb, int ret)
{
	length = skb->len;
	result = ret;
	return 0;
}

SEC("?fentry/jump")
int BPF_PROG(jump_entry)
{
	__sync_fetch_and_add(&entries, 1);
	return 0;
}

SEC("?fexit/jump")
int BPF_PROG(jump_exit)
{
	__sync_fetch_and_add(&entries, 1);
	return 0;
}

SEC("?fentry/slow")
int BPF_PROG(slow_entry, int n)
{
	args = n;
	__sync_fetch_and_add(&entries, 1);
	return 0;
}

SEC("?fexit/slow")
int BPF_PROG(slow_exit, int n, int ret)
{
	result = ret;
	return 0;
}

SEC("?freplace/add")
int multiply(int a, int b)
{
	return a * b;
}

SEC("?freplace/length_of")
int no_length(struct __sk_buff *skb, int more)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + 14 > end)
		return -1;
	return more * 1000 + *(__u8 *)(data + 13);
}

SEC("?freplace/jump")
int jump_again(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, 0);
	return 5;
}

char _license[] SEC("license") = "GPL";
