// SPDX-License-Identifier: GPL-2.0-only
// Programs that must be refused, since what they do goes wrong only when they run: bad_*, each beside one that is right: ok_*. holes.sh
// says with what text. Some of them Linux 6.12 accepts.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define kptr __attribute__((btf_type_tag("kptr")))
#define map(name, kind, entries, k, v) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__type(key, k); \
		__type(value, v); \
	} name SEC(".maps")

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
struct cgroup_subsys_state {
	int unused;
};
struct cgroup {
	struct cgroup_subsys_state self;
} __attribute__((preserve_access_index));
struct bpf_wq {
	__u64 hidden[2];
} __attribute__((aligned(8)));
struct bpf_iter_css_task {
	__u64 hidden[1];
} __attribute__((aligned(8)));

struct bpf_iter_num {
	__u64 hidden[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int first, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
struct bpf_iter_task {
	__u64 hidden[3];
} __attribute__((aligned(8)));

extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *d) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *x, __u64 flags, struct bpf_dynptr *d) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *d, __u32 offset, void *buffer, __u32 size) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *d, struct bpf_dynptr *c) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *d, __u32 start, __u32 end) __ksym;
extern int bpf_copy_from_user_str(void *to, __u32 size, const void *from, __u64 flags) __ksym;
extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*fn)(void *map, int *key, void *value), unsigned int flags, void *aux) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
extern void *bpf_obj_new_impl(__u64 type, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it) __ksym;
extern void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *t) __ksym;
extern void bpf_task_release(struct task_struct *t) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *c) __ksym;

struct bpf_refcount {
	__u32 hidden[1];
} __attribute__((aligned(4)));
struct bpf_rb_node {
	__u64 hidden[4];
} __attribute__((aligned(8)));
struct bpf_rb_root {
	__u64 hidden[2];
} __attribute__((aligned(8)));
extern void *bpf_refcount_acquire_impl(void *object, void *meta) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *n) __ksym;

struct pair {
	__u64 a, b;
};
struct locked {
	struct bpf_spin_lock lock;
	int n;
};
struct timed {
	struct bpf_timer timer;
};
struct worked {
	struct bpf_wq work;
	struct pair kptr *p;
};

struct locked_pair {
	struct bpf_spin_lock lock;
	struct pair kptr *p;
};

map(locked_pairs, BPF_MAP_TYPE_ARRAY, 1, __u32, struct locked_pair);
map(pairs, BPF_MAP_TYPE_ARRAY, 4, __u32, struct pair);
map(hashed, BPF_MAP_TYPE_HASH, 4, __u32, __u64);
map(locks, BPF_MAP_TYPE_ARRAY, 4, __u32, struct locked);
map(timers, BPF_MAP_TYPE_ARRAY, 1, __u32, struct timed);
map(works, BPF_MAP_TYPE_ARRAY, 1, __u32, struct worked);
struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} user_ring SEC(".maps");

__u64 out, where;
const union bpf_attr constant_attr = { .map_fd = 1 };

/* The size of a slice has more bits than the helper looks at. */
#define slice_of(size) \
	struct bpf_dynptr d; \
	__u32 key = 0; \
	__u64 *p; \
	struct pair *v = bpf_map_lookup_elem(&pairs, &key); \
	if (!v) \
		return 0; \
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &d); \
	asm volatile("r1 = %[d]; r2 = 0; r3 = " size " ll; call 203; %[p] = r0" \
		     : [p] "=r"(p) : [d] "r"(&d) : "r0", "r1", "r2", "r3", "r4", "r5", "memory"); \
	if (p) \
		out = p[1]; \
	return 0

SEC("raw_tp") int bad_slice_size(void *ctx) { slice_of("0x100000010"); }
SEC("raw_tp") int ok_slice_size(void *ctx) { slice_of("0x10"); }

/* What a callback is given, it keeps. */
struct kept {
	const void *p;
};
static long keep_dynptr(struct bpf_dynptr *d, void *ctx)
{
	((struct kept *)ctx)->p = d;
	return 1;
}
static long read_dynptr(struct bpf_dynptr *d, void *ctx)
{
	bpf_dynptr_read(ctx, 8, d, 0, 0);
	return 1;
}
SEC("syscall") int bad_dynptr_kept(void *ctx)
{
	struct kept k = {};

	bpf_user_ringbuf_drain(&user_ring, keep_dynptr, &k, 0);
	if (k.p)
		bpf_dynptr_read(&out, 8, k.p, 0, 0);
	return 0;
}
SEC("syscall") int ok_dynptr_kept(void *ctx)
{
	__u64 n = 0;

	bpf_user_ringbuf_drain(&user_ring, read_dynptr, &n, 0);
	return n != 0;
}
static long keep_key(void *m, __u32 *key, void *value, struct kept *k)
{
	k->p = key;
	return 0;
}
static long read_key(void *m, __u32 *key, void *value, __u32 *sum)
{
	*sum += *key;
	return 0;
}
SEC("raw_tp") int bad_key_kept(void *ctx)
{
	struct kept k = {};

	bpf_for_each_map_elem(&hashed, keep_key, &k, 0);
	if (k.p)
		out = *(const __u32 *)k.p;
	return 0;
}
SEC("raw_tp") int ok_key_kept(void *ctx)
{
	__u32 sum = 0;

	bpf_for_each_map_elem(&hashed, read_key, &sum, 0);
	out = sum;
	return 0;
}

/* Memory for a kernel function, which does not ask whether it is there. */
SEC("syscall") int bad_null_memory(void *ctx)
{
	__u32 key = 1;

	return bpf_copy_from_user_str(bpf_map_lookup_elem(&hashed, &key), 8, (void *)where, 0);
}
SEC("syscall") int ok_null_memory(void *ctx)
{
	__u32 key = 1;
	void *v = bpf_map_lookup_elem(&hashed, &key);

	return v ? bpf_copy_from_user_str(v, 8, (void *)where, 0) : 0;
}

