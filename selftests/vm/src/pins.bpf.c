// SPDX-License-Identifier: GPL-2.0-only
// For pins.cpp: calls of getpgid() by one process, counted in a map; maps of several kinds; an object of the kernel as text.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

struct pair {
	int n;
	char name[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct pair);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} per_cpu SEC(".maps");

const volatile __u32 target;

#define NR_GETPGID 121

SEC("raw_tp/sys_enter")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 key = 0;
	__u64 *n;

	if (ctx->args[1] != NR_GETPGID || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	n = bpf_map_lookup_elem(&calls, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

typedef struct {
	int counter;
} atomic_t;

struct refcount_struct {
	atomic_t refs;
};

char text[96];
long length = 0;
long wrong_type = 0;
long wrong_flag = 0;

SEC("raw_tp/sys_enter")
int describe(struct bpf_raw_tracepoint_args *ctx)
{
	struct refcount_struct five = {{5}};
	struct btf_ptr object = {.ptr = &five, .type_id = bpf_core_type_id_kernel(struct refcount_struct)};

	if (ctx->args[1] != NR_GETPGID || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	length = bpf_snprintf_btf(text, sizeof(text), &object, sizeof(object), BTF_F_COMPACT);
	wrong_flag = bpf_snprintf_btf(text, sizeof(text), &object, sizeof(object), 16);
	object.type_id = 0x7fffffff;
	wrong_type = bpf_snprintf_btf(text, sizeof(text), &object, sizeof(object), 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
