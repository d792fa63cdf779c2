// SPDX-License-Identifier: GPL-2.0-only
// What images do without a call: this CPU's number, the current task and its ids, look-ups in arrays and hash tables.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

typedef __u32 u32;
typedef __u64 u64;

struct key16 {
	u64 low, high;
};
#define MAP(name, kind, key_type, entries)        \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_##kind); \
		__type(key, key_type);            \
		__type(value, u64);               \
		__uint(max_entries, entries);     \
	} name SEC(".maps")
MAP(plain, ARRAY, u32, 100);
MAP(counts, PERCPU_ARRAY, u32, 100);
MAP(hash4, HASH, u32, 500);
MAP(hash8, HASH, u64, 500);
MAP(hash16, HASH, struct key16, 500);
MAP(lru8, LRU_HASH, u64, 4000); /* room: a full one drops elements, and before that on some kernels */
MAP(switches, PERCPU_ARRAY, u32, 1);

u64 cpu, ids, task, found, value;
u64 slot, key;
u32 task_tgid, tgid_off;
u64 all_switches, other_cpu;

static u64 at(u64 *v)
{
	return v ? *v : ~0ull;
}

SEC("raw_tp")
int numbers(void *ctx)
{
	cpu = bpf_get_smp_processor_id();
	ids = bpf_get_current_pid_tgid();
	task = bpf_get_current_task();
	return bpf_probe_read_kernel(&task_tgid, sizeof(task_tgid), (void *)(task + tgid_off));
}

SEC("raw_tp")
int arrays(void *ctx)
{
	u32 i = slot;
	u64 *v = bpf_map_lookup_elem(&plain, &i);

	found = v != 0;
	value = at(v);
	v = bpf_map_lookup_elem(&counts, &i);
	if (v)
		++*v;
	return 0;
}

SEC("raw_tp")
int tables(void *ctx)
{
	u32 k4 = key;
	u64 k8 = key;
	struct key16 k16 = {key, ~key};

	value = at(bpf_map_lookup_elem(&hash4, &k4));
	if (value != at(bpf_map_lookup_elem(&hash8, &k8)))
		return 8;
	if (value != at(bpf_map_lookup_elem(&hash16, &k16)))
		return 16;
	if (value != at(bpf_map_lookup_elem(&lru8, &k8)))
		return 1;
	return 0;
}

/* A plain increment of this CPU's count is lost, or lands elsewhere, if the address is not this CPU's. */
SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	u32 zero = 0, here = bpf_get_smp_processor_id();
	u64 *v = bpf_map_lookup_elem(&switches, &zero);

	if (v)
		++*v;
	__sync_fetch_and_add(&all_switches, 1);
	if (here != bpf_get_smp_processor_id())
		__sync_fetch_and_add(&other_cpu, 1);
	return 0;
}
