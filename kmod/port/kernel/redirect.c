// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redirection of system calls, for programs that no library can be put under (static ones, Go): in a tree of processes that asked for it,
 * bpf() and perf_event_open() are answered by modbpf, as /dev/modbpf would answer. Off unless the module is loaded with redirect=1.
 *
 * A function tracer's hook at the entry of each call changes where it continues, if the task's process is a member; for all other
 * processes that is one look at a counter. Members are thread groups, found by their struct pid: one asks by ioctl, those that it forks
 * follow it, exec changes nothing, and the end of its last thread ends it. Each holds a reference to the module, so nobody is in the
 * functions here when the module goes.
 *
 * Of tools' sampling and counting events it shows late which are for BPF: such an event is the kernel's own until a program is put on it,
 * and is then opened anew here, with the same attributes, and takes the descriptor's place.
 */
#include "port/kernel/internal.h"

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/perf_event.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <asm/ptrace.h>

#include "cmd/core.h"

static bool wanted;
module_param_named(redirect, wanted, bool, 0444);
MODULE_PARM_DESC(redirect, "let processes ask for bpf() and perf_event_open() to be redirected to modbpf (off)");

/* ---- members ---------------------------------------------------------------------------------------------- */

struct member {
	struct hlist_node node;
	struct rcu_head rcu;
	struct pid *tgid; /* with a reference: its address is not used again while the member is there */
};

#define MEMBER_BITS 6 /* buckets: a session of a few tools */
static DEFINE_HASHTABLE(members, MEMBER_BITS);
static atomic_t member_count = ATOMIC_INIT(0);
/* Protects `members` against other writers; readers use RCU. Taken in task context and by probes of tracepoints, never in interrupts. */
static DEFINE_SPINLOCK(members_lock);

static notrace struct member *find(struct pid *tgid)
{
	struct member *m;

	hash_for_each_possible_rcu_notrace(members, m, node, (unsigned long)tgid)
		if (m->tgid == tgid)
			return m;
	return NULL;
}

/* Preemption is off, or an RCU read section is on. */
static notrace bool is_member(struct task_struct *task)
{
	return atomic_read(&member_count) && find(task_tgid(task));
}

/* The caller holds a reference to the module. */
static int add(struct task_struct *task)
{
	struct member *m = modbpf_fail_nth() ? NULL : kmalloc(sizeof(*m), GFP_ATOMIC);

	if (!m)
		return -ENOMEM;
	m->tgid = get_pid(task_tgid(task));
	spin_lock(&members_lock);
	if (find(m->tgid)) {
		spin_unlock(&members_lock);
		put_pid(m->tgid);
		kfree(m);
		return 0;
	}
	__module_get(THIS_MODULE);
	hash_add_rcu(members, &m->node, (unsigned long)m->tgid);
	atomic_inc(&member_count);
	spin_unlock(&members_lock);
	return 0;
}

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	if (task_tgid(child) == task_tgid(parent) || !is_member(parent))
		return;
	if (add(child))
		port_log(PORT_LOG_WARN, "no memory: process %d, forked from one that is redirected, is not", task_tgid_nr(child));
}

static void on_exit(void *data, struct task_struct *task)
{
	struct member *m;

	if (!atomic_read(&member_count) || atomic_read(&task->signal->live))
		return;
	spin_lock(&members_lock);
	m = find(task_tgid(task));
	if (m) {
		hash_del_rcu(&m->node);
		atomic_dec(&member_count);
	}
	spin_unlock(&members_lock);
	if (!m)
		return;
	put_pid(m->tgid);
	kfree_rcu(m, rcu);
	module_put(THIS_MODULE); /* the module's exit waits for probes that run */
}

/* ---- the calls -------------------------------------------------------------------------------------------- */

struct arguments {
	u64 a, b, c, d, e;
};

static struct arguments native(const struct pt_regs *regs)
{
	return (struct arguments){ regs->di, regs->si, regs->dx, regs->r10, regs->r8 };
}

/* Of a 32-bit program: its registers, cut to their width. */
static struct arguments compat(const struct pt_regs *regs)
{
	return (struct arguments){ (u32)regs->bx, (u32)regs->cx, (u32)regs->dx, (u32)regs->si, (u32)regs->di };
}

static int match_file(const void *want, struct file *file, unsigned int fd)
{
	return file == want ? fd + 1 : 0;
}

