// SPDX-License-Identifier: GPL-2.0-only
// For 60-bpftool.sh: two programs on a function that nothing calls there, and maps that only bpftool changes.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct value {
	__u32 count;
	char name[4];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct value);
} table SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} per_cpu SEC(".maps");

int total = 5;
const volatile int limit = 9;

static __attribute__((noinline)) int count(struct value *v)
{
	v->count++;
	return v->count < limit;
}

SEC("kprobe/__x64_sys_swapoff")
int on_enter(void *ctx)
{
	__u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&table, &key);
	__u64 *n = bpf_map_lookup_elem(&per_cpu, &key);

	if (n)
		*n += 1;
	if (v)
		total += count(v);
	return 0;
}

SEC("kretprobe/__x64_sys_swapoff")
int on_exit(void *ctx)
{
	total++;
	return 0;
}
