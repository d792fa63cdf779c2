// SPDX-License-Identifier: GPL-2.0-only
// One program a row: 500 turns with the operation in it. "empty" is what the turns themselves take, "nothing" what a run does.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

typedef __u32 u32;
typedef __u64 u64;

#define TURNS 500
#define ENTRIES 1024

struct key16 {
	u64 low, high;
};
struct key64 {
	u64 words[8];
};
struct prefix {
	u32 bits, address;
};
#define MAP(name, kind, key_type, value_type, entries) \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_##kind);      \
		__type(key, key_type);                 \
		__type(value, value_type);             \
		__uint(max_entries, entries);          \
	} name SEC(".maps")
MAP(array, ARRAY, u32, u64, ENTRIES);
MAP(percpu, PERCPU_ARRAY, u32, u64, ENTRIES);
MAP(hash4, HASH, u32, u64, ENTRIES);
MAP(hash8, HASH, u64, u64, ENTRIES);
MAP(hash16, HASH, struct key16, u64, ENTRIES);
MAP(lru8, LRU_HASH, u64, u64, ENTRIES);
MAP(start, HASH, u64, u64, ENTRIES);
MAP(histogram, ARRAY, u32, u64, 64);
MAP(comms, HASH, u64, u64, ENTRIES);
MAP(hash64, HASH, struct key64, u64, ENTRIES);
MAP(percpu8, PERCPU_HASH, u64, u64, ENTRIES);
MAP(churned, LRU_HASH, u64, u64, ENTRIES);
#define LAZY_MAP(name, kind, key_type, entries)         \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_##kind);      \
		__uint(map_flags, BPF_F_NO_PREALLOC);   \
		__type(key, key_type);                  \
		__type(value, u64);                     \
		__uint(max_entries, entries);           \
	} name SEC(".maps")
LAZY_MAP(lazy8, HASH, u64, ENTRIES);
LAZY_MAP(routes_1k, LPM_TRIE, struct prefix, 1000);
LAZY_MAP(routes_100k, LPM_TRIE, struct prefix, 100000);
#define VALUES(name, kind)                              \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_##kind);      \
		__type(value, u64);                     \
		__uint(max_entries, ENTRIES);           \
	} name SEC(".maps")
VALUES(values, QUEUE);
VALUES(filtered, BLOOM_FILTER);
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

#define ROW(name, body)                                             \
	SEC("raw_tp") int name(void *ctx)                           \
	{                                                           \
		u64 sum = 0;                                        \
		_Pragma("nounroll") for (u32 i = 0; i < TURNS; i++) { \
			body;                                       \
			__asm__ volatile("" : "+r"(sum));           \
		}                                                   \
		return sum & 0x7fffffff;                            \
	}
#define LOOK_UP(map, key_type, ...)                          \
	do {                                                 \
		key_type k = __VA_ARGS__;                    \
		u64 *v = bpf_map_lookup_elem(&map, &k);      \
		if (v)                                       \
			sum += *v;                           \
	} while (0)
#define PICK (i * 7 & (ENTRIES / 2 - 1))

SEC("raw_tp") int nothing(void *ctx)
{
	return 0;
}
ROW(empty, sum++)
ROW(array_any, LOOK_UP(array, u32, PICK))
ROW(array_const, LOOK_UP(array, u32, 5))
ROW(percpu_any, LOOK_UP(percpu, u32, PICK))
ROW(hash_4, LOOK_UP(hash4, u32, PICK))
ROW(hash_8, LOOK_UP(hash8, u64, PICK))
ROW(hash_16, LOOK_UP(hash16, struct key16, {PICK, PICK}))
ROW(hash_miss, LOOK_UP(hash8, u64, PICK + 5000))
ROW(lru_8, LOOK_UP(lru8, u64, PICK))
ROW(update_8, u64 k = PICK; sum += bpf_map_update_elem(&hash8, &k, &k, BPF_EXIST))
ROW(cpu_number, sum += bpf_get_smp_processor_id())
ROW(pid_tgid, sum += bpf_get_current_pid_tgid())
ROW(task, sum += bpf_get_current_task())
ROW(jiffies, sum += bpf_jiffies64())
ROW(ktime, sum += bpf_ktime_get_ns())
ROW(ringbuf, u64 *r = bpf_ringbuf_reserve(&ring, 16, 0); if (r) { *r = i; bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP); })