/* An object in a map, behind the RCU section: it may be another by then, and be read where it can be, but not written. */
#define stale(use) \
	__u32 key = 0; \
	struct pair *p; \
	struct worked *w = bpf_map_lookup_elem(&works, &key); \
	if (!w) \
		return 0; \
	bpf_rcu_read_lock(); \
	p = w->p; \
	if (!p) { \
		bpf_rcu_read_unlock(); \
		return 0; \
	} \
	bpf_rcu_read_unlock(); \
	use; \
	return 0

SEC("syscall") int bad_stale_object(void *ctx) { stale(p->a = 1); }
SEC("syscall") int ok_stale_object(void *ctx) { stale(out = p->a); }

/* Nor is it counted, or taken from a tree that it may be in. */
struct planted {
	struct bpf_rb_node node;
	long n;
	struct bpf_refcount count;
};
struct garden {
	struct bpf_spin_lock lock;
	struct bpf_rb_root root __attribute__((btf_decl_tag("contains:planted:node")));
	struct planted kptr *kept;
};
map(gardens, BPF_MAP_TYPE_ARRAY, 1, __u32, struct garden);
#define planted_type() __builtin_btf_type_id(*(struct planted *)0, 0)
#define in_section(use, behind) \
	__u32 key = 0; \
	struct planted *p, *taken = 0; \
	struct bpf_rb_node *node = 0; \
	struct garden *g = bpf_map_lookup_elem(&gardens, &key); \
	if (!g || !planted_type()) \
		return 0; \
	bpf_rcu_read_lock(); \
	p = g->kept; \
	if (!p) { \
		bpf_rcu_read_unlock(); \
		return 0; \
	} \
	use; \
	bpf_rcu_read_unlock(); \
	behind; \
	if (taken) \
		bpf_obj_drop_impl(taken, 0); \
	if (node) \
		bpf_obj_drop_impl((struct planted *)node, 0); \
	return 0
#define take() taken = bpf_refcount_acquire_impl(p, 0)
#define uproot() \
	bpf_spin_lock(&g->lock); \
	node = bpf_rbtree_remove(&g->root, &p->node); \
	bpf_spin_unlock(&g->lock)

SEC("syscall") int bad_stale_count(void *ctx) { in_section(, take()); }
SEC("syscall") int ok_count(void *ctx) { in_section(take(), ); }
SEC("syscall") int bad_stale_node(void *ctx) { in_section(, uproot()); }
SEC("syscall") int ok_node(void *ctx) { in_section(uproot(), ); }

/* A kernel object may be NULL though it is trusted, so it proves nothing of what equals it. */
#define equal_to(object) \
	__u32 key = 1; \
	void *o = (void *)(object); \
	__u64 *v = bpf_map_lookup_elem(&hashed, &key); \
	asm volatile("if %[v] != %[o] goto +1; *(u64 *)(%[v] + 0) = 1" :: [v] "r"(v), [o] "r"(o) : "memory"); \
	return 0

SEC("tp_btf/sched_switch") int bad_equal_pointers(__u64 *ctx) { equal_to(ctx[1]); }
SEC("tp_btf/sched_switch") int ok_equal_pointers(__u64 *ctx)
{
	__u32 other = 2;
	void *there = bpf_map_lookup_elem(&hashed, &other);

	if (!there)
		return 0;
	equal_to(there);
}

/* Work runs outside RCU, also in the global functions that it calls. */
static __attribute__((noinline)) struct pair *first_pair(void)
{
	struct pair *p = bpf_obj_new_impl(__builtin_btf_type_id(*(struct pair *)0, 0), 0);

	return p;
}
__attribute__((noinline)) int in_rcu_only(int n)
{
	__u32 key = 0;
	struct worked *w = bpf_map_lookup_elem(&works, &key);
	struct pair *p = w ? w->p : 0;

	if (p)
		p->a += n;
	return 0;
}
__attribute__((noinline)) int anywhere(int n)
{
	__u32 key = 0;
	struct pair *p = bpf_map_lookup_elem(&pairs, &key);

	if (p)
		p->a += n;
	return 0;
}
static int work_in_rcu_only(void *m, int *key, void *value) { return in_rcu_only(1); }
static int work_anywhere(void *m, int *key, void *value) { return anywhere(1); }
static __always_inline int start(int (*fn)(void *, int *, void *))
{
	__u32 key = 0;
	struct worked *w = bpf_map_lookup_elem(&works, &key);

	if (!w || bpf_wq_init(&w->work, &works, 0))
		return 0;
	bpf_wq_set_callback_impl(&w->work, fn, 0, 0);
	return bpf_wq_start(&w->work, 0);
}
SEC("tc") int bad_work(struct __sk_buff *skb)
{
	in_rcu_only(1);
	return start(work_in_rcu_only);
}
SEC("tc") int ok_work(struct __sk_buff *skb)
{
	struct pair *p = first_pair();

	if (p)
		bpf_obj_drop_impl(p, 0);
	in_rcu_only(1);
	return start(work_anywhere);
}

/* A timer's callback does not sleep, whatever set it. */
static int sleeps(void *m, __u32 *key, struct timed *t)
{
	char b[8];

	bpf_copy_from_user(b, sizeof(b), (void *)where);
	return 0;
}
static int counts(void *m, __u32 *key, struct timed *t)
{
	out++;
	return 0;
}
__attribute__((noinline)) int global_sleeps(int n)
{
	char b[8];

	return bpf_copy_from_user(b, sizeof(b), (void *)where) + n;
}
static int sleeps_below(void *m, __u32 *key, struct timed *t)
{
	global_sleeps(1);
	return 0;
}
#define set_timer(fn) \
	__u32 key = 0; \
	struct timed *t = bpf_map_lookup_elem(&timers, &key); \
	if (!t) \
		return 0; \
	bpf_timer_init(&t->timer, &timers, 1); \
	bpf_timer_set_callback(&t->timer, fn); \
	return bpf_timer_start(&t->timer, 0, 0)

