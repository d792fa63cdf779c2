// SPDX-License-Identifier: GPL-2.0-only
// bpf_throw from every depth. Exception callbacks of the program need a newer libbpf.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

extern void bpf_throw(__u64 cookie) __ksym __weak;

__u64 stays = 1;

// EXPECT: accept
// NEEDS: bpf_throw
// RETVAL: 16
SEC("tc")
int the_cookie_is_returned(struct __sk_buff *skb)
{
	bpf_throw(16);
	return 0;
}

// EXPECT: accept
// NEEDS: bpf_throw
// RETVAL: 3
SEC("tc")
int not_thrown(struct __sk_buff *skb)
{
	if (!stays)
		bpf_throw(16);
	return 3;
}

__attribute__((noinline)) static int throw_deeper(__u64 n)
{
	volatile __u64 a = n, b = n + 1, c = n + 2;

	if (stays)
		bpf_throw(a + b + c);
	return a;
}

__attribute__((noinline)) static int throw_deep(__u64 n)
{
	return throw_deeper(n) + throw_deeper(n + 1);
}

// EXPECT: accept
// NEEDS: bpf_throw
// RETVAL: 33
SEC("tc")
int from_a_subprogram(struct __sk_buff *skb)
{
	return throw_deep(10);
}

static int throw_in_turn(__u32 i, __u64 *base)
{
	if (i == 5)
		bpf_throw(*base + i);
	return 0;
}

// EXPECT: reject "cannot be called from callback subprog"
// NEEDS: bpf_throw
SEC("?tc")
int out_of_a_loop(struct __sk_buff *skb)
{
	__u64 base = 100;

	bpf_loop(10, throw_in_turn, &base, 0);
	return 1;
}
