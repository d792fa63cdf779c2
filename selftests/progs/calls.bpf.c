// SPDX-License-Identifier: GPL-2.0-only
// Tail calls.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

int tc_target(struct __sk_buff *ctx);
int tc_again(struct __sk_buff *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = {
		[0] = (void *)&tc_target,
		[1] = (void *)&tc_again,
	},
};

int hops;

// EXPECT: accept
// WITH: tc_again
SEC("tc")
int tc_target(struct __sk_buff *ctx)
{
	return 77;
}

// Calls itself: 1 run, then 33 tail calls, and the 34th falls through.
// EXPECT: accept
// WITH: tc_target
SEC("tc")
int tc_again(struct __sk_buff *ctx)
{
	hops++;
	bpf_tail_call(ctx, &jumps, 1);
	return hops;
}

// EXPECT: accept
// WITH: tc_target tc_again
// RETVAL: 77
SEC("tc")
int tail_call(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return 1;
}

// EXPECT: accept
// WITH: tc_target tc_again
// RETVAL: 33
SEC("tc")
int tail_call_limit(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &jumps, 1);
	return 1;
}

// An empty slot and an index out of range fall through.
// EXPECT: accept
// WITH: tc_target tc_again
// RETVAL: 2
SEC("tc")
int tail_call_misses(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &jumps, 3);
	bpf_tail_call(ctx, &jumps, 4);
	return 2;
}

static __attribute__((noinline)) int sub(struct __sk_buff *ctx)
{
	volatile int r = 5; /* or the compiler takes 5 for the only result */

	bpf_tail_call(ctx, &jumps, 0);
	return r;
}

// A tail call from a subprogram returns to the subprogram's caller.
// EXPECT: accept
// WITH: tc_target tc_again
// RETVAL: 78
SEC("tc")
int tail_call_in_subprog(struct __sk_buff *ctx)
{
	return sub(ctx) + 1;
}