SEC("syscall") int bad_timer(void *ctx) { set_timer(sleeps); }
SEC("syscall") int bad_timer_below(void *ctx) { set_timer(sleeps_below); }
SEC("syscall") int ok_timer(void *ctx)
{
	global_sleeps(1);
	set_timer(counts);
}

/* Nor does the callback for a mapping, while the address space is locked; one for numbers may. */
static long vma_sleeps(struct task_struct *t, void *vma, void *ctx)
{
	char b[8];

	return bpf_copy_from_user(b, sizeof(b), (void *)where) != 0;
}
static long vma_counts(struct task_struct *t, void *vma, void *ctx)
{
	out++;
	return 0;
}
static long turn_sleeps(__u32 i, void *ctx)
{
	char b[8];

	return bpf_copy_from_user(b, sizeof(b), (void *)where) != 0;
}
SEC("syscall") int bad_find_vma(void *ctx)
{
	return bpf_find_vma(bpf_get_current_task_btf(), where, vma_sleeps, 0, 0);
}
SEC("syscall") int ok_find_vma(void *ctx)
{
	char b[8];
	long n = bpf_find_vma(bpf_get_current_task_btf(), where, vma_counts, 0, 0);

	bpf_copy_from_user(b, sizeof(b), (void *)where);
	return n + bpf_loop(2, turn_sleeps, 0, 0);
}

/* The iterator's element goes with the iterator. */
#define tasks_of(inside, behind) \
	struct bpf_iter_css_task it; \
	struct task_struct *t, *held; \
	struct cgroup *c = bpf_cgroup_from_id(1); \
	if (!c) \
		return 0; \
	bpf_iter_css_task_new(&it, &c->self, 0); \
	t = bpf_iter_css_task_next(&it); \
	inside; \
	bpf_iter_css_task_destroy(&it); \
	bpf_cgroup_release(c); \
	behind; \
	return 0
#define use_task \
	do { \
		held = t ? bpf_task_acquire(t) : 0; \
		if (held) \
			bpf_task_release(held); \
	} while (0)

SEC("syscall") int bad_element(void *ctx) { tasks_of(, use_task); }
SEC("syscall") int bad_element_before(void *ctx) { tasks_of(bpf_iter_css_task_next(&it); use_task, ); }
SEC("syscall") int ok_element(void *ctx) { tasks_of(use_task, ); }

/* Each turn's element has a lock of its own. */
struct before {
	struct locked *v;
};
static long unlock_other(void *m, __u32 *key, struct locked *v, struct before *b)
{
	struct locked *p = b->v;

	if (p) {
		bpf_spin_lock(&p->lock);
		p->n++;
		bpf_spin_unlock(&v->lock);
	}
	b->v = v;
	return 0;
}
static long unlock_same(void *m, __u32 *key, struct locked *v, struct before *b)
{
	bpf_spin_lock(&v->lock);
	v->n++;
	bpf_spin_unlock(&v->lock);
	return 0;
}
#define each_lock(fn) \
	struct before b = {}; \
	bpf_for_each_map_elem(&locks, fn, &b, 0); \
	return 0

SEC("tc") int bad_lock(struct __sk_buff *skb) { each_lock(unlock_other); }
SEC("tc") int ok_lock(struct __sk_buff *skb) { each_lock(unlock_same); }

/* A packet moves: through a function, and through a dynptr that somebody else made. */
__attribute__((noinline)) int moves(struct __sk_buff *skb, struct pair *p)
{
	if (!p)
		return 0;
	bpf_skb_pull_data(skb, 0);
	p->a = 1;
	return 0;
}
__attribute__((noinline)) int stays(struct __sk_buff *skb, struct pair *p)
{
	if (p)
		p->a = skb->len;
	return 0;
}
#define pass_slice(fn) \
	struct pair buffer = {}, *p; \
	struct bpf_dynptr d; \
	if (bpf_dynptr_from_skb(skb, 0, &d)) \
		return 0; \
	p = bpf_dynptr_slice_rdwr(&d, 0, &buffer, sizeof(buffer)); \
	return p ? fn(skb, p) : 0

SEC("tc") int bad_slice_passed(struct __sk_buff *skb) { pass_slice(moves); }
SEC("tc") int ok_slice_passed(struct __sk_buff *skb) { pass_slice(stays); }

__attribute__((noinline)) int slice_then_pull(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p = bpf_dynptr_slice_rdwr(d, 0, &buffer, sizeof(buffer));

	if (!p)
		return 0;
	bpf_skb_pull_data(skb, 0);
	p->a = 1;
	return 0;
}
__attribute__((noinline)) int write_then_packet(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	__u64 n = 5, *data = (void *)(long)skb->data;

	if ((void *)(data + 1) > (void *)(long)skb->data_end)
		return 0;
	bpf_dynptr_write(d, 0, &n, sizeof(n), 0);
	*data = 1;
	return 0;
}
__attribute__((noinline)) int pull_then_slice(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p;

	bpf_skb_pull_data(skb, 0);
	p = bpf_dynptr_slice_rdwr(d, 0, &buffer, sizeof(buffer));
	if (p)
		p->a = 1;
	return 0;
}
#define pass_dynptr(fn) \
	struct bpf_dynptr d; \
	if (bpf_dynptr_from_skb(skb, 0, &d)) \
		return 0; \
	fn(skb, &d); \
	return 0

