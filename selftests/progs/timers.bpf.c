// SPDX-License-Identifier: GPL-2.0-only
// Timers and work queues in map values. The programs sleep, so that they can wait for the callbacks.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct bpf_wq {
	__u64 hidden[2];
} __attribute__((aligned(8)));

extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym __weak;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback)(void *map, int *key, void *value), unsigned int flags,
				    void *aux) __ksym __weak;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym __weak;

struct timed {
	__u64 fired, key;
	struct bpf_timer timer;
};
struct worked {
	__u64 ran;
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct timed);
} array SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct timed);
} hash SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct timed);
} lru SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct worked);
} works SEC(".maps");

__u64 fired, deadlock;

#define CLOCK_MONOTONIC 1
#define MS 1000000ull

/* Callbacks that follow at once on one another may be left to a thread of the CPU that waits here, if the kernel does not preempt
 * itself: a page fault lets that thread run. */
#define TURNS_BETWEEN_FAULTS 1024

static int wait_turn(__u32 i, __u64 *state)
{
	__u64 word;

	if (i % TURNS_BETWEEN_FAULTS == 0)
		bpf_copy_from_user(&word, sizeof(word), 0);
	return *(volatile __u64 *)&fired >= state[0] || bpf_ktime_get_ns() > state[1];
}

/* The turns are enough for any of these timers; the clock of a machine that was held up jumps, and must not end the wait. */
#define PATIENCE (60000 * MS)

/* Until `n` callbacks have run, or that time has gone by. */
static void wait_for(__u64 n, __u64 ns)
{
	__u64 state[2] = {n, bpf_ktime_get_ns() + ns};

	bpf_loop(1 << 23, wait_turn, state, 0);
}

static int on_timer(void *map, int *key, struct timed *t)
{
	t->fired++;
	t->key = *key;
	__sync_fetch_and_add(&fired, 1);
	return 0;
}

static int on_deadly_timer(void *map, int *key, struct timed *t)
{
	deadlock = bpf_timer_cancel(&t->timer);
	__sync_fetch_and_add(&fired, 1);
	return 0;
}

static int on_timer_again(void *map, int *key, struct timed *t)
{
	if (++t->fired < 5)
		bpf_timer_start(&t->timer, MS, 0);
	__sync_fetch_and_add(&fired, 1);
	return 0;
}

static int on_timer_delete(void *map, int *key, struct timed *t)
{
	int k = *key;

	bpf_map_delete_elem(&hash, &k);
	__sync_fetch_and_add(&fired, 1);
	return 0;
}

// EXPECT: accept
// RETVAL: 3
SEC("syscall")
int in_an_array(void *ctx)
{
	int key = 3;
	struct timed *t = bpf_map_lookup_elem(&array, &key);

	if (!t || bpf_timer_init(&t->timer, &array, CLOCK_MONOTONIC) || bpf_timer_init(&t->timer, &array, CLOCK_MONOTONIC) != -16)
		return -1;
	if (bpf_timer_start(&t->timer, 0, 0) != -22)
		return -2;
	if (bpf_timer_set_callback(&t->timer, on_timer) || bpf_timer_start(&t->timer, MS, 0))
		return -3;
	wait_for(1, PATIENCE);
	if (fired != 1 || t->fired != 1)
		return -4;
	if (bpf_timer_start(&t->timer, 3600000 * MS, 0) || bpf_timer_cancel(&t->timer) != 1)
		return -5;
	if (bpf_timer_start(&t->timer, 0, 0) != -22 || bpf_timer_start(&t->timer, 0, 4) != -22)
		return -6;
	return t->key;
}

// EXPECT: accept
// RETVAL: 0
SEC("syscall")
int at_a_time(void *ctx)
{
	int key = 0;
	struct timed *t = bpf_map_lookup_elem(&array, &key);
	__u64 begun = bpf_ktime_get_ns();

	if (!t || bpf_timer_init(&t->timer, &array, CLOCK_MONOTONIC) || bpf_timer_set_callback(&t->timer, on_timer))
		return -1;
	if (bpf_timer_start(&t->timer, begun + 20 * MS, 1 /* BPF_F_TIMER_ABS */))
		return -2;
	wait_for(1, PATIENCE);
	return fired == 1 && bpf_ktime_get_ns() - begun >= 20 * MS ? 0 : -3;
}

