// SPDX-License-Identifier: GPL-2.0-only
// Programs of storm.cpp, one a kind of event: each counts its runs, whoever caused them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum { PERF_SLOTS = 8 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} elements SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, PERF_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} outputs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, PERF_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} counters SEC(".maps");

__u64 hits = 0;
__u64 sent = 0;
__u64 counted = 0;

static __always_inline void hit(void)
{
	__sync_fetch_and_add(&hits, 1);
}

#define COUNTS(name, section)	  \
	SEC(section)		  \
	int on_##name(void *ctx) \
	{			  \
		hit();		  \
		return 0;	  \
	}

COUNTS(kprobe, "kprobe")
COUNTS(inside, "kprobe")
COUNTS(kretprobe, "kretprobe")
COUNTS(multi, "kprobe.multi")
COUNTS(multi_return, "kretprobe.multi")
COUNTS(session, "kprobe.multi")
COUNTS(uprobe, "uprobe")
COUNTS(uretprobe, "uretprobe")
COUNTS(umulti, "uprobe")
COUNTS(umulti_return, "uprobe")
COUNTS(tracepoint, "tracepoint")
COUNTS(syscall_tp, "tracepoint")
COUNTS(raw_tp, "raw_tp")
COUNTS(tp_btf, "tp_btf/task_rename")
COUNTS(fentry, "fentry/__x64_sys_getpgid")
COUNTS(fexit, "fexit/__x64_sys_getpgid")
COUNTS(fmod_ret, "fmod_ret/security_task_getpgid")
COUNTS(lsm, "lsm/task_getpgid")
COUNTS(fault, "perf_event")
COUNTS(clock, "perf_event")
COUNTS(element, "iter/bpf_map_elem")
COUNTS(task, "iter/task")

/* Its event array has a ring for each CPU, and a counter. */
SEC("raw_tp")
int on_output(void *ctx)
{
	struct bpf_perf_event_value value;
	__u64 word = 0x73746f726dull;

	hit();
	if (!bpf_perf_event_output(ctx, &outputs, BPF_F_CURRENT_CPU, &word, sizeof(word)))
		__sync_fetch_and_add(&sent, 1);
	if (!bpf_perf_event_read_value(&counters, BPF_F_CURRENT_CPU, &value, sizeof(value)))
		__sync_fetch_and_add(&counted, 1);
	return 0;
}

char _license[] SEC("license") = "GPL";
