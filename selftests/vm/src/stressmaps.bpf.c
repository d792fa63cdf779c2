// SPDX-License-Identifier: GPL-2.0-only
// As stress.bpf.c, for the other map types: programs that change them on any hook, while hammer.h does so from user space.
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

#include "hooks.bpf.h"

struct prefix {
	__u32 len, bits;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 512);
	__type(key, struct prefix);
	__type(value, __u64);
} trie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 64);
	__type(value, __u64);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 64);
	__type(value, __u64);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 256);
	__type(value, __u64);
} bloom SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [0] = &first, [1] = &second } };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, __u64);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 128);
	__uint(key_size, 4);
	__uint(value_size, 16 * 8);
} chains SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64[2]);
} tasks SEC(".maps");

/* A value says whose it is, twice: torn or foreign ones are seen. */
static __always_inline void task_value(void)
{
	__u64 who = bpf_get_current_pid_tgid(), init[2] = { who, ~who }, *v;
	void *t = bpf_get_current_task_btf();

	v = bpf_task_storage_get(&tasks, t, init, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (v && v[0] != ~v[1])
		count(BAD);
	if ((bpf_get_prandom_u32() & 15) == 0)
		bpf_task_storage_delete(&tasks, t);
}

static __always_inline int work(void *ctx, int chains_too)
{
	__u32 r = bpf_get_prandom_u32(), key = r & 255;
	__u64 value = (__u64)r << 32 | (__u32)~r, got;
	struct prefix p = { r >> 5 & 31, r };
	void *in;

	count(RUNS);
	bpf_map_update_elem(&trie, &p, &value, BPF_ANY);
	p.bits = r >> 3;
	bpf_map_lookup_elem(&trie, &p);
	p.len = r >> 11 & 31;
	bpf_map_delete_elem(&trie, &p);
	bpf_map_push_elem(&queue, &value, r & 1 ? BPF_EXIST : 0);
	if (!bpf_map_pop_elem(&queue, &got) && (__u32)got != (__u32)~(got >> 32))
		count(BAD);
	bpf_map_push_elem(&stack, &value, r & 2 ? BPF_EXIST : 0);
	if (!bpf_map_pop_elem(&stack, &got) && (__u32)got != (__u32)~(got >> 32))
		count(BAD);
	bpf_map_push_elem(&bloom, &value, 0);
	if (bpf_map_peek_elem(&bloom, &value))
		count(BAD); /* what was pushed is there */
	key = r >> 7 & 7;
	in = bpf_map_lookup_elem(&outer, &key);
	if (in) {
		key = r & 127;
		bpf_map_update_elem(in, &key, &value, BPF_ANY);
		key = r >> 9 & 127;
		bpf_map_delete_elem(in, &key);
	}
	key = r & 511;
	bpf_map_update_elem(&recent, &key, &value, BPF_ANY);
	task_value();
	if (chains_too) {
		bpf_get_stackid(ctx, &chains, BPF_F_REUSE_STACKID);
		bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	}
	if (!bpf_ringbuf_output(&ring, &value, sizeof(value), 0))
		count(RING_OK);
	return 0;
}

SEC("kprobe")
int on_kprobe(struct pt_regs *ctx)
{
	return work(ctx, 1);
}

SEC("kretprobe")
int on_kretprobe(struct pt_regs *ctx)
{
	return work(ctx, 1);
}

SEC("tracepoint")
int on_tp(void *ctx)
{
	return work(ctx, 1);
}

SEC("raw_tp")
int on_raw_tp(void *ctx)
{
	return work(ctx, 1);
}

SEC("perf_event")
int on_clock(struct bpf_perf_event_data *ctx)
{
	return work(ctx, 1);
}

char _license[] SEC("license") = "GPL";
