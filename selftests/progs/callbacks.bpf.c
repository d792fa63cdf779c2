// SPDX-License-Identifier: GPL-2.0-only
// Functions that helpers call back, loops that the run time bounds, iterators, sections.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} per_cpu SEC(".maps");

struct bpf_map;
struct bpf_iter_num {
	__u64 state;
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;

struct total {
	__u64 sum, limit;
};

static int add_turn(__u32 i, struct total *t)
{
	t->sum += i;
	return i == t->limit;
}

static int add_never(__u32 i, struct total *t)
{
	t->sum += i + 1;
	return 0;
}

// The callback is dead code, which is dropped.
// EXPECT: accept
// RETVAL: 7
SEC("raw_tp")
int loop_of_no_turns(void *ctx)
{
	struct total t = { .sum = 7 };

	return bpf_loop(0, add_never, &t, 0) == 0 ? t.sum : -1;
}

// EXPECT: accept
// RETVAL: 4950
SEC("raw_tp")
int loop_sums(void *ctx)
{
	struct total t = { .limit = 1000 };
	long turns = bpf_loop(100, add_turn, &t, 0);

	return turns == 100 ? t.sum : -1;
}

// EXPECT: accept
// RETVAL: 8
SEC("raw_tp")
int loop_ends_early(void *ctx)
{
	struct total t = { .limit = 7 };

	return bpf_loop(100, add_turn, &t, 0);
}

// EXPECT: accept
// RETVAL: -7
SEC("raw_tp")
int loop_too_long(void *ctx)
{
	struct total t = {};

	return bpf_loop((8 << 20) + 1, add_turn, &t, 0);
}

// EXPECT: accept
// RETVAL: -22
SEC("raw_tp")
int loop_flags(void *ctx)
{
	struct total t = {};

	return bpf_loop(3, add_turn, &t, 1);
}

__u64 nested_sum;

static int inner(__u32 i, void *unused)
{
	nested_sum += i + 1;
	return 0;
}

static int outer(__u32 i, void *unused)
{
	bpf_loop(i, inner, 0, 0);
	return 0;
}

// EXPECT: accept
// RETVAL: 165
SEC("raw_tp")
int loops_nest(void *ctx)
{
	nested_sum = 0;
	bpf_loop(10, outer, 0, 0);
	return nested_sum;
}

static long add_element(struct bpf_map *map, __u32 *key, __u64 *value, struct total *t)
{
	t->sum += *key * 100 + *value;
	return *key == t->limit;
}

// EXPECT: accept
// RETVAL: 2828
SEC("raw_tp")
int each_of_an_array(void *ctx)
{
	struct total t = { .limit = 1000 };
	__u32 i, k;

	for (i = 0; i < 8; i++) {
		__u64 v = i;

		k = i;
		bpf_map_update_elem(&numbers, &k, &v, 0);
	}
	return bpf_for_each_map_elem(&numbers, add_element, &t, 0) == 8 ? t.sum : -1;
}

// EXPECT: accept
// RETVAL: 3
SEC("raw_tp")
int each_ends_early(void *ctx)
{
	struct total t = { .limit = 2 };

	return bpf_for_each_map_elem(&numbers, add_element, &t, 0);
}

// EXPECT: accept
// RETVAL: -22
SEC("raw_tp")
int each_flags(void *ctx)
{
	struct total t = {};

	return bpf_for_each_map_elem(&numbers, add_element, &t, 2);
}

static long delete_element(struct bpf_map *map, __u32 *key, __u64 *value, struct total *t)
{
	__u32 k = *key;

	t->sum += *value;
	bpf_map_delete_elem(&table, &k);
	return 0;
}

// EXPECT: accept
// RETVAL: 10
SEC("raw_tp")
int each_may_be_deleted(void *ctx)
{
	struct total t = {};
	__u32 i, k;

	for (i = 0; i < 5; i++) {
		__u64 v = i;

		k = i;
		bpf_map_update_elem(&table, &k, &v, 0);
	}
	k = 2;
	if (bpf_for_each_map_elem(&table, delete_element, &t, 0) != 5)
		return -1;
	return bpf_map_lookup_elem(&table, &k) ? -2 : t.sum;
}

// EXPECT: accept
// RETVAL: 600
SEC("raw_tp")
int each_of_this_cpu(void *ctx)
{
	struct total t = { .limit = 1000 };

	return bpf_for_each_map_elem(&per_cpu, add_element, &t, 0) == 4 ? t.sum : -1;
}

// EXPECT: accept
// NEEDS: bpf_iter_num_new
// RETVAL: 45
SEC("raw_tp")
int iterates_over_numbers(void *ctx)
{
	struct bpf_iter_num space, *it = &space;
	int *n, sum = 0;

	bpf_iter_num_new(it, 0, 10);
	while ((n = bpf_iter_num_next(it)))
		sum += *n;
	bpf_iter_num_destroy(it);
	return sum;
}

// EXPECT: accept
// NEEDS: bpf_iter_num_new
// RETVAL: -29
SEC("raw_tp")
int iterators_refuse(void *ctx)
{
	struct bpf_iter_num space, *it = &space;
	int a, b, turns = 0;

	a = bpf_iter_num_new(it, 5, 4);
	if (bpf_iter_num_next(it))
		turns++;
	bpf_iter_num_destroy(it);
	b = bpf_iter_num_new(it, -5, (8 << 20) - 4);
	if (bpf_iter_num_next(it))
		turns++;
	bpf_iter_num_destroy(it);
	return turns ? turns : a + b;
}

// EXPECT: accept
// NEEDS: bpf_iter_num_new
// RETVAL: -2147483646
SEC("raw_tp")
int iterates_from_the_smallest(void *ctx)
{
	struct bpf_iter_num space, *it = &space;
	int *n, last = 0;

	bpf_iter_num_new(it, -2147483647 - 1, -2147483645);
	while ((n = bpf_iter_num_next(it)))
		last = *n;
	bpf_iter_num_destroy(it);
	return last;
}

// EXPECT: accept
// NEEDS: bpf_rcu_read_lock
// RETVAL: 3
SEC("raw_tp")
int sections(void *ctx)
{
	int n = 1;

	bpf_rcu_read_lock();
	n += 2;
	bpf_rcu_read_unlock();
	return n;
}

// EXPECT: accept
// RETVAL: 100
SEC("raw_tp")
int may_goto_runs_a_loop(void *ctx)
{
	volatile int i = 0;

	while (i < 100) {
		asm volatile goto("may_goto %l[out]" : : : : out);
		i++;
	}
out:
	return i;
}
