// SPDX-License-Identifier: GPL-2.0-only
// Programs of profile.cpp: on overflows of counters, and a tracepoint's program that reads counters and compares control groups.
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

#define DEPTH 32

enum { CLOCK, FAULTS, SWITCHES, INHERITED, WATCHED, EVENTS };

struct seen {
	__u64 samples, kernel_chains, user_chains, in_user, period, addr_hits, cookie, value_errors, value;
	__s64 last_error;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, __u32);
	__type(value, struct seen);
} results SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1024);
	__uint(key_size, 4);
	__uint(value_size, DEPTH * 8);
} chains SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64[2]);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 2);
} groups SEC(".maps");

const volatile __u32 target = 0; /* thread group */
const volatile __u64 page_start = 0, page_end = 0;

/* A chain, or one whose place another one of the same hash has: addresses differ from boot to boot. */
static __always_inline int taken(__s64 id)
{
	return id >= 0 || id == -17; /* EEXIST */
}

static __always_inline int look(struct bpf_perf_event_data *ctx, __u32 event)
{
	struct bpf_perf_event_value value = {};
	__u64 key[2], one = 1, *n, addr = ctx->addr;
	struct seen *s = bpf_map_lookup_elem(&results, &event);
	__s64 k, u, err;

	if (!s || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	s->samples++;
	s->period = ctx->sample_period;
	s->in_user += (ctx->regs.cs & 3) == 3;
	s->addr_hits += addr >= page_start && addr < page_end;
	s->cookie = bpf_get_attach_cookie(ctx);
	k = bpf_get_stackid(ctx, &chains, 0);
	u = bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK);
	s->kernel_chains += taken(k);
	s->user_chains += taken(u);
	key[0] = k;
	key[1] = u;
	n = bpf_map_lookup_elem(&counts, key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&counts, key, &one, BPF_NOEXIST);
	err = bpf_perf_prog_read_value(ctx, &value, sizeof(value));
	s->value = value.counter;
	s->value_errors += err != 0;
	s->last_error = err;
	return 0;
}

SEC("perf_event")
int on_clock(struct bpf_perf_event_data *ctx)
{
	return look(ctx, CLOCK);
}

struct {
	__s64 calls, mapped, signals, signal_error, vma_error;
} masked SEC(".data.masked");

static long take_mapping(void *task, void *vma, void *ctx)
{
	masked.mapped++;
	return 0;
}

/* The clock's interrupt: what must wait for interrupts to be on does. */
SEC("perf_event")
int on_masked(struct bpf_perf_event_data *ctx)
{
	long err = 0;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	masked.calls++;
	err = bpf_find_vma(bpf_get_current_task_btf(), page_start, take_mapping, &err, 0);
	if (err)
		masked.vma_error = err;
	err = bpf_send_signal(10); /* SIGUSR1 */
	if (err)
		masked.signal_error = err;
	else
		masked.signals++;
	return 0;
}

SEC("perf_event")
int on_fault(struct bpf_perf_event_data *ctx)
{
	return look(ctx, FAULTS);
}

SEC("perf_event")
int on_switch(struct bpf_perf_event_data *ctx)
{
	return look(ctx, SWITCHES);
}

SEC("perf_event")
int on_inherited(struct bpf_perf_event_data *ctx)
{
	return look(ctx, INHERITED);
}

SEC("perf_event")
int on_watched(struct bpf_perf_event_data *ctx)
{
	return look(ctx, WATCHED);
}

struct rq {
	int cpu;
} __attribute__((preserve_access_index));
extern const struct rq runqueues __ksym;

struct {
	__s64 calls, error, under[3], plain;
	struct bpf_perf_event_value value;
	__s64 cpu, rq_cpu;
} out;

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_call(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	out.calls++;
	out.cpu = bpf_get_smp_processor_id();
	out.rq_cpu = ((const struct rq *)bpf_this_cpu_ptr(&runqueues))->cpu;
	out.error = bpf_perf_event_read_value(&counters, BPF_F_CURRENT_CPU, &out.value, sizeof(out.value));
	out.plain = bpf_perf_event_read(&counters, BPF_F_CURRENT_CPU);
	out.under[0] = bpf_current_task_under_cgroup(&groups, 0);
	out.under[1] = bpf_current_task_under_cgroup(&groups, 1);
	out.under[2] = bpf_current_task_under_cgroup(&groups, 2);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
