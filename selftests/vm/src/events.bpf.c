// SPDX-License-Identifier: GPL-2.0-only
// Programs of events.cpp: each counts its event for one process and checks what it is given.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NR_GETPGID 121
#define NR_GETPGRP 111
#define LONGEST_RECORD 8192 /* what any program may read of a record */

enum { KPROBE, KRETPROBE, TRACEPOINT, RAW_TP, SYSCALL_EXIT, SIX_ARGS, BAD_ARGS, RING, PERF, COOKIE, FUNC_IP, LONGEST, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

const volatile __u32 target = 0; /* thread group to count */
const volatile __u32 group = 0; /* its process group */
__u64 cookie_seen = 0;
__u64 func_ip_kprobe = 0;
__u64 func_ip_kretprobe = 0;

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &what);

	if (n)
		*n += 1;
}

static __always_inline int ours(void)
{
	return bpf_get_current_pid_tgid() >> 32 == target;
}

SEC("kprobe/__x64_sys_getpgid")
int on_kprobe(struct pt_regs *ctx)
{
	struct pt_regs *user = (void *)PT_REGS_PARM1(ctx);
	unsigned long arg = 0;

	if (!ours())
		return 0;
	count(KPROBE);
	bpf_probe_read_kernel(&arg, sizeof(arg), &user->rdi);
	if (arg != 0 && arg != target)
		count(BAD_ARGS);
	func_ip_kprobe = bpf_get_func_ip(ctx);
	cookie_seen = bpf_get_attach_cookie(ctx);
	__u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
	if (record) {
		record[0] = 0x6b70726f6265ull;
		record[1] = arg;
		bpf_ringbuf_submit(record, 0);
		count(RING);
	}
	return 0;
}

SEC("kretprobe/__x64_sys_getpgid")
int on_kretprobe(struct pt_regs *ctx)
{
	if (!ours())
		return 0;
	count(KRETPROBE);
	func_ip_kretprobe = bpf_get_func_ip(ctx);
	if ((long)PT_REGS_RC(ctx) < 0 && (long)PT_REGS_RC(ctx) != -3)
		count(BAD_ARGS);
	return 0;
}

struct sys_enter_record {
	__u64 common;
	__s64 nr;
	__u64 args[6];
};

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_tracepoint(struct sys_enter_record *ctx)
{
	__u64 data[2] = { 0x7472616365ull, 0 };

	if (!ours())
		return 0;
	count(TRACEPOINT);
	if ((__s32)ctx->nr != NR_GETPGID)
		count(BAD_ARGS);
	data[1] = ctx->args[0];
	if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, data, sizeof(data)) == 0)
		count(PERF);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpgrp")
int on_jump(struct sys_enter_record *ctx)
{
	if (ours())
		bpf_tail_call(ctx, &jumps, 0);
	return 0;
}

/* Attached nowhere, and loaded where it is asked for: it reads more than its event's record has. */
SEC("?tracepoint/syscalls/sys_enter_getpgrp")
int jumped_to(struct sys_enter_record *ctx)
{
	count(LONGEST);
	if ((__s32)ctx->nr != NR_GETPGRP)
		count(BAD_ARGS);
	return *(volatile __u64 *)((char *)ctx + LONGEST_RECORD - 8) & 1;
}

struct sys_exit_record {
	__u64 common;
	__s64 nr;
	__s64 ret;
};

SEC("tracepoint/syscalls/sys_exit_getpgid")
int on_exit(struct sys_exit_record *ctx)
{
	if (!ours())
		return 0;
	count(SYSCALL_EXIT);
	if (ctx->nr != NR_GETPGID || ctx->ret != group)
		count(BAD_ARGS);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_mmap")
int on_six_args(struct sys_enter_record *ctx)
{
	if (ours() && ctx->args[0] == 0x1000 && ctx->args[1] == 2 && ctx->args[2] == 3 && ctx->args[3] == 4 && ctx->args[4] == 5 &&
	    ctx->args[5] == 6)
		count(SIX_ARGS);
	return 0;
}

SEC("raw_tp/sys_enter")
int on_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != NR_GETPGID || !ours())
		return 0;
	count(RAW_TP);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