ROW(hash_64, LOOK_UP(hash64, struct key64, {{PICK, PICK, PICK, PICK, PICK, PICK, PICK, PICK}}))
ROW(percpu_hash, LOOK_UP(percpu8, u64, PICK))
ROW(insert_delete, u64 k = PICK + 5000; bpf_map_update_elem(&hash8, &k, &k, BPF_ANY); sum += bpf_map_delete_elem(&hash8, &k))
ROW(insert_delete_lazy, u64 k = PICK; bpf_map_update_elem(&lazy8, &k, &k, BPF_ANY); sum += bpf_map_delete_elem(&lazy8, &k))
ROW(lru_update, u64 k = PICK; sum += bpf_map_update_elem(&lru8, &k, &k, BPF_ANY))
/* Every key is new, and puts out another. */
u64 newest;
ROW(lru_churn, u64 k = newest++; sum += bpf_map_update_elem(&churned, &k, &k, BPF_ANY))
ROW(lpm_1k, LOOK_UP(routes_1k, struct prefix, {32, i * 0x9e3779b1}))
ROW(lpm_100k, LOOK_UP(routes_100k, struct prefix, {32, i * 0x9e3779b1}))
/* The loader drains the ring between two runs: 500 records fit. */
ROW(ringbuf_output, u64 r[2] = {i}; sum += bpf_ringbuf_output(&ring, r, sizeof(r), BPF_RB_NO_WAKEUP))
ROW(ringbuf_submit, u64 *r = bpf_ringbuf_reserve(&ring, 16, 0); if (r) { *r = i; bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP); } else sum++)
ROW(queue, u64 v = i; bpf_map_push_elem(&values, &v, 0); sum += bpf_map_pop_elem(&values, &v))
ROW(bloom, u64 v = PICK; sum += bpf_map_peek_elem(&filtered, &v))
ROW(add, u32 k = PICK; u64 *v = bpf_map_lookup_elem(&array, &k); if (v) __sync_fetch_and_add(v, 1))
ROW(uid_gid, sum += bpf_get_current_uid_gid())
ROW(prandom, sum += bpf_get_prandom_u32())
ROW(comm, u64 c[2] = {}; bpf_get_current_comm(c, sizeof(c)); sum += c[0])
ROW(probe_read, u64 v = 0; bpf_probe_read_kernel(&v, sizeof(v), (void *)bpf_get_current_task()); sum += v)

/* A tail call leaves its program: a chain of them is one turn each, as many as there may be. */
#define CHAIN 32
int tail_constant(void *ctx);
int tail_dynamic(void *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} table SEC(".maps") = {.values = {(void *)&tail_constant, (void *)&tail_dynamic}};
u32 one = 1;
SEC("raw_tp") int tail_constant(void *ctx)
{
	bpf_tail_call(ctx, &table, 0);
	return 0;
}
SEC("raw_tp") int tail_dynamic(void *ctx)
{
	bpf_tail_call(ctx, &table, *(volatile u32 *)&one);
	return 0;
}

static __attribute__((noinline)) u64 mix(u64 a)
{
	__asm__ volatile("" : "+r"(a));
	return a * 3;
}
ROW(calls, sum += mix(i))

static long each(void *map, const void *key, void *value, u64 *sum)
{
	*sum += *(u64 *)value;
	return 0;
}
#define FOR_EACH(name, map)                                     \
	SEC("raw_tp") int name(void *ctx)                       \
	{                                                       \
		u64 sum = 0;                                    \
		bpf_for_each_map_elem(&map, each, &sum, 0);     \
		return sum & 0x7fffffff;                        \
	}
FOR_EACH(for_each_array, array)
FOR_EACH(for_each_hash, hash8)

static int turn(u32 i, u64 *sum)
{
	*sum += i;
	return 0;
}
SEC("raw_tp") int loop(void *ctx)
{
	u64 sum = 0;

	bpf_loop(TURNS, turn, &sum, 0);
	return sum & 0x7fffffff;
}

static u32 log2_of(u64 v)
{
	u32 r = 0;

	if (v >> 32) v >>= 32, r += 32;
	if (v >> 16) v >>= 16, r += 16;
	if (v >> 8) v >>= 8, r += 8;
	if (v >> 4) v >>= 4, r += 4;
	if (v >> 2) v >>= 2, r += 2;
	return r + (v >> 1);
}

/* Whole programs: the time between two events of a thread into a histogram; events of one process counted by command. */
ROW(latency,
    u64 id = bpf_get_current_pid_tgid() + (i & 31); u64 now = bpf_ktime_get_ns(); bpf_map_update_elem(&start, &id, &now, BPF_ANY);
    u64 *from = bpf_map_lookup_elem(&start, &id);
    if (from) {
	    u32 slot = log2_of(bpf_ktime_get_ns() - *from);
	    u64 *n = bpf_map_lookup_elem(&histogram, &slot);
	    if (n)
		    __sync_fetch_and_add(n, 1);
	    bpf_map_delete_elem(&start, &id);
    })
ROW(filter,
    if (bpf_get_current_pid_tgid() >> 32) {
	    u64 comm[2] = {};
	    bpf_get_current_comm(comm, sizeof(comm));
	    u64 *n = bpf_map_lookup_elem(&comms, &comm[0]);
	    if (n)
		    __sync_fetch_and_add(n, 1);
	    else
		    bpf_map_update_elem(&comms, &comm[0], &sum, BPF_ANY);
    })
