// SPDX-License-Identifier: GPL-2.0-only
// For objects.cpp: references to tasks, on each new task of one process, and on each that ends.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef struct {
	int counter;
} atomic_t;
struct refcount_struct {
	atomic_t refs;
} __attribute__((preserve_access_index));
struct task_struct {
	int pid, tgid;
	struct task_struct *real_parent;
	struct refcount_struct rcu_users;
} __attribute__((preserve_access_index));

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;

struct kept {
	struct task_struct __attribute__((btf_type_tag("kptr"))) *task;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kept);
} keep SEC(".maps");

struct {
	int calls, wrong, found, kept, dropped;
} out SEC(".data.out");

const volatile __u32 target;

static int users(struct task_struct *t)
{
	return t->rcu_users.refs.counter;
}

/* One more user while it is held; the same through its number, and in a map. */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_new, struct task_struct *task)
{
	int before = users(task), held, after;
	struct task_struct *t, *old;
	struct kept *k;
	__u32 key = 0;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	out.calls++;
	t = bpf_task_acquire(task);
	if (!t) {
		out.wrong++;
		return 0;
	}
	held = users(task);
	bpf_task_release(t);
	after = users(task);
	out.wrong += held != before + 1 || after != before;
	t = bpf_task_from_pid(task->pid);
	if (t) {
		out.found += t->pid == task->pid;
		k = bpf_map_lookup_elem(&keep, &key);
		if (!k) {
			bpf_task_release(t);
			return 0;
		}
		old = bpf_kptr_xchg(&k->task, t);
		out.kept++;
		if (old) {
			out.dropped++;
			bpf_task_release(old); /* its task has ended by now: the last user goes here */
		}
	}
	return 0;
}

struct cgroup_subsys_state {
	int id;
} __attribute__((preserve_access_index));
struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));
struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));
struct bpf_iter_task {
	__u64 __opaque[3];
} __attribute__((aligned(8)));
struct bpf_iter_css {
	__u64 __opaque[3];
} __attribute__((aligned(8)));
struct pt_regs;

extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags) __ksym;
extern struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
extern void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
extern struct cgroup *bpf_task_get_cgroup1(struct task_struct *task, int hierarchy) __ksym;
extern void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
extern int bpf_copy_from_user_str(void *dst, __u32 size, const void *from, __u64 flags) __ksym;

struct {
	/* By flags: how many were given, how many of the target's, and what is wrong. */
	int tasks[3], mine[3], task_error;
	/* By flags: how many, the root's place among them (from 1), and what is wrong. */
	int groups[5], root_at[5], css_error;
} walks SEC(".data.walks");

const volatile __u64 group; /* a group of control with others below it */

#define NR_GETPGID 121

static void walk_tasks(struct task_struct *current, unsigned int flags)
{
	struct bpf_iter_task it;
	struct task_struct *t;

	bpf_iter_task_new(&it, current, flags);
	while ((t = bpf_iter_task_next(&it))) {
		if (flags > 2)
			continue;
		walks.tasks[flags]++;
		walks.mine[flags] += t->tgid == target;
	}
	bpf_iter_task_destroy(&it);
}

static void walk_groups(struct cgroup *from, struct cgroup *top, unsigned int flags)
{
	struct bpf_iter_css it;
	struct cgroup_subsys_state *css;

	bpf_iter_css_new(&it, &from->self, flags);
	while ((css = bpf_iter_css_next(&it))) {
		if (flags > 4)
			continue;
		walks.groups[flags]++;
		if (css == &top->self)
			walks.root_at[flags] = walks.groups[flags];
	}
	bpf_iter_css_destroy(&it);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_call, struct pt_regs *regs, long id)
{
	struct bpf_iter_task it;
	struct bpf_iter_css css;
	struct cgroup *from, *root;

	if (id != NR_GETPGID || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	walk_tasks(bpf_get_current_task_btf(), 0);
	walk_tasks(bpf_get_current_task_btf(), 1);
	walk_tasks(bpf_get_current_task_btf(), 2);
	walks.task_error = bpf_iter_task_new(&it, bpf_get_current_task_btf(), 3);
	bpf_iter_task_destroy(&it);
	from = bpf_cgroup_from_id(group);
	if (!from)
		return 0;
	root = bpf_cgroup_ancestor(from, 0);
	if (root) {
		walk_groups(from, from, 2);
		walk_groups(from, from, 3);
		walk_groups(from, root, 4);
		walks.css_error = bpf_iter_css_new(&css, &from->self, 1);
		bpf_iter_css_destroy(&css);
		bpf_cgroup_release(root);
	}
	bpf_cgroup_release(from);
	return 0;
}

struct {
	int hierarchies[4]; /* one with a controller, one without, one that is not there */
	__u64 called[3], switched[3]; /* the groups' ids, in a call of the task's and when it leaves its CPU, with interrupts off */
	int calls, switches;
} first SEC(".data.first");

struct {
	__uint(type, 32 /* BPF_MAP_TYPE_CGRP_STORAGE */);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

static __u64 group_of(struct task_struct *task, int hierarchy)
{
	struct cgroup *c = bpf_task_get_cgroup1(task, hierarchy);
	__u64 id, *kept;

	if (!c)
		return 0;
	id = c->kn->id;
	kept = bpf_cgrp_storage_get(&storage, c, 0, 0);
	if (kept)
		*kept += id;
	bpf_cgroup_release(c);
	return id;
}

SEC("tp_btf/sys_enter")
int on_first(struct pt_regs *regs)
{
	int i;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	for (i = 0; i < 3; i++)
		first.called[i] = group_of(bpf_get_current_task_btf(), first.hierarchies[i]);
	first.calls++;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool preempted, struct task_struct *before, struct task_struct *after)
{
	int i;

	if (before->tgid != target)
		return 0;
	for (i = 0; i < 3; i++)
		first.switched[i] = group_of(before, first.hierarchies[i]);
	first.switches++;
	return 0;
}

struct {
	unsigned long from;
	int whole, cut, padded, bad, flags;
	char text[16], zeros[16];
} strings SEC(".data.strings");

SEC("syscall")
int on_string(void *ctx)
{
	char text[16] = {}, half[4] = {};

	strings.whole = bpf_copy_from_user_str(text, sizeof(text), (void *)strings.from, 0);
	__builtin_memcpy(strings.text, text, sizeof(text));
	strings.cut = bpf_copy_from_user_str(half, sizeof(half), (void *)strings.from, 0);
	__builtin_memset(text, 'x', sizeof(text));
	strings.padded = bpf_copy_from_user_str(text, sizeof(text), (void *)strings.from, 1);
	__builtin_memcpy(strings.zeros, text, sizeof(text));
	strings.bad = bpf_copy_from_user_str(text, sizeof(text), (void *)8, 0);
	strings.flags = bpf_copy_from_user_str(text, sizeof(text), (void *)strings.from, 2);
	return 0;
}

char _license[] SEC("license") = "GPL";
