// SPDX-License-Identifier: GPL-2.0-only
// bpf_throw from every depth, with and without an exception callback.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define catches(name) __attribute__((btf_decl_tag("exception_callback:" #name)))

extern void bpf_throw(__u64 cookie) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} progs SEC(".maps");

__u64 stays = 1;

// NEEDS: bpf_throw
// EXPECT: accept
// RETVAL: 16
SEC("tc")
int the_cookie_is_returned(struct __sk_buff *skb)
{
	bpf_throw(16);
	return 0;
}

// NEEDS: bpf_throw
// EXPECT: accept
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

// NEEDS: bpf_throw
// EXPECT: accept
// RETVAL: 33
SEC("tc")
int from_a_subprogram(struct __sk_buff *skb)
{
	return throw_deep(10);
}

__noinline int plus_one(__u64 cookie)
{
	return cookie + 1;
}

// NEEDS: bpf_throw
// EXPECT: accept
// RETVAL: 34
SEC("tc")
catches(plus_one) int to_a_callback(struct __sk_buff *skb)
{
	return throw_deep(10);
}

static int throw_in_turn(__u32 i, __u64 *base)
{
	if (i == 5)
		bpf_throw(*base + i);
	return 0;
}

// NEEDS: bpf_throw
// EXPECT: accept
// RETVAL: 106
// REPEAT: 10
SEC("tc")
catches(plus_one) int out_of_a_loop(struct __sk_buff *skb)
{
	__u64 base = 100;

	bpf_loop(10, throw_in_turn, &base, 0);
	return 1;
}

static __s64 throw_in_element(void *map, __u32 *key, __u64 *value, __u64 *base)
{
	if (*key == 2)
		bpf_throw(*base + *key);
	return 0;
}

// NEEDS: bpf_throw
// EXPECT: accept
// RETVAL: 202
SEC("tc")
int out_of_a_walk(struct __sk_buff *skb)
{
	__u64 base = 200;

	bpf_for_each_map_elem(&array, throw_in_element, &base, 0);
	return 1;
}
