// SPDX-License-Identifier: GPL-2.0-only
// For traced.cpp: programs at the functions that test runs call, and at functions of everyday life.
#include <linux/bpf.h>
#include <asm-generic/errno-base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

__u64 entered[10];  /* by test function: sums that their arguments must give */
__u64 left[10];     /* the same with the result behind it */
__u64 counted, fourth, past, ret_code, ret_value, ip, cookie;
int order[8], steps;

#define ENTRY(n) SEC("?fentry/bpf_fentry_test" #n) int entry##n(__u64 *ctx)
#define EXIT(n) SEC("?fexit/bpf_fentry_test" #n) int exit##n(__u64 *ctx)

ENTRY(1) { entered[1] += (int)ctx[0]; return 0; }
ENTRY(2) { entered[2] += (int)ctx[0] * 100 + ctx[1]; return 0; }
ENTRY(3) { entered[3] += (char)ctx[0] * 100 + (int)ctx[1] * 10 + ctx[2]; return 0; }
ENTRY(5) { entered[5] += ctx[0] + ctx[1] * 3 + (short)ctx[2] * 5 + (int)ctx[3] * 7 + ctx[4] * 11; return 0; }
ENTRY(6) { entered[6] += ctx[0] + ctx[1] * 3 + (short)ctx[2] * 5 + (int)ctx[3] * 7 + ctx[4] * 11 + ctx[5] * 13; return 0; }
EXIT(1) { left[1] += (int)ctx[0] * 100 + (int)ctx[1]; return 0; }
EXIT(4) { left[4] += ctx[0] + (char)ctx[1] * 3 + (int)ctx[2] * 5 + ctx[3] * 7 + (__u64)(int)ctx[4] * 1000; return 0; }
EXIT(6) { left[6] += ctx[0] + ctx[5] * 13 + (__u64)(int)ctx[6] * 1000; return 0; }

SEC("?fexit/bpf_fentry_test2")
int asks(__u64 *ctx)
{
	counted = bpf_get_func_arg_cnt(ctx);
	if (bpf_get_func_arg(ctx, 1, &fourth))
		fourth = -1;
	past = bpf_get_func_arg(ctx, 2, &ret_code);
	ret_code = bpf_get_func_ret(ctx, &ret_value);
	ip = bpf_get_func_ip(ctx);
	cookie = bpf_get_attach_cookie(ctx);
	return 0;
}

SEC("?fentry/bpf_fentry_test2")
int asks_early(__u64 *ctx)
{
	ret_code = bpf_get_func_ret(ctx, &ret_value);
	return 0;
}

static void step(int who)
{
	if (steps >= 0 && steps < 8)
		order[steps++] = who;
}
SEC("?fentry/bpf_fentry_test3") int first(__u64 *ctx) { step(1); return 0; }
SEC("?fentry/bpf_fentry_test3") int second(__u64 *ctx) { step(2); return 0; }
SEC("?fexit/bpf_fentry_test3") int third(__u64 *ctx) { step(3); return 0; }

int wanted;
SEC("?fmod_ret/bpf_modify_return_test")
int decides(__u64 *ctx)
{
	step(4);
	return wanted;
}
SEC("?fmod_ret/bpf_modify_return_test")
int agrees(__u64 *ctx)
{
	step(5);
	return 0;
}
SEC("?fexit/bpf_modify_return_test")
int sees(__u64 *ctx)
{
	step(6);
	ret_value = (int)ctx[2];
	return 0;
}
SEC("?fexit/bpf_modify_return_test2") /* seven words: the last one is on the stack */
int sees_all(__u64 *ctx)
{
	ret_value = (int)ctx[0] + (short)ctx[2] * 10 + (int)ctx[3] * 100 + ctx[4] * 1000 + (char)ctx[5] * 10000 + (int)ctx[6] * 100000 +
		    (__u64)(int)ctx[7] * 1000000;
	return 0;
}

/* Not in a process. */
int watched;
__u64 opens, opened, slept, denied, refused, stopped;

SEC("?fexit/do_sys_openat2") int on_open(__u64 *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == watched) {
		__sync_fetch_and_add(&opens, 1);
		if ((long)ctx[3] >= 0)
			__sync_fetch_and_add(&opened, 1);
	}
	return 0;
}

SEC("?fexit/hrtimer_nanosleep") int on_sleep(__u64 *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == watched)
		__sync_fetch_and_add(&slept, 1);
	return 0;
}

SEC("?socket") int plain(struct __sk_buff *skb) { return 0; }
SEC("?fentry") int on_program(__u64 *ctx) { return 0; }

SEC("?lsm/file_mprotect") int guard(__u64 *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != watched || ctx[1] != 5) /* PROT_READ | PROT_EXEC */
		return 0;
	__sync_fetch_and_add(&denied, 1);
	return -EPERM;
}

/* Commands are asked about, too. */
SEC("?lsm/bpf") int command_guard(__u64 *ctx)
{
	union bpf_attr *attr = (void *)ctx[1];
	__u32 entries = 0;

	if (bpf_get_current_pid_tgid() >> 32 != watched || (int)ctx[0] != BPF_MAP_CREATE || (__u32)ctx[2] < 16)
		return 0;
	bpf_probe_read_kernel(&entries, sizeof(entries), &attr->max_entries);
	if (entries != 77)
		return 0;
	__sync_fetch_and_add(&stopped, 1);
	return -EPERM;
}

SEC("?lsm.s/file_ioctl") int sleepable_guard(__u64 *ctx)
{
	char text[4];

	if (bpf_get_current_pid_tgid() >> 32 != watched || (int)ctx[1] != 0x7a7a7a7a)
		return 0;
	if (!bpf_copy_from_user(text, sizeof(text), (void *)ctx[2]) && text[0] == 'x') /* the caller's memory, faulted in */
		__sync_fetch_and_add(&refused, 1);
	return -EACCES;
}
