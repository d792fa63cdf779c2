// SPDX-License-Identifier: GPL-2.0-only
// Objects that programs make: owned, counted, in lists and trees, in map values, a copy each CPU.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define kptr __attribute__((btf_type_tag("kptr")))
#define percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define contains(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))
#define private(name) SEC(".data." #name) __attribute__((aligned(8)))
#define object_of(ptr, type, member) ((type *)((void *)(ptr) - __builtin_offsetof(type, member)))

struct bpf_list_head {
	__u64 hidden[2];
} __attribute__((aligned(8)));
struct bpf_list_node {
	__u64 hidden[3];
} __attribute__((aligned(8)));
struct bpf_rb_root {
	__u64 hidden[2];
} __attribute__((aligned(8)));
struct bpf_rb_node {
	__u64 hidden[4];
} __attribute__((aligned(8)));
struct bpf_refcount {
	__u32 hidden[1];
} __attribute__((aligned(4)));

extern void *bpf_obj_new_impl(__u64 type, void *meta) __ksym __weak;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym __weak;
extern void *bpf_percpu_obj_new_impl(__u64 type, void *meta) __ksym __weak;
extern void bpf_percpu_obj_drop_impl(void *object, void *meta) __ksym __weak;
extern void *bpf_refcount_acquire_impl(void *object, void *meta) __ksym __weak;
extern int bpf_list_push_front_impl(struct bpf_list_head *h, struct bpf_list_node *n, void *meta, __u64 off) __ksym __weak;
extern int bpf_list_push_back_impl(struct bpf_list_head *h, struct bpf_list_node *n, void *meta, __u64 off) __ksym __weak;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *h) __ksym __weak;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *h) __ksym __weak;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *r, struct bpf_rb_node *n,
			       _Bool (*less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, __u64 off) __ksym __weak;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *r, struct bpf_rb_node *n) __ksym __weak;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *r) __ksym __weak;

#define make(type) ((type *)bpf_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), 0))
#define make_percpu(type) ((type percpu_kptr *)bpf_percpu_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), 0))
#define drop(object) bpf_obj_drop_impl(object, 0)

struct item {
	__u64 before;
	struct bpf_list_node node;
	__u64 value;
};
struct entry {
	__u64 key;
	struct bpf_rb_node node;
	struct bpf_list_node link;
	struct bpf_refcount refs;
};
struct plain {
	__u64 a, b;
};
struct counters {
	__u64 n;
};

private(list) struct bpf_spin_lock list_lock;
private(list) struct bpf_list_head list contains(item, node);
private(tree) struct bpf_spin_lock tree_lock;
private(tree) struct bpf_rb_root tree contains(entry, node);
private(tree) struct bpf_list_head both contains(entry, link);

struct slot {
	struct plain kptr *owned;
	struct counters percpu_kptr *counts;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct slot);
} table SEC(".maps");

static int push(__u64 value, int back)
{
	struct item *i = make(struct item);

	if (!i)
		return 0;
	i->before = ~value;
	i->value = value;
	bpf_spin_lock(&list_lock);
	if (back)
		bpf_list_push_back_impl(&list, &i->node, 0, 0);
	else
		bpf_list_push_front_impl(&list, &i->node, 0, 0);
	bpf_spin_unlock(&list_lock);
	return 1;
}

static __s64 pop(int back)
{
	struct bpf_list_node *n;
	struct item *i;
	__s64 value;

	bpf_spin_lock(&list_lock);
	n = back ? bpf_list_pop_back(&list) : bpf_list_pop_front(&list);
	bpf_spin_unlock(&list_lock);
	if (!n)
		return -1;
	i = object_of(n, struct item, node);
	value = i->before == ~i->value ? i->value : -2;
	drop(i);
	return value;
}

// EXPECT: accept
// NEEDS: bpf_obj_new_impl
// RETVAL: 12
SEC("tc")
int make_and_drop(struct __sk_buff *skb)
{
	struct plain *p = make(struct plain);
	int sum;

	if (!p)
		return -1;
	p->a = 5;
	p->b = p->a + 2;
	sum = p->a + p->b;
	drop(p);
	return sum;
}

// EXPECT: accept
// NEEDS: bpf_list_push_back_impl
// RETVAL: 3124
// REPEAT: 50
SEC("tc")
int list_of_both_ends(struct __sk_buff *skb)
{
	int out;

	if (pop(0) != -1 || !push(1, 1) || !push(2, 1) || !push(3, 0) || !push(4, 1))
		return -1;
	out = pop(0) * 1000;
	out += pop(0) * 100;
	push(out ? 2 : 0, 0);
	out += pop(0) * 10;
	out += pop(1);
	pop(0);
	return pop(1) == -1 ? out : -2;
}

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return object_of(a, struct entry, node)->key < object_of(b, struct entry, node)->key;
}

static int add(__u64 key)
{
	struct entry *e = make(struct entry);

	if (!e)
		return 0;
	e->key = key;
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add_impl(&tree, &e->node, less, 0, 0);
	bpf_spin_unlock(&tree_lock);
	return 1;
}