static bool closes_on_exec(unsigned int fd)
{
	struct fdtable *table;
	bool closes;

	rcu_read_lock();
	table = files_fdtable(current->files);
	closes = fd < table->max_fds && test_bit(fd, table->close_on_exec);
	rcu_read_unlock();
	return closes;
}

/* Puts an event of modbpf's own with the attributes of the kernel's event `file` in its place in the caller's descriptors. */
static int adopt(struct file *file, unsigned int fd)
{
	struct perf_event *event = file->private_data;
	struct task_struct *target = event->hw.target;
	struct perf_event_attr attr = event->attr;
	pid_t pid = target ? task_pid_vnr(target) : -1;
	struct file *ours;
	int new, ret;

	if (!pid) /* it is gone, or not in the caller's namespace; to the core 0 is the caller */
		return -ESRCH;
#ifdef MODBPF_HAVE_PERF_ORIG_TYPE
	attr.type = event->orig_type; /* clocks have got another from the kernel */
#endif
	attr.disabled = READ_ONCE(event->state) <= PERF_EVENT_STATE_OFF;
	attr.size = sizeof(attr);
	new = modbpf_core_perf_event_adopt(&attr, sizeof(attr), pid, event->cpu);
	if (new < 0)
		return new;
	ours = fget(new);
	if (!ours) /* closed by another thread */
		return -EBADF;
	ret = modbpf_ksym_replace_fd(fd, ours, closes_on_exec(fd) ? O_CLOEXEC : 0);
	fput(ours);
	close_fd(new);
	return ret < 0 ? ret : 0;
}

/* The perf event that a command names: the target of a link, or what becomes an element of a map. -1: none. */
static int event_of(int cmd, const union bpf_attr __user *uattr, u32 size)
{
	union bpf_attr attr = {};
	int fd;

	if ((cmd != BPF_MAP_UPDATE_ELEM && cmd != BPF_LINK_CREATE) || copy_from_user(&attr, uattr, min_t(u32, size, sizeof(attr))))
		return -1;
	if (cmd == BPF_LINK_CREATE)
		return attr.link_create.target_fd;
	return get_user(fd, (int __user *)u64_to_user_ptr(attr.value)) ? -1 : fd;
}

static bool adopt_fd(int fd)
{
	struct file *file = fd < 0 ? NULL : fget(fd);
	bool done = false;

	if (!file)
		return false;
	if (modbpf_ksym_is_perf_file(file->f_op))
		done = !adopt(file, fd);
	fput(file);
	return done;
}

static long answer_bpf(struct arguments in)
{
	long ret = modbpf_check_lockdown();

	if (ret)
		return ret;
	ret = modbpf_core_bpf(in.a, in.b, in.c);
	if (ret == -EBADF && adopt_fd(event_of(in.a, u64_to_user_ptr(in.b), in.c)))
		ret = modbpf_core_bpf(in.a, in.b, in.c);
	return ret;
}

static bool is_pmu(u32 type, const char *name)
{
	int pmu = port_perf_pmu_type(name);

	return pmu >= 0 && type == pmu;
}

/* The events that are modbpf's from the start: probes, tracepoints, the output of programs. A bad pointer is for the kernel to refuse. */
static bool serves(const struct perf_event_attr __user *uattr)
{
	u32 type;
	u64 config;

	if (get_user(type, &uattr->type) || get_user(config, &uattr->config))
		return false;
	if (type == PERF_TYPE_SOFTWARE)
		return config == PERF_COUNT_SW_BPF_OUTPUT;
	return type == PERF_TYPE_TRACEPOINT || is_pmu(type, "kprobe") || is_pmu(type, "uprobe");
}

static long answer_open(struct arguments in, const struct pt_regs *regs, enum modbpf_call original)
{
	long ret;

	if (!serves(u64_to_user_ptr(in.a)))
		return modbpf_ksym_call(original, regs);
	ret = modbpf_check_lockdown();
	return ret ? ret : modbpf_core_perf_event_open(in.a, in.b, in.c, in.d, in.e);
}

static asmlinkage long redirected_bpf(const struct pt_regs *regs)
{
	return answer_bpf(native(regs));
}

static asmlinkage long redirected_compat_bpf(const struct pt_regs *regs)
{
	return answer_bpf(compat(regs));
}

static asmlinkage long redirected_open(const struct pt_regs *regs)
{
	return answer_open(native(regs), regs, MODBPF_PERF_EVENT_OPEN);
}

static asmlinkage long redirected_compat_open(const struct pt_regs *regs)
{
	return answer_open(compat(regs), regs, MODBPF_COMPAT_PERF_EVENT_OPEN);
}

