/* SPDX-License-Identifier: GPL-2.0-only */
/* What the bodies share. A body is a program without maps and helpers that computes over the bytes of a packet; each file holds one, named
 * after it. It returns 32 bits, the same whoever translated it. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct __sk_buff {
	u32 words[19];
	u32 data;
	u32 data_end;
};

#define INLINE static inline __attribute__((always_inline))
#define SUBPROGRAM static __attribute__((noinline))
#define LOOP _Pragma("clang loop unroll(disable)")
#define UNROLL _Pragma("clang loop unroll(full)")
/* The compiler must not know where a value comes from. */
#define OPAQUE(x) __asm__ volatile("" : "+r"(x))
#define KEEP_ORDER() __asm__ volatile("" : : : "memory")

#define READ8(p) (*(const u8 *)(p))
#define READ16(p) (*(const u16 *)(p))
#define READ32(p) (*(const u32 *)(p))
#define READ64(p) (*(const u64 *)(p))

INLINE u32 rotate32(u32 x, int n)
{
	return x << n | x >> (32 - n);
}
INLINE u64 rotate64(u64 x, int n)
{
	return x << n | x >> (64 - n);
}

/* The program: `body` computes over [data, end). */
#define PROGRAM(body)                                                                                        \
	__attribute__((section("tc"), used)) int x_##body(struct __sk_buff *skb)                      \
	{                                                                                                    \
		return body((const u8 *)(long)skb->data, (const u8 *)(long)skb->data_end);                   \
	}                                                                                                    \
	__attribute__((section("license"), used)) char gpl[] = "GPL";
