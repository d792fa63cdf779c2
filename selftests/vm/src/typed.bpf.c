// SPDX-License-Identifier: GPL-2.0-only
// For 21-typed.sh: a tracepoint's typed arguments, loads through kernel objects, a signal to the current task, a tracepoint's record written.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct {
	int pid, tgid;
	struct task_struct *real_parent;
};
#pragma clang attribute pop

int watched;               /* the process whose children count */
__u64 execs, same_task;
int signals, group_id;

SEC("tp_btf/sched_process_exec")
int on_exec(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0], *current = bpf_get_current_task_btf();
	int parent;

	parent = task->real_parent->tgid;
	if (parent != watched)
		return 0;
	__sync_fetch_and_add(&execs, 1);
	if (current->pid == task->pid && current->tgid == (int)(bpf_get_current_pid_tgid() >> 32))
		__sync_fetch_and_add(&same_task, 1);
	group_id = bpf_get_current_cgroup_id() != 0;
	return 0;
}

SEC("raw_tp/sys_enter")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 first; /* argument, in rdi: the 15th word of the registers */

	if (ctx->args[1] != 121 || bpf_get_current_pid_tgid() >> 32 != watched)
		return 0; /* getpgid() of the test */
	if (bpf_probe_read_kernel(&first, sizeof(first), (char *)ctx->args[0] + 14 * 8) || first != 12345678)
		return 0;
	signals += bpf_send_signal(10) == 0; /* SIGUSR1 */
	return 0;
}

int ended_with = -1, end_with; /* of a packet's test run */

SEC("raw_tp.w/bpf_test_finish")
int on_end(__u64 *ctx)
{
	int *result = (void *)ctx[0];

	ended_with = *result;
	*result = end_with;
	return 0;
}

SEC("raw_tp.w/bpf_test_finish")
int on_end_behind(__u64 *ctx)
{
	return *((char *)ctx[0] + sizeof(int)); /* behind what the tracepoint gives away */
}

SEC("socket")
int on_packet(void *ctx)
{
	return 0;
}
