// SPDX-License-Identifier: GPL-2.0-only
// Programs of stacks.cpp: each takes the kernel's and the user's call chain of one process's getpgid().
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

#define DEPTH 32

enum { KPROBE, TRACEPOINT, RAW_TP, FENTRY, FEXIT, EVENTS };

struct seen {
	__s64 kernel_id, user_id, kernel_size, user_size, bad_flags;
	__u64 kernel[DEPTH], user[DEPTH];
};

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1 << 16); /* two chains of one hash would share a place */
	__uint(key_size, 4);
	__uint(value_size, DEPTH * 8);
} chains SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, __u32);
	__type(value, struct seen);
} results SEC(".maps");

const volatile __u32 target = 0; /* thread group */

static __always_inline int look(void *ctx, __u32 event)
{
	struct seen *s = bpf_map_lookup_elem(&results, &event);

	if (!s || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	s->kernel_id = bpf_get_stackid(ctx, &chains, BPF_F_REUSE_STACKID);
	s->user_id = bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	s->kernel_size = bpf_get_stack(ctx, s->kernel, sizeof(s->kernel), 0);
	s->user_size = bpf_get_stack(ctx, s->user, sizeof(s->user), BPF_F_USER_STACK);
	s->bad_flags = bpf_get_stackid(ctx, &chains, 1ull << 40);
	return 0;
}

SEC("kprobe/__x64_sys_getpgid")
int on_kprobe(struct pt_regs *ctx)
{
	return look(ctx, KPROBE);
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_tracepoint(void *ctx)
{
	return look(ctx, TRACEPOINT);
}

SEC("raw_tracepoint/sys_enter")
int on_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return ctx->args[1] == 121 ? look(ctx, RAW_TP) : 0;
}

SEC("fentry/__x64_sys_getpgid")
int on_fentry(void *ctx)
{
	return look(ctx, FENTRY);
}

SEC("fexit/__x64_sys_getpgid")
int on_fexit(void *ctx)
{
	return look(ctx, FEXIT);
}

char LICENSE[] SEC("license") = "GPL";