SEC("tc") int bad_given_slice(struct __sk_buff *skb) { pass_dynptr(slice_then_pull); }
SEC("tc") int bad_given_write(struct __sk_buff *skb) { pass_dynptr(write_then_packet); }
SEC("tc") int ok_given_slice(struct __sk_buff *skb) { pass_dynptr(pull_then_slice); }

/* A command writes into its attributes. */
SEC("syscall") int bad_constant_attr(void *ctx) { return bpf_sys_bpf(BPF_MAP_FREEZE, (void *)&constant_attr, sizeof(constant_attr)); }
SEC("syscall") int ok_constant_attr(void *ctx)
{
	union bpf_attr attr = { .map_fd = 1 };

	return bpf_sys_bpf(BPF_MAP_FREEZE, &attr, sizeof(attr));
}

/* A lock is an RCU section as well, but not longer than it is held; so is a callback that may not sleep. */
#define under_lock(inside, behind) \
	__u32 key = 0; \
	struct pair *p; \
	struct locked_pair *v = bpf_map_lookup_elem(&locked_pairs, &key); \
	if (!v) \
		return 0; \
	bpf_spin_lock(&v->lock); \
	p = v->p; \
	inside; \
	bpf_spin_unlock(&v->lock); \
	behind; \
	return 0
#define raise_it \
	do { \
		if (p) \
			p->a = 1; \
	} while (0)

SEC("syscall") int bad_behind_lock(void *ctx) { under_lock(, raise_it); }
SEC("syscall") int ok_behind_lock(void *ctx) { under_lock(raise_it, ); }
SEC("tc") int ok_behind_lock_in_rcu(struct __sk_buff *skb) { under_lock(, raise_it); }

struct found {
	struct pair *p;
};
static long keep_pair(struct task_struct *t, void *vma, struct found *f)
{
	__u32 key = 0;
	struct worked *w = bpf_map_lookup_elem(&works, &key);

	if (w)
		f->p = w->p;
	return 0;
}
static long raise_pair(struct task_struct *t, void *vma, struct found *f)
{
	__u32 key = 0;
	struct worked *w = bpf_map_lookup_elem(&works, &key);
	struct pair *p = w ? w->p : 0;

	raise_it;
	return 0;
}
#define with_vma(fn) \
	struct found f = {}; \
	struct pair *p; \
	char b[8]; \
	bpf_find_vma(bpf_get_current_task_btf(), where, fn, &f, 0); \
	bpf_copy_from_user(b, sizeof(b), (void *)where); \
	p = f.p; \
	raise_it; \
	return 0

SEC("syscall") int bad_kept_pair(void *ctx) { with_vma(keep_pair); }
SEC("syscall") int ok_kept_pair(void *ctx) { with_vma(raise_pair); }

/* An iterator over what RCU protects is stale behind the section, whatever path came first. */
#define two_steps(between) \
	struct bpf_iter_task it; \
	struct task_struct *t; \
	__u64 some = where; \
	bpf_rcu_read_lock(); \
	bpf_iter_task_new(&it, 0, 1); \
	bpf_iter_task_next(&it); \
	asm volatile goto("if %[some] != 1 goto %l[other]" ::[some] "r"(some)::other); \
	goto next; \
other: \
	between; \
next: \
	asm volatile(""); \
	t = bpf_iter_task_next(&it); \
	if (t) \
		out = t->pid; \
	bpf_iter_task_destroy(&it); \
	bpf_rcu_read_unlock(); \
	return 0

SEC("syscall") int bad_section_between(void *ctx) { two_steps(bpf_rcu_read_unlock(); bpf_rcu_read_lock()); }
SEC("syscall") int ok_section_between(void *ctx) { two_steps(out++); }

/* What a function does is what all do that it leads to, also where they name each other in a circle. */
#define leads_to(first, second, does) \
	static __attribute__((noinline)) int first(long n, void *ctx); \
	static __attribute__((noinline)) int second(long n, void *ctx) \
	{ \
		void *named = first; \
		if (n == 0) \
			does; \
		asm volatile("" ::"r"(named)); \
		return 0; \
	} \
	static __attribute__((noinline)) int first(long n, void *ctx) \
	{ \
		if (n == 0) \
			bpf_loop(1, second, ctx, 0); \
		return 0; \
	}
#define timers_of(first, second) \
	__u32 key = 0; \
	struct timed *t = bpf_map_lookup_elem(&timers, &key); \
	if (!t) \
		return 0; \
	bpf_timer_init(&t->timer, &timers, 1); \
	bpf_timer_set_callback(&t->timer, first); \
	bpf_timer_set_callback(&t->timer, second)

struct moved {
	struct __sk_buff *skb;
};
static __attribute__((noinline)) long move_packet(struct __sk_buff *skb) { return bpf_skb_change_head(skb, 200, 0); }
leads_to(move_1, move_2, move_packet(((struct moved *)ctx)->skb))
__attribute__((noinline)) int moves_in_circle(struct __sk_buff *skb)
{
	struct moved m = { skb };

	bpf_loop(1, move_1, &m, 0);
	return 0;
}
SEC("tc") int bad_circle_moves(struct __sk_buff *skb)
{
	__u32 *p = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (p + 1 > end)
		return 0;
	asm volatile("" : "+r"(p));
	moves_in_circle(skb);
	*p = 1;
	timers_of(move_1, move_2);
	return 0;
}

