// SPDX-License-Identifier: GPL-2.0-only
// Each process that is executed: tracepoint sched_process_exec through a ring buffer.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

/* events/sched/sched_process_exec/format, the same on 6.1 and 6.12. */
struct exec_record {
	__u64 common;
	__u32 filename_loc; /* length << 16 | offset in the record */
	__s32 pid;
	__s32 old_pid;
};

struct event {
	__u32 pid;
	__u32 uid;
	char comm[16];
	char filename[128];
};

/* Puts the record's type into the object's BTF, for tools that print records. */
const struct event *unused_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

// EXPECT: accept
SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct exec_record *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_probe_read_kernel_str(e->filename, sizeof(e->filename), (void *)ctx + (ctx->filename_loc & 0xffff));
	bpf_ringbuf_submit(e, 0);
	return 0;
}
