// SPDX-License-Identifier: GPL-2.0-only
// One program a row: 500 turns with the operation in it. "empty" is what the turns themselves take.
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
