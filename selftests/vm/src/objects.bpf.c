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

char _license[] SEC("license") = "GPL";
