// SPDX-License-Identifier: GPL-2.0-only
// Map types: LRU and prefix maps, queues, sets, maps of maps, locks in values.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__type(key, __u32);
	__type(value, __u64);
} lru_pc SEC(".maps");

struct prefix {
	__u32 len;
	__u8 addr[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u64);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 3);
	__type(value, __u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 3);
	__type(value, __u32);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__uint(map_extra, 3);
	__type(value, __u64);
} set SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} in0 SEC(".maps"), in1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &in0, &in1 } };

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} outer_hash SEC(".maps") = { .values = { [2] = &in1 } };

struct locked {
	__u64 a;
	struct bpf_spin_lock lock;
	__u64 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct locked);
} locks SEC(".maps");

// EXPECT: accept
// RETVAL: 255
SEC("tc")
int lru_fills(struct __sk_buff *ctx)
{
	__u32 kept = 0;

	for (int i = 0; i < 255; i++) {
		__u32 key = i;
		__u64 v = i;

		kept += bpf_map_update_elem(&lru, &key, &v, BPF_ANY) == 0;
	}
	return kept;
}

// EXPECT: accept
// RETVAL: 0
SEC("tc")
int lru_takes_all(struct __sk_buff *ctx)
{
	for (int i = 0; i < 600; i++) {
		__u32 key = i;
		__u64 v = i, *p;

		if (bpf_map_update_elem(&lru, &key, &v, BPF_ANY))
			return -1;
		p = bpf_map_lookup_elem(&lru, &key);
		if (!p || *p != v)
			return i;
	}
	return 0;
}

// EXPECT: accept
// RETVAL: 7
SEC("tc")
int lru_percpu(struct __sk_buff *ctx)
{
	__u32 key = 3, cpu = bpf_get_smp_processor_id();
	__u64 v = 7, *p;

	if (bpf_map_update_elem(&lru_pc, &key, &v, BPF_ANY))
		return 1;
	p = bpf_map_lookup_percpu_elem(&lru_pc, &key, cpu);
	return p ? *p : 2;
}

// EXPECT: accept
// RETVAL: 2416
SEC("tc")
int longest_prefix(struct __sk_buff *ctx)
{
	struct prefix p16 = { 16, { 10, 1, 0, 0 } }, p24 = { 24, { 10, 1, 2, 0 } }, ask = { 32, { 10, 1, 2, 9 } };
	__u64 v = 16, *r;
	int sum = 0;

	if (bpf_map_update_elem(&routes, &p16, &v, BPF_ANY))
		return 1;
	v = 24;
	if (bpf_map_update_elem(&routes, &p24, &v, BPF_NOEXIST))
		return 2;
	r = bpf_map_lookup_elem(&routes, &ask);
	if (!r)
		return 3;
	sum = *r * 100;
	if (bpf_map_delete_elem(&routes, &p24))
		return 4;
	r = bpf_map_lookup_elem(&routes, &ask);
	return r ? sum + *r : 5;
}

// EXPECT: accept
// RETVAL: 1331
SEC("tc")
int queue_and_stack(struct __sk_buff *ctx)
{
	__u32 v, r = 0;

	for (int i = 1; i <= 3; i++) {
		v = i;
		bpf_map_push_elem(&queue, &v, BPF_ANY);
		bpf_map_push_elem(&stack, &v, BPF_ANY);
	}
	if (bpf_map_push_elem(&queue, &v, BPF_ANY) != -7)
		return 1;
	if (bpf_map_pop_elem(&queue, &v))
		return 2;
	r = v;
	if (bpf_map_peek_elem(&stack, &v))
		return 3;
	r = r * 10 + v;
	if (bpf_map_pop_elem(&stack, &v))
		return 4;
	r = r * 10 + v;
	for (int i = 0; i < 2; i++)
		bpf_map_pop_elem(&stack, &v);
	return r * 10 + v;
}

// EXPECT: accept
// RETVAL: 1
SEC("tc")
int bloom(struct __sk_buff *ctx)
{
	__u64 v = 77;

	if (bpf_map_peek_elem(&set, &v) != -2)
		return 2;
	if (bpf_map_push_elem(&set, &v, BPF_ANY))
		return 3;
	return bpf_map_peek_elem(&set, &v) == 0;
}

// EXPECT: accept
// RETVAL: 12
SEC("tc")
int maps_in_maps(struct __sk_buff *ctx)
{
	__u32 zero = 0, which = 1, absent = 2;
	void *m = bpf_map_lookup_elem(&outer, &which);
	__u64 v = 12, *r;

	if (!m || bpf_map_lookup_elem(&outer, &absent))
		return 1;
	if (bpf_map_update_elem(m, &zero, &v, BPF_ANY))
		return 2;
	which = 2;
	m = bpf_map_lookup_elem(&outer_hash, &which); /* the same map */
	if (!m)
		return 3;
	r = bpf_map_lookup_elem(m, &zero);
	return r ? *r : 4;
}

// EXPECT: accept
// REPEAT: 100
// RETVAL: 100
SEC("tc")
int locked_values(struct __sk_buff *ctx)
{
	__u32 key = 1;
	struct locked init = {}, *v;
	__u64 n;

	bpf_map_update_elem(&locks, &key, &init, BPF_NOEXIST);
	v = bpf_map_lookup_elem(&locks, &key);
	if (!v)
		return -1;
	bpf_spin_lock(&v->lock);
	v->a++;
	v->b++;
	n = v->a == v->b ? v->a : 0;
	bpf_spin_unlock(&v->lock);
	return n;
}
