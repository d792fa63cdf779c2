// SPDX-License-Identifier: GPL-2.0-only
// Empty programs, one an event: what runs between the event and the program, and nothing else. Sections give types, as far as
// libbpf knows them; events.cpp attaches.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1000);
	__type(key, __u32);
	__type(value, __u64);
} elements SEC(".maps");

#define EMPTY(name, section)	\
	SEC(section)		\
	int on_##name(void *ctx) \
	{			\
		return 0;	\
	}

EMPTY(kprobe, "kprobe")
EMPTY(kprobe_offset, "kprobe")
EMPTY(kretprobe, "kretprobe")
EMPTY(multi, "kprobe.multi")
EMPTY(multi_return, "kretprobe.multi")
EMPTY(session, "kprobe.multi")
EMPTY(uprobe, "uprobe")
EMPTY(uretprobe, "uretprobe")
EMPTY(umulti, "uprobe")
EMPTY(umulti_return, "uprobe")
EMPTY(tracepoint, "tracepoint")
EMPTY(syscall_tp, "tracepoint")

/* The least that a program can see of a record. */
SEC("tracepoint")
int on_record(void *ctx)
{
	return *(volatile int *)(ctx + 8) & 0;
}
SEC("tracepoint")
int on_syscall_record(void *ctx)
{
	return *(volatile int *)(ctx + 8) & 0;
}

EMPTY(raw_tp, "raw_tp")
EMPTY(tp_btf, "tp_btf/task_rename")
EMPTY(fentry, "fentry/__x64_sys_getpgid")
EMPTY(fexit, "fexit/__x64_sys_getpgid")
EMPTY(fmod_ret, "fmod_ret/security_task_getpgid")
EMPTY(lsm, "lsm/task_getpgid")
EMPTY(page_fault, "perf_event")
EMPTY(cpu_clock, "perf_event")
EMPTY(element, "iter/bpf_map_elem")

char _license[] SEC("license") = "GPL";