static __attribute__((noinline)) long sleep_here(void)
{
	char b[8];

	return bpf_copy_from_user(b, sizeof(b), (void *)where);
}
leads_to(sleep_1, sleep_2, sleep_here())
__attribute__((noinline)) int sleeps_in_circle(int n)
{
	bpf_loop(1, sleep_1, 0, 0);
	return n;
}
SEC("syscall") int bad_circle_sleeps(void *ctx)
{
	bpf_rcu_read_lock();
	sleeps_in_circle(1);
	bpf_rcu_read_unlock();
	timers_of(sleep_1, sleep_2);
	return 0;
}
/* Each of the two as a timer's alone: there is no end of calls, but none inside another. */
leads_to(count_1, count_2, out++)
SEC("tc") int ok_circle(struct __sk_buff *skb)
{
	timers_of(count_1, count_2);
	return 0;
}

/* What a function got, its clones are. */
#define clone_of_clone(given, to) \
	struct bpf_dynptr first, to; \
	bpf_dynptr_clone(given, &first); \
	bpf_dynptr_adjust(&first, 1, 20); \
	bpf_dynptr_clone(&first, &to)
__attribute__((noinline)) int clone_then_pull(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p;

	clone_of_clone(d, c);
	p = bpf_dynptr_slice_rdwr(&c, 0, &buffer, sizeof(buffer));
	if (!p)
		return 0;
	bpf_skb_pull_data(skb, 0);
	p->a = 1;
	return 0;
}
__attribute__((noinline)) int clone_then_packet(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	__u64 n = 5, *data = (void *)(long)skb->data;

	if ((void *)(data + 1) > (void *)(long)skb->data_end)
		return 0;
	clone_of_clone(d, c);
	bpf_dynptr_write(&c, 0, &n, sizeof(n), 0);
	*data = 1;
	return 0;
}
__attribute__((noinline)) int clone_to_mover(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p;

	clone_of_clone(d, c);
	p = bpf_dynptr_slice_rdwr(&c, 0, &buffer, sizeof(buffer));
	return p ? moves(skb, p) : 0;
}
__attribute__((noinline)) int pull_then_clone(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p;

	clone_of_clone(d, c);
	bpf_skb_pull_data(skb, 0);
	p = bpf_dynptr_slice_rdwr(&c, 0, &buffer, sizeof(buffer));
	if (p)
		p->a = 1;
	return 0;
}
__attribute__((noinline)) int write_a_clone(struct __sk_buff *skb, const struct bpf_dynptr *d)
{
	__u32 key = 0;
	__u64 n = 5, *data = (void *)(long)skb->data;
	struct pair *v = bpf_map_lookup_elem(&pairs, &key);
	struct bpf_dynptr own;

	if (!v || (void *)(data + 1) > (void *)(long)skb->data_end)
		return 0;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &own);
	asm volatile("" ::"r"(d));
	clone_of_clone(&own, c);
	bpf_dynptr_write(&c, 0, &n, sizeof(n), 0);
	*data = 1;
	return 0;
}
/* Two paths meet behind this: one has a dynptr that nobody else has, the other one that the function got. */
#define clone_either(name, relation) \
	__attribute__((noinline)) int name(struct __sk_buff *skb, const struct bpf_dynptr *d) \
	{ \
		__u32 key = 0; \
		__u64 n = 5, *data = (void *)(long)skb->data; \
		struct pair *v = bpf_map_lookup_elem(&pairs, &key); \
		struct bpf_dynptr c; \
		if (!v || (void *)(data + 1) > (void *)(long)skb->data_end) \
			return 0; \
		if (skb->mark relation 5) \
			bpf_dynptr_from_mem(v, sizeof(*v), 0, &c); \
		else \
			bpf_dynptr_clone(d, &c); \
		bpf_dynptr_write(&c, 0, &n, sizeof(n), 0); \
		*data = 1; \
		return 0; \
	}
clone_either(own_if_so, ==)
clone_either(own_if_not, !=)
SEC("tc") int bad_clone_either(struct __sk_buff *skb) { pass_dynptr(own_if_so); }
SEC("tc") int bad_clone_or_own(struct __sk_buff *skb) { pass_dynptr(own_if_not); }
SEC("tc") int bad_clone_slice(struct __sk_buff *skb) { pass_dynptr(clone_then_pull); }
SEC("tc") int bad_clone_write(struct __sk_buff *skb) { pass_dynptr(clone_then_packet); }
SEC("tc") int bad_clone_passed(struct __sk_buff *skb) { pass_dynptr(clone_to_mover); }
SEC("tc") int ok_clone_slice(struct __sk_buff *skb) { pass_dynptr(pull_then_clone); }
SEC("tc") int ok_clone_write(struct __sk_buff *skb) { pass_dynptr(write_a_clone); }

/* Also that of a driver moves. What is written through a dynptr, it holds itself. */
#define adjust(x) bpf_xdp_adjust_tail(x, -40)
__attribute__((noinline)) int slice_then_adjust(struct xdp_md *x, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p = bpf_dynptr_slice_rdwr(d, 0, &buffer, sizeof(buffer));

	if (!p)
		return 0;
	adjust(x);
	p->a = 1;
	return 0;
}
__attribute__((noinline)) int adjusts(struct xdp_md *x, struct pair *p)
{
	if (!p)
		return 0;
	adjust(x);
	p->a = 1;
	return 0;
}
__attribute__((noinline)) int slice_to_adjuster(struct xdp_md *x, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p;
	struct bpf_dynptr c;

	bpf_dynptr_clone(d, &c);
	p = bpf_dynptr_slice_rdwr(&c, 0, &buffer, sizeof(buffer));
	return p ? adjusts(x, p) : 0;
}
__attribute__((noinline)) int adjust_then_slice(struct xdp_md *x, const struct bpf_dynptr *d)
{
	struct pair buffer = {}, *p;

	adjust(x);
	p = bpf_dynptr_slice_rdwr(d, 0, &buffer, sizeof(buffer));
	if (p)
		p->a = 1;
	return 0;
}
__attribute__((noinline)) int write_then_frame(struct xdp_md *x, const struct bpf_dynptr *d)
{
	__u64 n = 5, *data = (void *)(long)x->data;

	if ((void *)(data + 1) > (void *)(long)x->data_end)
		return 0;
	bpf_dynptr_write(d, 0, &n, sizeof(n), 0);
	*data = 1;
	return 0;
}
#define pass_frame(fn) \
	struct bpf_dynptr d; \
	if (bpf_dynptr_from_xdp(x, 0, &d)) \
		return XDP_PASS; \
	fn(x, &d); \
	return XDP_PASS

