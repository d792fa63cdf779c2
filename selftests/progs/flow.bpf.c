// SPDX-License-Identifier: GPL-2.0-only
// Loops, subprograms, 32-bit ranges, spills and fills, dead code.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define noinline __attribute__((noinline))

static noinline int fib(int n)
{
	int a = 0, b = 1;

	for (int i = 0; i < n && i < 40; i++) {
		int t = a + b;

		a = b;
		b = t;
	}
	return a;
}

// EXPECT: accept
// RETVAL: 6765
SEC("tc")
int loop_in_subprog(struct __sk_buff *ctx)
{
	volatile int n = 20;

	return fib(n);
}

static noinline int leaf(int x)
{
	volatile int y = x * 3;

	return y;
}

static noinline int middle(int x)
{
	volatile int y = leaf(x) + 1;

	return y * 2;
}

// Callee-saved registers live across two levels of calls.
// EXPECT: accept
// RETVAL: 1111
SEC("tc")
int nested_calls(struct __sk_buff *ctx)
{
	int a = ctx->len, b = ctx->mark;
	int r = middle(5);

	if (a != 64 || b != 0)
		return -1;
	return r * 30 + middle(2) * 10 + leaf(1) + a - 56;
}

noinline int global_func(int a, int b)
{
	return a * 1000 + b;
}

// EXPECT: accept
// RETVAL: 7008
SEC("tc")
int calls_global_func(struct __sk_buff *ctx)
{
	return global_func(7, 8);
}

// EXPECT: accept
// RETVAL: 499500
SEC("xdp")
int long_loop(struct xdp_md *ctx)
{
	int sum = 0;

	for (int i = 0; i < 1000; i++) {
		sum += i;
		asm volatile("" : "+r"(sum));
	}
	return sum;
}

// EXPECT: reject "infinite loop detected"
SEC("?tc")
int infinite_loop(struct __sk_buff *ctx)
{
	asm volatile("r6 = 0;"
		     "1: r7 = r6;"
		     "if r7 == 0 goto 1b;"
		     :
		     :
		     : "r6", "r7");
	return 0;
}

static noinline int d8(int x) { volatile int y = x; return y + 1; }
static noinline int d7(int x) { volatile int y = d8(x); return y + 1; }
static noinline int d6(int x) { volatile int y = d7(x); return y + 1; }
static noinline int d5(int x) { volatile int y = d6(x); return y + 1; }
static noinline int d4(int x) { volatile int y = d5(x); return y + 1; }
static noinline int d3(int x) { volatile int y = d4(x); return y + 1; }
static noinline int d2(int x) { volatile int y = d3(x); return y + 1; }
static noinline int d1(int x) { volatile int y = d2(x); return y + 1; }

// EXPECT: reject "the call stack of 9 frames is too deep"
SEC("?tc")
int too_deep(struct __sk_buff *ctx)
{
	return d1(ctx->len);
}

// Eight frames are allowed.
// EXPECT: accept
// RETVAL: 71
SEC("tc")
int deep_enough(struct __sk_buff *ctx)
{
	return d2(ctx->len);
}

// A 32-bit comparison bounds the register that a 64-bit access uses.
// EXPECT: accept
// RETVAL: 9
SEC("tc")
int alu32_bounds(struct __sk_buff *ctx)
{
	__u8 buf[16] = { 0, 9, 18, 27 };
	__u64 r;

	asm volatile("r1 = %[i];"
		     "w1 = w1;"
		     "if w1 > 15 goto 1f;"
		     "r2 = r10;"
		     "r2 += -16;"
		     "r2 += r1;"
		     "r0 = *(u8 *)(%[buf] + 1);"
		     "goto 2f;"
		     "1: r0 = 255;"
		     "2: %[r] = r0;"
		     : [r] "=r"(r)
		     : [i] "r"((__u64)ctx->mark), [buf] "r"(buf)
		     : "r0", "r1", "r2", "memory");
	return r;
}

// Signed division and shifts with negative numbers, 32 and 64 bits.
// EXPECT: accept
// RETVAL: -21
SEC("tc")
int arithmetic(struct __sk_buff *ctx)
{
	volatile __s32 a = -100;
	volatile __s64 b = -7;
	volatile __u32 zero = 0;
	__u32 by_zero = 5 / (zero | 1) - 5;

	return (a >> 3) + (__s32)(b >> 1) - (__s32)(b * 2 + 18) + by_zero;
}

// A scalar and a pointer survive a spill; the pointer stays checked.
// EXPECT: accept
// RETVAL: 70
SEC("tc")
int spill_fill(struct __sk_buff *ctx)
{
	int r;

	asm volatile("*(u64 *)(r10 - 8) = %[ctx];"
		     "r1 = 6;"
		     "*(u64 *)(r10 - 16) = r1;"
		     "r2 = *(u64 *)(r10 - 8);"
		     "r3 = *(u32 *)(r2 + 0);"
		     "r4 = *(u64 *)(r10 - 16);"
		     "r3 += r4;"
		     "%[r] = r3;"
		     : [r] "=r"(r)
		     : [ctx] "r"(ctx)
		     : "r1", "r2", "r3", "r4", "memory");
	return r;
}

// Half of a spilled pointer is no pointer.
// EXPECT: reject "invalid mem access 'scalar'"
SEC("?tc")
int spill_corrupted(struct __sk_buff *ctx)
{
	int r;

	asm volatile("*(u64 *)(r10 - 8) = %[ctx];"
		     "r1 = 0;"
		     "*(u32 *)(r10 - 8) = r1;"
		     "r2 = *(u64 *)(r10 - 8);"
		     "%[r] = *(u32 *)(r2 + 0);"
		     : [r] "=r"(r)
		     : [ctx] "r"(ctx)
		     : "r1", "r2", "memory");
	return r;
}

// EXPECT: reject "invalid write to stack R10 off=-520 size=8"
SEC("?tc")
int stack_too_low(struct __sk_buff *ctx)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 520) = r1;"
		     :
		     :
		     : "r1", "memory");
	return 0;
}

// EXPECT: reject "R3 !read_ok"
SEC("?tc")
__attribute__((naked)) int uninitialised(struct __sk_buff *ctx)
{
	asm volatile("r0 = r3;"
		     "exit;");
}

// Both arms of a branch that is always taken are fine for the verifier only because the other one is never explored.
// EXPECT: accept
// RETVAL: 3
SEC("tc")
__attribute__((naked)) int dead_arm(struct __sk_buff *ctx)
{
	asm volatile("r1 = 5;"
		     "if r1 == 5 goto 1f;"
		     "r0 = *(u64 *)(r1 + 0);"
		     "exit;"
		     "1: r0 = 3;"
		     "exit;");
}