static __s64 take_first(void)
{
	struct bpf_rb_node *n;
	struct entry *e;
	__s64 key;

	bpf_spin_lock(&tree_lock);
	n = bpf_rbtree_first(&tree);
	if (!n) {
		bpf_spin_unlock(&tree_lock);
		return -1;
	}
	n = bpf_rbtree_remove(&tree, n);
	bpf_spin_unlock(&tree_lock);
	if (!n)
		return -2;
	e = object_of(n, struct entry, node);
	key = e->key;
	drop(e);
	return key;
}

// EXPECT: accept
// NEEDS: bpf_rbtree_add_impl
// RETVAL: 13579
// REPEAT: 20
SEC("tc")
int tree_sorts(struct __sk_buff *skb)
{
	int out = 0;

	if (!add(7) || !add(1) || !add(9) || !add(5) || !add(3))
		return -1;
	for (int i = 0; i < 5; i++)
		out = out * 10 + take_first();
	return take_first() == -1 ? out : -2;
}

// A counted object is in a tree and in a list at once; what goes out of one stays in the other.
// EXPECT: accept
// NEEDS: bpf_refcount_acquire_impl
// RETVAL: 77
SEC("tc")
int counted_in_both(struct __sk_buff *skb)
{
	struct entry *e = make(struct entry), *more;
	struct bpf_list_node *n;
	int key;

	if (!e)
		return -1;
	e->key = 77;
	more = bpf_refcount_acquire_impl(e, 0);
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add_impl(&tree, &e->node, less, 0, 0);
	bpf_list_push_back_impl(&both, &more->link, 0, 0);
	bpf_spin_unlock(&tree_lock);
	if (take_first() != 77)
		return -2;
	bpf_spin_lock(&tree_lock);
	n = bpf_list_pop_front(&both);
	bpf_spin_unlock(&tree_lock);
	if (!n)
		return -3;
	e = object_of(n, struct entry, link);
	key = e->key;
	drop(e);
	return key;
}

// Twice into one list: the second time its reference ends, and nothing else happens.
// EXPECT: accept
// NEEDS: bpf_refcount_acquire_impl
// RETVAL: 1
SEC("tc")
int one_owner(struct __sk_buff *skb)
{
	struct entry *e = make(struct entry), *more;
	struct bpf_list_node *n;
	int first, second, count = 0;

	if (!e)
		return -1;
	more = bpf_refcount_acquire_impl(e, 0);
	bpf_spin_lock(&tree_lock);
	first = bpf_list_push_back_impl(&both, &e->link, 0, 0);
	second = bpf_list_push_back_impl(&both, &more->link, 0, 0);
	bpf_spin_unlock(&tree_lock);
	if (first || second != -22)
		return -2;
	for (int i = 0; i < 3; i++) {
		bpf_spin_lock(&tree_lock);
		n = bpf_list_pop_front(&both);
		bpf_spin_unlock(&tree_lock);
		if (n) {
			drop(object_of(n, struct entry, link));
			count++;
		}
	}
	return count;
}

// What is left in them goes with the maps.
// EXPECT: accept
// NEEDS: bpf_rbtree_add_impl
// RETVAL: 0
// REPEAT: 30
SEC("tc")
int leave_in_maps(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct slot *s = bpf_map_lookup_elem(&slots, &key);
	struct plain *p;

	push(1, 1);
	add(2);
	if (!s)
		return -1;
	p = make(struct plain);
	if (!p)
		return -2;
	p = bpf_kptr_xchg(&s->owned, p);
	if (p)
		drop(p);
	return 0;
}

// EXPECT: accept
// NEEDS: bpf_obj_new_impl
// RETVAL: 42
SEC("tc")
int through_a_slot(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct slot fresh = {}, *s;
	struct plain *p;
	int value;

	if (bpf_map_update_elem(&table, &key, &fresh, BPF_ANY))
		return -1;
	s = bpf_map_lookup_elem(&table, &key);
	if (!s)
		return -2;
	p = make(struct plain);
	if (!p)
		return -3;
	p->a = 42;
	p = bpf_kptr_xchg(&s->owned, p);
	if (p) {
		drop(p);
		return -4;
	}
	p = bpf_kptr_xchg(&s->owned, 0);
	if (!p)
		return -5;
	value = p->a;
	p = bpf_kptr_xchg(&s->owned, p);
	if (p)
		drop(p);
	bpf_map_delete_elem(&table, &key); // the object goes with the element
	return value;
}

// EXPECT: accept
// NEEDS: bpf_percpu_obj_new_impl
// RETVAL: 9
SEC("tc")
int a_copy_each_cpu(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct slot *s = bpf_map_lookup_elem(&slots, &key);
	struct counters percpu_kptr *c;
	struct counters *mine;

	if (!s)
		return -1;
	c = make_percpu(struct counters);
	if (!c)
		return -2;
	c = bpf_kptr_xchg(&s->counts, c);
	if (c)
		bpf_percpu_obj_drop_impl(c, 0);
	c = s->counts;
	if (!c)
		return -3;
	mine = bpf_this_cpu_ptr(c);
	mine->n += 9;
	if (bpf_per_cpu_ptr(c, 1 << 20))
		return -4;
	mine = bpf_per_cpu_ptr(c, bpf_get_smp_processor_id());
	return mine ? mine->n : -5;
}