SEC("xdp") int bad_given_frame(struct xdp_md *x) { pass_frame(slice_then_adjust); }
SEC("xdp") int bad_frame_passed(struct xdp_md *x) { pass_frame(slice_to_adjuster); }
SEC("xdp") int ok_given_frame(struct xdp_md *x) { pass_frame(adjust_then_slice); }
SEC("xdp") int ok_frame_written(struct xdp_md *x) { pass_frame(write_then_frame); }

/* Each path through functions is not walked: what fits is known, also within a callback, where less is allowed. */
#define ten_times(x) x; x; x; x; x; x; x; x; x; x
#define many_calls(fn, of) \
	__attribute__((noinline)) int fn(int n) \
	{ \
		ten_times(out += of(n)); \
		ten_times(out += of(n)); \
		ten_times(out += of(n)); \
		ten_times(out += of(n)); \
		ten_times(out += of(n)); \
		ten_times(out += of(n)); \
		return n; \
	}
__attribute__((noinline)) int called_6(int n)
{
	out += n;
	return n;
}
many_calls(called_5, called_6)
many_calls(called_4, called_5)
many_calls(called_3, called_4)
many_calls(called_2, called_3)
many_calls(called_1, called_2)
static long call_many(__u32 n, void *ctx) { return called_1(n) & 0; }
SEC("tc") int ok_many_paths(struct __sk_buff *skb) { return bpf_loop(2, call_many, 0, 0); }

unsigned long long load_byte(void *skb, unsigned long long at) asm("llvm.bpf.load.byte");
__attribute__((noinline)) int loads(struct __sk_buff *skb) { return load_byte(skb, 0); }
__attribute__((noinline)) int leads_to_load(struct __sk_buff *skb) { return out += loads(skb); }
static long load_back(__u32 n, struct moved *m)
{
	out += leads_to_load(m->skb);
	return 0;
}
static long do_nothing(__u32 n, struct moved *m)
{
	out += m->skb->len;
	return 0;
}
#define load_and(fn) \
	struct moved m = { skb }; \
	leads_to_load(skb); \
	bpf_loop(2, fn, &m, 0); \
	return leads_to_load(skb)
SEC("tc") int bad_load_back(struct __sk_buff *skb) { load_and(load_back); }
SEC("tc") int ok_load_back(struct __sk_buff *skb) { load_and(do_nothing); }

/* A function has its frame on the caller's stack when it is called back at once, also if a timer calls it at another time. */
#define fills(fn, bytes, then) \
	static __attribute__((noinline)) int fn(void *m, int *key, void *value) \
	{ \
		asm volatile("*(u64 *)(r10 - " #bytes ") = 1" ::: "memory"); \
		then; \
		return 0; \
	}
#define call_back(fn) bpf_loop(1, (void *)fn, 0, 0)
fills(large_3, 400, )
fills(large_2, 400, call_back(large_3))
fills(large_1, 400, call_back(large_2))
fills(small_3, 104, )
fills(small_2, 104, call_back(small_3))
fills(small_1, 104, call_back(small_2))

SEC("tc") int bad_deep(struct __sk_buff *skb)
{
	timers_of(large_2, large_3);
	call_back(large_1);
	return 0;
}
SEC("tc") int ok_deep(struct __sk_buff *skb)
{
	timers_of(small_2, small_3);
	call_back(small_1);
	return 0;
}

/* What ends a loop ends that loop, not one around it that begins it again and again. */
static long one_turn(__u32 i, void *ctx)
{
	out++;
	return 0;
}
SEC("syscall") int bad_endless_calls(void *ctx)
{
	for (;;) {
		bpf_loop(1, one_turn, 0, 0);
		asm volatile("");
	}
	return 0;
}
SEC("syscall") int ok_calls(void *ctx)
{
	for (int i = 0; i < 3; i++) {
		bpf_loop(1, one_turn, 0, 0);
		asm volatile("" : "+r"(i));
	}
	return 0;
}
static __always_inline void count_to(int end)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, end);
	while (bpf_iter_num_next(&it))
		out++;
	bpf_iter_num_destroy(&it);
}
SEC("syscall") int bad_endless_iterators(void *ctx)
{
	for (;;) {
		count_to(2);
		asm volatile("");
	}
	return 0;
}
SEC("syscall") int ok_iterators(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 5);
	while (bpf_iter_num_next(&it))
		count_to(2);
	bpf_iter_num_destroy(&it);
	return 0;
}
/* 1 as long as its may_goto goes on: that counts anew at each call. */
static __attribute__((naked, noinline)) int turns(void)
{
	asm volatile("r0 = 1; .byte 0xe5; .byte 0; .short 1; .long 0; exit; r0 = 0; exit");
}
SEC("syscall") int bad_endless_counts(void *ctx)
{
	while (turns())
		;
	return 0;
}
SEC("syscall") int ok_counts(void *ctx)
{
	for (int i = 0; i < 3; i++)
		out += turns();
	return 0;
}

