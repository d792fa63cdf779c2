// SPDX-License-Identifier: GPL-2.0-only
// The deepest native stack that tail calls can make: functions nested as deep as may be, each with all callee-saved registers and as much
// stack as the verifier lets frames that stay behind have; the innermost tail-calls slot 0. See nesting.cpp.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} table SEC(".maps");

/// Uses r6-r9, so that they are saved, and `words` words of stack.
#define USE(words)                                                                                                                                   \
    volatile __u64 pad[words];                                                                                                                       \
    pad[0] = 1;                                                                                                                                      \
    asm volatile("r6 = 1; r7 = 2; r8 = 3; r9 = 4" ::: "r6", "r7", "r8", "r9")

static __attribute__((noinline)) int f7(struct __sk_buff *skb) {
    USE(30);
    bpf_tail_call(skb, &table, 0);
    return pad[0];
}
#define LEVEL(name, next)                                                                                                                            \
    static __attribute__((noinline)) int name(struct __sk_buff *skb) {                                                                               \
        USE(3);                                                                                                                                      \
        return next(skb) + pad[0];                                                                                                                   \
    }
LEVEL(f6, f7)
LEVEL(f5, f6)
LEVEL(f4, f5)
LEVEL(f3, f4)
LEVEL(f2, f3)
LEVEL(f1, f2)

/// Counts entries in skb->mark.
#define PROGRAM(name, first)                                                                                                                         \
    SEC("tc") int name(struct __sk_buff *skb) {                                                                                                      \
        skb->mark++;                                                                                                                                 \
        USE(3);                                                                                                                                      \
        return first(skb) + pad[0];                                                                                                                  \
    }
PROGRAM(frames_2, f7)
PROGRAM(frames_3, f6)
PROGRAM(frames_4, f5)
PROGRAM(frames_6, f3)
PROGRAM(frames_8, f1)

char LICENSE[] SEC("license") = "GPL";
