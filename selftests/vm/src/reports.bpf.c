// SPDX-License-Identifier: GPL-2.0-only
// For 70-run.sh: every way in which `modbpf run` reports, from opens of /t/marker alone: a perf buffer, a ring buffer, trace_printk,
// a table, a histogram, global variables.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

struct event {
	__u32 pid;
	__u32 n;
	char name[16];
};
const struct event *unused_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf_events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring_events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} opens SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u64);
} opens_hist SEC(".maps");

__u64 seen;

/* events/syscalls/sys_enter_openat/format */
struct enter_openat {
	__u64 common;
	__u64 nr;
	__u64 dfd;
	const char *filename;
};

SEC("tp/syscalls/sys_enter_openat")
int on_open(struct enter_openat *ctx)
{
	struct event e = { .pid = bpf_get_current_pid_tgid() >> 32 };
	__u32 zero = 0, slot = 3;
	__u64 one = 1, *v;

	if (bpf_probe_read_user_str(e.name, sizeof(e.name), ctx->filename) != 10 || bpf_strncmp(e.name, 10, "/t/marker"))
		return 0;
	e.n = __sync_fetch_and_add(&seen, 1);
	bpf_perf_event_output(ctx, &perf_events, BPF_F_CURRENT_CPU, &e, sizeof(e));
	bpf_ringbuf_output(&ring_events, &e, sizeof(e), BPF_RB_NO_WAKEUP);
	bpf_printk("opened %s n=%d", e.name, e.n);
	v = bpf_map_lookup_elem(&opens, &zero);
	if (v)
		__sync_fetch_and_add(v, 1);
	else
		bpf_map_update_elem(&opens, &zero, &one, BPF_ANY);
	v = bpf_map_lookup_elem(&opens_hist, &slot);
	if (v)
		*v += 1;
	return 0;
}