/* An element of an array is there when its number is below the array's size; what stands in a map of maps may be smaller. */
#define inner_map(name, kind, flags) \
	struct name { \
		__uint(type, kind); \
		__uint(max_entries, 8); \
		__uint(map_flags, flags); \
		__type(key, __u32); \
		__type(value, __u64); \
	}; \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); \
		__uint(max_entries, 2); \
		__type(key, __u32); \
		__array(values, struct name); \
	} name##s SEC(".maps")
inner_map(array, BPF_MAP_TYPE_ARRAY, 0);
inner_map(any_array, BPF_MAP_TYPE_ARRAY, BPF_F_INNER_MAP);
inner_map(percpu, BPF_MAP_TYPE_PERCPU_ARRAY, 0);
struct any_array alone SEC(".maps");
struct percpu alone_percpu SEC(".maps");
/* Refused where the element may be missing. */
#define last_of(map) \
	__u32 seven __attribute__((aligned(8))) = 7; \
	__u64 *v = bpf_map_lookup_elem(map, &seven); \
	asm volatile("if %[v] != 0 goto +1; %[v] = *(u64 *)(%[v] + 0)" : [v] "+r"(v)); \
	return 0
#define last_of_inner(maps) \
	__u32 one = 1; \
	void *m = bpf_map_lookup_elem(&maps, &one); \
	if (!m) \
		return 0; \
	last_of(m)
SEC("socket") int bad_last_of_any(void *ctx) { last_of_inner(any_arrays); }
SEC("socket") int ok_last_of_inner(void *ctx) { last_of_inner(arrays); }
SEC("socket") int ok_last_alone(void *ctx) { last_of(&alone); }
SEC("socket") int bad_last_of_percpu(void *ctx) { last_of_inner(percpus); }
SEC("socket") int ok_last_percpu_alone(void *ctx) { last_of(&alone_percpu); }
static long last_of_given(void *m, __u32 *key, __u64 *value, void *ctx) { last_of(m); }
SEC("socket") int bad_last_in_callback(void *ctx)
{
	__u32 one = 1;
	void *m = bpf_map_lookup_elem(&percpus, &one);

	return m ? bpf_for_each_map_elem(m, last_of_given, 0, 0) : 0;
}
SEC("socket") int ok_last_in_callback(void *ctx) { return bpf_for_each_map_elem(&alone, last_of_given, 0, 0); }
struct any_timed {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_INNER_MAP);
	__type(key, __u32);
	__type(value, struct timed);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct any_timed);
} any_timeds SEC(".maps");
static int last_of_timed(void *m, __u32 *key, struct timed *value) { last_of(m); }
static int first_of_timed(void *m, __u32 *key, struct timed *value) { return 0; }
#define start_in_inner(callback) \
	__u32 zero = 0; \
	void *m = bpf_map_lookup_elem(&any_timeds, &zero); \
	struct timed *v = m ? bpf_map_lookup_elem(m, &zero) : 0; \
	return v ? bpf_timer_set_callback(&v->timer, callback) : 0
SEC("tc") int bad_last_in_timer(void *ctx) { start_in_inner(last_of_timed); }
SEC("tc") int ok_first_in_timer(void *ctx) { start_in_inner(first_of_timed); }

/* An iterator is below r10, not at it, where the caller's frame, or the kernel's, begins. */
#define at_end(place) \
	asm volatile("r1 = r10; r1 += -8; r2 = 0; r3 = 3; call %[first];" \
		     "r1 = r10; r1 += " place "; call %[next];" \
		     "r1 = r10; r1 += " place "; call %[end]; r0 = 0; exit" \
		     :: [first] "i"(bpf_iter_num_new), [next] "i"(bpf_iter_num_next), [end] "i"(bpf_iter_num_destroy))
static __attribute__((naked, noinline)) int iterator_above(void) { at_end("0"); }
static __attribute__((naked, noinline)) int iterator_below(void) { at_end("-8"); }
SEC("tc") int bad_iterator_above(void *ctx) { return iterator_above(); }
SEC("tc") int ok_iterator_below(void *ctx) { return iterator_below(); }

/* A per-CPU object is found from its very start. */
struct spread {
	struct pair __attribute__((btf_type_tag("percpu_kptr"))) *p;
};
map(spreads, BPF_MAP_TYPE_ARRAY, 1, __u32, struct spread);
#define this_cpus(off) \
	__u32 key = 0; \
	struct spread *v = bpf_map_lookup_elem(&spreads, &key); \
	struct pair *p = v ? v->p : 0; \
	if (!p) \
		return 0; \
	asm volatile("%[p] += " off : [p] "+r"(p)); \
	p = bpf_this_cpu_ptr(p); \
	if (p) \
		p->b = 1; \
	return 0
SEC("tc") int bad_moved_percpu(void *ctx) { this_cpus("0x10000"); }
SEC("tc") int ok_percpu(void *ctx) { this_cpus("0"); }

/* The first node of a tree that has none. */
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
#define first_of(check) \
	__u32 key = 0; \
	struct garden *g = bpf_map_lookup_elem(&gardens, &key); \
	struct bpf_rb_node *n; \
	if (!g || !planted_type()) \
		return 0; \
	bpf_spin_lock(&g->lock); \
	n = bpf_rbtree_first(&g->root); \
	if (check) \
		n = bpf_rbtree_remove(&g->root, n); \
	bpf_spin_unlock(&g->lock); \
	if (check && n) \
		bpf_obj_drop_impl((struct planted *)n, 0); \
	return 0
SEC("tc") int bad_no_node(void *ctx) { first_of(1); }
SEC("tc") int ok_first_node(void *ctx) { first_of(n); }

/* A packet that the program may not write is not passed to what may write it. */
__attribute__((noinline)) int writes_pair(struct pair *p)
{
	if (p)
		p->a = 1;
	return 0;
}
#define pass_packet(skb) \
	struct pair *p = (void *)(long)skb->data; \
	if ((void *)(p + 1) > (void *)(long)skb->data_end) \
		return 1; \
	return writes_pair(p)
