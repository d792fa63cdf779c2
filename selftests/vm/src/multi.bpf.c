// SPDX-License-Identifier: GPL-2.0-only
// Programs of multi.cpp. The low bits of a cookie say which counter the hit belongs to.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define COUNTERS 16

extern __u64 *bpf_session_cookie(void) __weak __ksym;
extern bool bpf_session_is_return(void) __weak __ksym;

__u64 hits[COUNTERS] = {};
__u64 ips[COUNTERS] = {};
__u64 returns = 0;
__u64 bad = 0;
__u64 everywhere = 0;
__u32 target = 0; /* thread group to count */
__u32 skip = 0;   /* sessions are not run at the return */

static __always_inline int ours(void)
{
	return bpf_get_current_pid_tgid() >> 32 == target;
}

static __always_inline void hit(struct pt_regs *ctx)
{
	__u64 at = bpf_get_attach_cookie(ctx) & (COUNTERS - 1);

	__sync_fetch_and_add(&hits[at], 1);
	ips[at] = bpf_get_func_ip(ctx);
}

/* System calls with this thread group as their argument. */
SEC("kprobe")
int at_entry(struct pt_regs *ctx)
{
	struct pt_regs *user = (void *)PT_REGS_PARM1(ctx);
	unsigned long arg = 0;

	if (!ours())
		return 0;
	hit(ctx);
	bpf_probe_read_kernel(&arg, sizeof(arg), &user->rdi);
	if (arg != target)
		__sync_fetch_and_add(&bad, 1);
	return 0;
}

SEC("kprobe")
int at_return(struct pt_regs *ctx)
{
	if (!ours())
		return 0;
	hit(ctx);
	if ((long)PT_REGS_RC(ctx) < 0)
		__sync_fetch_and_add(&bad, 1);
	return 0;
}

SEC("kprobe")
int in_session(struct pt_regs *ctx)
{
	if (!ours())
		return 1;
	hit(ctx);
	return skip ? 1 : 0;
}

SEC("kprobe")
int with_data(struct pt_regs *ctx)
{
	__u64 *data = bpf_session_cookie();

	if (!ours())
		return 1;
	hit(ctx);
	if (!bpf_session_is_return()) {
		*data = bpf_get_func_ip(ctx) + 5;
		return 0;
	}
	__sync_fetch_and_add(&returns, 1);
	if (*data != bpf_get_func_ip(ctx) + 5)
		__sync_fetch_and_add(&bad, 1);
	return 0;
}

SEC("kprobe")
int anywhere(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&everywhere, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
