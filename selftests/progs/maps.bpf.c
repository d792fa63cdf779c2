// SPDX-License-Identifier: GPL-2.0-only
// Hash and array maps, shared and per CPU.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct pair {
	__u32 a;
	__u32 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct pair);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct pair);
} hash_np SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} pc_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} pc_array SEC(".maps");

// EXPECT: accept
// RETVAL: 1234
SEC("tc")
int hash_update_lookup(struct __sk_buff *ctx)
{
	struct pair key = { 1, 2 };
	__u64 value = 1234, *v;

	if (bpf_map_update_elem(&hash, &key, &value, BPF_ANY))
		return 1;
	v = bpf_map_lookup_elem(&hash, &key);
	return v ? *v : 2;
}

// The flags: NOEXIST on a key that is there (-17), EXIST on one that is not (-2), delete twice (-2).
// EXPECT: accept
// RETVAL: 7
SEC("tc")
int hash_flags(struct __sk_buff *ctx)
{
	struct pair key = { 3, 4 };
	__u64 value = 1;
	int ok = 0;

	bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST);
	if (bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST) == -17)
		ok |= 1;
	bpf_map_delete_elem(&hash, &key);
	if (bpf_map_update_elem(&hash, &key, &value, BPF_EXIST) == -2)
		ok |= 2;
	if (bpf_map_delete_elem(&hash, &key) == -2)
		ok |= 4;
	return ok;
}

// The map holds 4: the fifth key gives -E2BIG.
// EXPECT: accept
// RETVAL: -7
SEC("tc")
int hash_full(struct __sk_buff *ctx)
{
	__u64 value = 1;
	int err = 0;

	for (__u32 i = 0; i < 5; i++) {
		struct pair key = { 100 + i, 0 };

		err = bpf_map_update_elem(&hash, &key, &value, BPF_ANY);
		if (err)
			break;
	}
	return err;
}

// EXPECT: accept
// RETVAL: 42
SEC("tc")
int hash_no_prealloc(struct __sk_buff *ctx)
{
	__u32 key = 9;
	struct pair value = { 40, 2 }, *v;

	bpf_map_update_elem(&hash_np, &key, &value, BPF_ANY);
	v = bpf_map_lookup_elem(&hash_np, &key);
	return v ? v->a + v->b : 0;
}

// A variable index that the map's own bound check covers, and atomic adds through the value pointer.
// EXPECT: accept
// REPEAT: 5
// RETVAL: 15
SEC("xdp")
int array_atomic(struct xdp_md *ctx)
{
	__u32 key = 3;
	__u64 *v = bpf_map_lookup_elem(&array, &key);

	if (!v)
		return -1;
	__sync_fetch_and_add(v, 3);
	return *v;
}

// Index out of range: null, and updates give -E2BIG.
// EXPECT: accept
// RETVAL: -7
SEC("xdp")
int array_out_of_range(struct xdp_md *ctx)
{
	__u32 key = 16;
	__u64 value = 1;

	if (bpf_map_lookup_elem(&array, &key))
		return 1;
	return bpf_map_update_elem(&array, &key, &value, BPF_ANY);
}

// Array elements cannot be deleted: -EINVAL.
// EXPECT: accept
// RETVAL: -22
SEC("xdp")
int array_delete(struct xdp_md *ctx)
{
	__u32 key = 1;

	return bpf_map_delete_elem(&array, &key);
}

// EXPECT: accept
// RETVAL: 30
SEC("tc")
int percpu(struct __sk_buff *ctx)
{
	__u32 key = 1;
	__u64 value = 10, *h, *a;

	if (bpf_map_update_elem(&pc_hash, &key, &value, BPF_NOEXIST))
		return -1;
	h = bpf_map_lookup_elem(&pc_hash, &key);
	a = bpf_map_lookup_elem(&pc_array, &key);
	if (!h || !a)
		return -2;
	*a += 20;
	return *h + *a;
}

// EXPECT: reject "R0 invalid mem access 'map_value_or_null'"
SEC("?tc")
int no_null_check(struct __sk_buff *ctx)
{
	struct pair key = { 0, 0 };
	__u64 *v = bpf_map_lookup_elem(&hash, &key);

	return *v;
}

// EXPECT: reject "invalid access to map value"
SEC("?tc")
int past_value(struct __sk_buff *ctx)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&array, &key);

	return v ? v[1] : 0;
}

// EXPECT: reject "cannot pass map_type 2 into func bpf_map_push_elem#87"
SEC("?tc")
int push_to_array(struct __sk_buff *ctx)
{
	__u64 value = 0;

	return bpf_map_push_elem(&array, &value, 0);
}