SEC("cgroup_skb/ingress") int bad_pass_packet(struct __sk_buff *skb) { pass_packet(skb); }
SEC("tc") int ok_pass_packet(struct __sk_buff *skb) { pass_packet(skb); }

/* A helper reads no further than the object, whatever array is at its end. */
struct mm_struct {
	unsigned long cpu_bitmap[0];
} __attribute__((preserve_access_index));
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");
#define send_mm(off) \
	void *mm = (void *)ctx[0]; \
	asm volatile("%[mm] += " off : [mm] "+r"(mm)); \
	return bpf_ringbuf_output(&ring, mm, 4, 0)
SEC("tp_btf/exit_mmap") int bad_behind_object(__u64 *ctx) { send_mm("0x100000"); }
SEC("tp_btf/exit_mmap") int ok_in_object(__u64 *ctx) { send_mm("0"); }

/* A hook's argument may be NULL: what is done then is looked at, and nothing else is handed on. */
SEC("lsm/mmap_file") int bad_null_arm(__u64 *ctx) { return ctx[0] ? 0 : *(volatile int *)0x1234; }
SEC("lsm/mmap_file") int bad_null_file(__u64 *ctx) { bpf_ringbuf_output(&ring, (void *)ctx[0], 4, 0); return 0; }
SEC("lsm/file_open") int ok_file(__u64 *ctx) { bpf_ringbuf_output(&ring, (void *)ctx[0], 4, 0); return 0; }

/* The field of an object goes with it. */
struct inode {
	unsigned long i_ino;
} __attribute__((preserve_access_index));
struct file {
	struct inode *f_inode;
} __attribute__((preserve_access_index));
extern struct file *bpf_get_task_exe_file(struct task_struct *task) __ksym;
extern void bpf_put_file(struct file *file) __ksym;
#define with_file(before, behind) \
	struct file *f = bpf_get_task_exe_file((void *)bpf_get_current_task_btf()); \
	struct inode *i; \
	if (!f) \
		return 0; \
	i = f->f_inode; \
	before; \
	bpf_put_file(f); \
	behind; \
	return 0
struct dentry {
	struct inode *d_inode;
} __attribute__((preserve_access_index));
SEC("lsm/inode_unlink") int bad_no_inode(__u64 *ctx)
{
	struct dentry *d = (void *)ctx[1];

	return bpf_ringbuf_output(&ring, d->d_inode, 2, 0);
}
SEC("lsm/inode_unlink") int ok_inode(__u64 *ctx)
{
	struct dentry *d = (void *)ctx[1];
	struct inode *i = d->d_inode;

	out = i->i_ino;
	if (i)
		bpf_ringbuf_output(&ring, (void *)ctx[0], 2, 0);
	return 0;
}
SEC("lsm.s/file_open") int bad_stale_field(void *ctx) { with_file(, bpf_ringbuf_output(&ring, i, 2, 0)); }
SEC("lsm.s/file_open") int ok_field(void *ctx) { with_file(bpf_ringbuf_output(&ring, i, 2, 0), ); }

/* What an object has in a member's member is no pointer that owns: nothing looks whether types own each other in a circle by it. */
struct circle_link;
struct circle_inner {
	struct circle_link kptr *next;
};
struct circle_link {
	long n;
	struct circle_inner inner;
};
struct own_link {
	struct pair kptr *p;
};
#define keep_itself(type, make, member) \
	struct type *l = bpf_obj_new_impl(__builtin_btf_type_id(*(struct type *)0, 0), 0); \
	void *kept = l ? make : 0, *old; \
	if (!l) \
		return 0; \
	old = kept ? bpf_kptr_xchg(&l->member, kept) : 0; \
	if (old) \
		bpf_obj_drop_impl(old, 0); \
	if (kept != l) \
		bpf_obj_drop_impl(l, 0); \
	return 0
SEC("tc") int bad_circle_of_owners(void *ctx) { keep_itself(circle_link, l, inner.next); }
SEC("tc") int ok_owner(void *ctx)
{
	struct own_link *l = bpf_obj_new_impl(__builtin_btf_type_id(*(struct own_link *)0, 0), 0);
	struct pair *p, *old;

	if (!l)
		return 0;
	p = bpf_obj_new_impl(__builtin_btf_type_id(*(struct pair *)0, 0), 0);
	old = p ? bpf_kptr_xchg(&l->p, p) : 0;
	if (old)
		bpf_obj_drop_impl(old, 0);
	bpf_obj_drop_impl(l, 0);
	return 0;
}

/* A tree gets no node while a place is looked for in it. */
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool (*less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, __u64 off) __ksym;
struct bpf_spin_lock garden_lock SEC(".data.garden");
struct bpf_rb_root garden_root __attribute__((btf_decl_tag("contains:planted:node"))) SEC(".data.garden");
static _Bool before(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return ((struct planted *)a)->n < ((const struct planted *)b)->n;
}
static _Bool plants(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct planted *other = bpf_refcount_acquire_impl((struct planted *)a, 0);

	if (other)
		bpf_rbtree_add_impl(&garden_root, &other->node, before, 0, 0);
	return 1;
}
#define plant(less) \
	struct planted *p = bpf_obj_new_impl(planted_type(), 0); \
	if (!p) \
		return 0; \
	bpf_spin_lock(&garden_lock); \
	bpf_rbtree_add_impl(&garden_root, &p->node, less, 0, 0); \
	bpf_spin_unlock(&garden_lock); \
	return 0
SEC("tc") int bad_planting(void *ctx) { plant(plants); }
SEC("tc") int ok_planting(void *ctx) { plant(before); }