static bool is_program_of_ours(int fd)
{
	struct file *file = fget(fd);
	bool ours = file && file->f_op == modbpf_class_fops(modbpf_core_program_files);

	if (file)
		fput(file);
	return ours;
}

/* A program of modbpf's for an event of the kernel's. */
static long redirected_perf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct file *ours;
	int fd;
	long ret;

	if (cmd != PERF_EVENT_IOC_SET_BPF || !is_program_of_ours(arg))
		return modbpf_ksym_perf_ioctl(file, cmd, arg);
	fd = iterate_fd(current->files, 0, match_file, file) - 1;
	ret = fd < 0 ? -EBADF : adopt(file, fd);
	if (ret)
		return ret;
	ours = fget(fd);
	if (!ours)
		return -EBADF;
	/* Another thread may have put any file there meanwhile. */
	ret = ours->f_op == modbpf_class_fops(modbpf_core_perf_event_files) ? ours->f_op->unlocked_ioctl(ours, cmd, arg) : -EBADF;
	fput(ours);
	return ret;
}

/* ---- hooks ------------------------------------------------------------------------------------------------ */

struct hook {
	const char *name;
	void *to;
	bool needed; /* the others are for 32-bit programs and for sampling: without them, those are the kernel's own */
	bool there;
	struct ftrace_ops ops;
};

static notrace void on_call(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct hook *h = container_of(ops, struct hook, ops);
	struct pt_regs *regs;

	/* What is called from here is meant for the kernel. */
	if (!is_member(current) || within_module(parent, THIS_MODULE))
		return;
	regs = ftrace_get_regs(fregs);
	if (regs)
		regs->ip = (unsigned long)h->to;
}

#define HOOK(function, target, must)									\
	{ .name = function, .to = target, .needed = must,						\
	  .ops = { .func = on_call,									\
		   .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_RECURSION } }

static struct hook hooks[] = {
	HOOK("__x64_sys_bpf", redirected_bpf, true),
	HOOK("__x64_sys_perf_event_open", redirected_open, true),
	HOOK("__ia32_sys_bpf", redirected_compat_bpf, false),
	HOOK("__ia32_sys_perf_event_open", redirected_compat_open, false),
	HOOK("perf_ioctl", redirected_perf_ioctl, false),
};

static void unhook(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].there)
			unregister_ftrace_function(&hooks[i].ops);
}

static int hook(struct hook *h)
{
	unsigned long entry = modbpf_ksym_function(h->name);
	unsigned long site = entry ? modbpf_ksym_ftrace_site(entry) : 0;
	int ret = site ? ftrace_set_filter_ip(&h->ops, site, 0, 0) : -EOPNOTSUPP;

	if (!ret)
		ret = register_ftrace_function(&h->ops);
	h->there = !ret;
	return ret;
}

static struct tracepoint *forks, *exits;

static int watch(void)
{
	int ret;

	forks = modbpf_kernel_tracepoint("sched_process_fork");
	exits = modbpf_kernel_tracepoint("sched_process_exit");
	if (!forks || !exits)
		return -EOPNOTSUPP;
	ret = tracepoint_probe_register(exits, on_exit, NULL);
	if (ret)
		return ret;
	ret = tracepoint_probe_register(forks, on_fork, NULL);
	if (ret)
		tracepoint_probe_unregister(exits, on_exit, NULL);
	return ret;
}

int modbpf_redirect_init(void)
{
	unsigned int i;
	int ret;

	if (!wanted)
		return 0;
	ret = watch();
	if (ret) {
		pr_err("redirect=1: forks and exits cannot be followed in this kernel; load without it\n");
		return ret;
	}
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		ret = hook(&hooks[i]);
		if (!ret)
			continue;
		pr_info("redirect=1: %s cannot be hooked: error %d\n", hooks[i].name, ret);
		if (hooks[i].needed) {
			modbpf_redirect_exit();
			return ret;
		}
	}
	return 0;
}

void modbpf_redirect_exit(void)
{
	if (!wanted)
		return;
	unhook();
	tracepoint_probe_unregister(forks, on_fork, NULL);
	tracepoint_probe_unregister(exits, on_exit, NULL);
	tracepoint_synchronize_unregister();
}

int modbpf_redirect_this(void)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!wanted) {
		port_log(PORT_LOG_INFO, "system calls are not redirected: load the module with redirect=1");
		return -EOPNOTSUPP;
	}
	return add(current);
}
