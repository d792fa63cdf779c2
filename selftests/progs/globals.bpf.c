// SPDX-License-Identifier: GPL-2.0-only
// Global data: .rodata (frozen), .data and .bss become array maps that are addressed directly.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile int limit = 10;
const volatile __u8 table[8] = { 1, 1, 2, 3, 5, 8, 13, 21 };
int counter = 100;
__u64 sum;
static volatile __u32 words[16];

// EXPECT: accept
// REPEAT: 3
// RETVAL: 103
SEC("tc")
int data_counter(struct __sk_buff *ctx)
{
	return ++counter;
}

// EXPECT: accept
// RETVAL: 54
SEC("tc")
int rodata_table(struct __sk_buff *ctx)
{
	int s = 0;

	for (int i = 0; i < 8; i++)
		s += table[i];
	return s;
}

// .rodata is known at load: the loop's bound is a constant for the verifier.
// EXPECT: accept
// RETVAL: 45
SEC("xdp")
int rodata_bound(struct xdp_md *ctx)
{
	sum = 0;
	for (int i = 0; i < limit; i++)
		sum += i;
	return sum;
}

// EXPECT: accept
// RETVAL: 240
SEC("tc")
int bss_array(struct __sk_buff *ctx)
{
	int s = 0;

	for (int i = 0; i < 16; i++)
		words[i] = 2 * i;
	for (int i = 0; i < 16; i++)
		s += words[i & 15];
	return s;
}

// EXPECT: accept
// RETVAL: 7
SEC("tc")
int bss_masked_index(struct __sk_buff *ctx)
{
	words[bpf_get_prandom_u32() & 15] = 0;
	return 7;
}

// EXPECT: reject "write into map forbidden"
SEC("?tc")
int write_rodata(struct __sk_buff *ctx)
{
	*(volatile int *)&limit = 5;
	return 0;
}

// EXPECT: reject "R1 unbounded memory access"
SEC("?tc")
int unbounded_index(struct __sk_buff *ctx)
{
	__u64 i = bpf_get_prandom_u32();
	__u32 v;

	asm volatile("r1 = %[base];"
		     "r1 += %[i];"
		     "%[v] = *(u32 *)(r1 + 0);"
		     : [v] "=r"(v)
		     : [base] "r"(words), [i] "r"(i << 2)
		     : "r1");
	return v;
}
