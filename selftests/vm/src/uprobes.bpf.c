// SPDX-License-Identifier: GPL-2.0-only
// Programs of uprobes.cpp. The low bits of a cookie say which counter the hit belongs to.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define COUNTERS 16

__u64 hits[COUNTERS] = {};
__u64 bad_args = 0;
__u64 bad_results = 0;
__u64 last_ip = 0;
__u64 last_func_ip = 0;
__u64 last_cookie = 0;
__s64 copied = 0;
__s64 stack_bytes = 0;
__s64 kernel_stack_bytes = 0;
__u64 stack[8] = {};
char text[16] = {};

static __always_inline void hit(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);

	last_cookie = cookie;
	last_ip = PT_REGS_IP(ctx);
	last_func_ip = bpf_get_func_ip(ctx);
	__sync_fetch_and_add(&hits[cookie & (COUNTERS - 1)], 1);
}

/* traced_N(n, text) returns n + 1 */
SEC("kprobe")
int at_entry(struct pt_regs *ctx)
{
	char c = 0;

	hit(ctx);
	bpf_probe_read_user(&c, 1, (void *)PT_REGS_PARM2(ctx));
	if ((int)PT_REGS_PARM1(ctx) < 0 || c != 't')
		__sync_fetch_and_add(&bad_args, 1);
	return 0;
}

SEC("kprobe")
int at_return(struct pt_regs *ctx)
{
	hit(ctx);
	if ((int)PT_REGS_RC(ctx) < 1)
		__sync_fetch_and_add(&bad_results, 1);
	return 0;
}

/* The text is in memory that nobody has touched yet. */
SEC("kprobe")
int asleep(struct pt_regs *ctx)
{
	hit(ctx);
	copied = bpf_copy_from_user(text, sizeof(text), (void *)PT_REGS_PARM2(ctx));
	stack_bytes = bpf_get_stack(ctx, stack, sizeof(stack), BPF_F_USER_STACK);
	kernel_stack_bytes = bpf_get_stack(ctx, stack + 4, 16, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