// EXPECT: accept
// RETVAL: 6
SEC("syscall")
int starts_itself_again(void *ctx)
{
	int key = 1;
	struct timed fresh = {.fired = 0}, *t;

	if (bpf_map_update_elem(&lru, &key, &fresh, BPF_ANY))
		return -1;
	t = bpf_map_lookup_elem(&lru, &key);
	if (!t || bpf_timer_init(&t->timer, &lru, CLOCK_MONOTONIC) || bpf_timer_set_callback(&t->timer, on_timer_again))
		return -2;
	if (bpf_timer_start(&t->timer, 0, 0))
		return -3;
	wait_for(5, PATIENCE);
	return fired + (t->fired == 5);
}

// EXPECT: accept
// RETVAL: -35
SEC("syscall")
int does_not_wait_for_itself(void *ctx)
{
	int key = 1;
	struct timed *t = bpf_map_lookup_elem(&array, &key);

	if (!t || bpf_timer_init(&t->timer, &array, CLOCK_MONOTONIC) || bpf_timer_set_callback(&t->timer, on_deadly_timer))
		return -1;
	if (bpf_timer_start(&t->timer, 0, 0))
		return -2;
	wait_for(1, PATIENCE);
	return deadlock;
}

// The callback deletes the element that its timer is in, again and again.
// EXPECT: accept
// RETVAL: 1
// REPEAT: 1
SEC("syscall")
int goes_with_its_element(void *ctx)
{
	int key = 2;
	struct timed fresh = {.fired = 0}, *t;

	if (bpf_map_update_elem(&hash, &key, &fresh, BPF_ANY))
		return -1;
	t = bpf_map_lookup_elem(&hash, &key);
	if (!t || bpf_timer_init(&t->timer, &hash, CLOCK_MONOTONIC) || bpf_timer_set_callback(&t->timer, on_timer_delete))
		return -2;
	if (bpf_timer_start(&t->timer, 0, 0))
		return -3;
	wait_for(1, PATIENCE);
	wait_for(2, 5 * MS);
	return bpf_map_lookup_elem(&hash, &key) ? -4 : (int)fired;
}

// Deleted and replaced elements' timers do not fire.
// EXPECT: accept
// RETVAL: 0
SEC("syscall")
int stopped_with_the_element(void *ctx)
{
	int key = 2;
	struct timed fresh = {.fired = 0}, *t;

	for (int i = 0; i < 2; i++) {
		__u64 begun = bpf_ktime_get_ns();

		if (bpf_map_update_elem(&hash, &key, &fresh, BPF_ANY))
			return -1;
		t = bpf_map_lookup_elem(&hash, &key);
		if (!t || bpf_timer_init(&t->timer, &hash, CLOCK_MONOTONIC) || bpf_timer_set_callback(&t->timer, on_timer))
			return -2;
		if (bpf_timer_start(&t->timer, 400 * MS, 0))
			return -3;
		if (i ? bpf_map_delete_elem(&hash, &key) : bpf_map_update_elem(&hash, &key, &fresh, BPF_ANY))
			return -4;
		if (bpf_ktime_get_ns() - begun > 400 * MS)
			return 0; // held up for so long, it may have fired
	}
	wait_for(1, 600 * MS);
	return fired;
}

// A timer that is armed when program and map go.
// EXPECT: accept
// RETVAL: 0
SEC("syscall")
int left_armed(void *ctx)
{
	int key = 2;
	struct timed *t = bpf_map_lookup_elem(&array, &key);

	if (!t || bpf_timer_init(&t->timer, &array, CLOCK_MONOTONIC) || bpf_timer_set_callback(&t->timer, on_timer))
		return -1;
	return bpf_timer_start(&t->timer, 2 * MS, 0);
}

static int on_work(void *map, int *key, void *value)
{
	struct worked *w = value;
	__u64 word = 0;

	w->ran++;
	bpf_copy_from_user(&word, sizeof(word), 0); // it may sleep
	__sync_fetch_and_add(&fired, 1);
	return 0;
}

// Where the worker wants the CPU that the program waits on it may be late: not every kernel's faults let it in.
// EXPECT: accept
// NEEDS: bpf_wq_init
// RETVAL: 1
SEC("syscall")
int work(void *ctx)
{
	int key = 0;
	struct worked *w = bpf_map_lookup_elem(&works, &key);

	if (!w || bpf_wq_init(&w->work, &works, 0) || bpf_wq_init(&w->work, &works, 0) != -16 || bpf_wq_start(&w->work, 0) != -22)
		return -1;
	if (bpf_wq_set_callback_impl(&w->work, on_work, 0, 0) || bpf_wq_start(&w->work, 0))
		return -2;
	wait_for(1, PATIENCE);
	return w->ran == fired && fired <= 1 ? 1 : -3;
}
