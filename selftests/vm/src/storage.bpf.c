// SPDX-License-Identifier: GPL-2.0-only
// Programs of storage.cpp: values of tasks, control groups, inodes and sockets, chains of tasks, the kernel's per-CPU variables.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct kernfs_node {
	__u64 id;
};
struct cgroup {
	struct kernfs_node *kn;
};
struct css_set {
	struct cgroup *dfl_cgrp;
};
struct task_struct {
	int pid, tgid;
	__u64 start_time;
	struct css_set *cgroups;
};
struct rq {
	int cpu;
};
struct inode {
	unsigned long i_ino;
	__u32 i_generation;
};
struct file {
	struct inode *f_inode;
};
struct sock_common {
	short skc_family;
};
struct sock {
	struct sock_common __sk_common;
};
struct socket {
	struct sock *sk;
};
#pragma clang attribute pop

extern const struct rq runqueues __ksym;

struct tag {
	__u64 who, hits;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tag);
} tasks SEC(".maps");

struct {
	__uint(type, 32 /* BPF_MAP_TYPE_CGRP_STORAGE */);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tag);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tag);
} inodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct tag);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tag);
} sockets_alone SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tag);
} unborn SEC(".maps");

struct {
	__u64 hits, wrong, none, group_hits, group_wrong, group_none, deleted, fresh, same_cpu, other_cpu, no_cpu;
	__s64 own_chain, kernel_chain;
	__u64 inode_hits, inode_wrong, inode_none, inode_deleted, sock_made, sock_stale, sock_none, sock_released, sock_deleted, sock_bad_delete;
	__u64 chain[16];
	__u64 begun, begun_stale;
} out;

static __always_inline __u64 name_of(struct task_struct *t)
{
	return t->start_time << 20 ^ t->pid;
}

static __always_inline void visit(struct task_struct *t)
{
	struct tag init = { name_of(t), 0 }, *v;

	v = bpf_task_storage_get(&tasks, t, &init, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!v) {
		__sync_fetch_and_add(&out.none, 1);
		return;
	}
	__sync_fetch_and_add(&out.hits, 1);
	if (v->who != init.who)
		__sync_fetch_and_add(&out.wrong, 1);
	if (!v->hits)
		__sync_fetch_and_add(&out.fresh, 1);
	__sync_fetch_and_add(&v->hits, 1);
}

static __always_inline void visit_group(struct task_struct *t)
{
	struct cgroup *c = t->cgroups->dfl_cgrp;
	struct tag init = {}, *v;

	init.who = c->kn->id;
	v = bpf_cgrp_storage_get(&groups, c, &init, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!v) {
		__sync_fetch_and_add(&out.group_none, 1);
		return;
	}
	__sync_fetch_and_add(&out.group_hits, 1);
	if (v->who != init.who)
		__sync_fetch_and_add(&out.group_wrong, 1);
	__sync_fetch_and_add(&v->hits, 1);
}

SEC("tp_btf/sys_enter")
int on_call(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	visit(t);
	visit_group(t);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int on_wakeup(__u64 *ctx)
{
	visit((struct task_struct *)ctx[0]);
	return 0;
}

/* The end of a task: a new value now must not stay. */
SEC("tp_btf/sched_process_free")
int on_free(__u64 *ctx)
{
	struct task_struct *t = (struct task_struct *)ctx[0];
	struct tag init = { name_of(t), 1 };

	if (bpf_task_storage_get(&tasks, t, &init, BPF_LOCAL_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&out.deleted, 1); /* the value is that of its life */
	return 0;
}

/* The beginning of a task: what a fork that failed left here must be gone. */
SEC("fentry/security_task_alloc")
int on_begin(__u64 *ctx)
{
	struct task_struct *t = (struct task_struct *)ctx[0];

	if (bpf_task_storage_get(&unborn, t, 0, 0))
		__sync_fetch_and_add(&out.begun_stale, 1);
	else if (bpf_task_storage_get(&unborn, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&out.begun, 1);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit_of(__u64 *ctx)
{
	struct task_struct *t = (struct task_struct *)ctx[0];

	if (t->pid & 1)
		bpf_task_storage_delete(&tasks, t);
	return 0;
}

/* No two inodes have the same name here: numbers of a file system in memory grow. */
static __always_inline void visit_inode(struct inode *inode)
{
	struct tag init = {}, *v;

	init.who = inode->i_ino;
	v = bpf_inode_storage_get(&inodes, inode, &init, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!v) {
		__sync_fetch_and_add(&out.inode_none, 1);
		return;
	}
	__sync_fetch_and_add(&out.inode_hits, 1);
	if (v->who != init.who)
		__sync_fetch_and_add(&out.inode_wrong, 1);
	__sync_fetch_and_add(&v->hits, 1);
}

SEC("lsm/file_open")
int on_open(__u64 *ctx)
{
	visit_inode(((struct file *)ctx[0])->f_inode);
	return 0;
}

SEC("lsm.s/file_ioctl")
int on_ioctl(__u64 *ctx)
{
	if (!bpf_inode_storage_delete(&inodes, ((struct file *)ctx[0])->f_inode))
		__sync_fetch_and_add(&out.inode_deleted, 1);
	return 0;
}

SEC("lsm/socket_post_create")
int on_socket(__u64 *ctx)
{
	struct sock *sk = ((struct socket *)ctx[0])->sk;
	struct tag init = { 1, 0 };

	if (!sk)
		return 0;
	if (bpf_sk_storage_get(&sockets, sk, 0, 0))
		__sync_fetch_and_add(&out.sock_stale, 1);
	if (bpf_sk_storage_get(&sockets, sk, &init, BPF_SK_STORAGE_GET_F_CREATE) &&
	    bpf_sk_storage_get(&sockets_alone, sk, &init, BPF_SK_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&out.sock_made, 1);
	else
		__sync_fetch_and_add(&out.sock_none, 1);
	return 0;
}

SEC("fentry/inet_release")
int on_release(__u64 *ctx)
{
	struct sock *sk = ((struct socket *)ctx[0])->sk;
	struct tag *v;

	if (!sk)
		return 0;
	v = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (v)
		__sync_fetch_and_add(&out.sock_released, v->who);
	if (!bpf_sk_storage_delete(&sockets_alone, sk)) {
		__sync_fetch_and_add(&out.sock_deleted, 1);
		if (bpf_sk_storage_delete(&sockets_alone, sk) != -2 /* ENOENT */)
			__sync_fetch_and_add(&out.sock_bad_delete, 1);
	}
	return 0;
}

int watched;

SEC("kprobe/__x64_sys_getpgid")
int on_getpgid(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	const struct rq *rq;
	int cpu = bpf_get_smp_processor_id();

	visit(t);
	if (t->tgid != watched)
		return 0;
	out.kernel_chain = bpf_get_task_stack(t, out.chain, sizeof(out.chain), 0);
	out.own_chain = bpf_get_task_stack(t, out.chain, sizeof(out.chain), BPF_F_USER_STACK);
	/* One mention of the symbol: the library's loader programs get a second one wrong. */
#pragma clang loop unroll(disable)
	for (int i = 0; i < 3; i++) {
		rq = bpf_per_cpu_ptr(&runqueues, i < 2 ? i : 100000);
		if (!rq)
			out.no_cpu++;
		else if (rq->cpu == cpu)
			out.same_cpu++;
		else
			out.other_cpu += rq->cpu == i;
	}
	return 0;
}
