/* SPDX-License-Identifier: GPL-2.0-only */
/* A bit of everything that an object file carries, for the loader's tests: `refused` is refused, the others accepted. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct event {
	__u32 pid;
	char comm[16];
	__u64 ns;
};
const struct event *unused_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u64);
} read_hist SEC(".maps");

__u64 total;
const volatile __u32 limit = 100;

static __noinline int log2_slot(__u64 v)
{
	int slot = 0;

	for (int i = 0; i < 32 && v > 1; i++, v >>= 1)
		slot++;
	return slot;
}

SEC("tracepoint/sched/sched_process_exec")
int handle_exec(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->ns = bpf_ktime_get_ns();
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	total++;
	return 0;
}

SEC("kprobe/vfs_read")
int count_read(void *ctx)
{
	__u32 slot = log2_slot(bpf_ktime_get_ns() & 0xffff);
	__u64 *v = bpf_map_lookup_elem(&read_hist, &slot);

	if (v && total < limit)
		__sync_fetch_and_add(v, 1);
	bpf_printk("slot %d", slot);
	return 0;
}

SEC("raw_tp/sys_enter")
int refused(void *ctx)
{
	__u32 key = 1;
	__u64 *v = bpf_map_lookup_elem(&counts, &key);

	return *v; /* may be null */
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
