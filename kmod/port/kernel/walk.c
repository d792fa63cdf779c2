// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks over tasks, their open files and their mappings, as Linux 6.12's iterators of these names do them: in the order of pids; threads
 * that share the files of their process's first are left out of the walks over files and mappings.
 *
 * `tid` is the place: the pid of the current task, or one behind the last. Between stop and start nothing is held, and what comes then
 * is found anew by numbers and addresses.
 */
#include "port/kernel/internal.h"

#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

struct port_walk {
	enum port_walk_kind kind;
	enum port_walk_of of;
	struct pid_namespace *ns;
	u32 pid;      /* of the thread or process */
	u32 visiting; /* a process's thread that was found last */
	u32 tid;
	/* Held while at an object. */
	struct task_struct *task;
	u32 fd;
	struct file *file;
	struct mm_struct *mm; /* locked for reading */
	struct vm_area_struct *vma;
	/* A mapping that was there before the lock was given back: the next one is behind it. */
	unsigned long seen_start, seen_end;
	bool stopped; /* at a mapping of the task at `tid` */
};

static void drop_task(struct port_walk *w)
{
	put_task_struct(w->task);
	w->task = NULL;
}

static bool shares_files(const struct task_struct *t)
{
	return !thread_group_leader((struct task_struct *)t) && t->files == t->group_leader->files;
}

/* The helpers of task_at: inside RCU; the task that they give is held. */

static struct task_struct *thread_at(struct port_walk *w)
{
	struct pid *pid;

	if (w->tid && w->tid != w->pid)
		return NULL;
	pid = find_pid_ns(w->pid, w->ns);
	if (pid)
		w->tid = w->pid;
	return get_pid_task(pid, PIDTYPE_PID);
}

static struct task_struct *process_thread_at(struct port_walk *w, bool own_files)
{
	struct task_struct *t;
	u32 tid;

	if (!w->tid) {
		t = get_pid_task(find_pid_ns(w->pid, w->ns), PIDTYPE_TGID);
		if (t)
			w->tid = w->visiting = w->pid;
		return t;
	}
	if (w->tid == w->visiting)
		return get_pid_task(find_pid_ns(w->visiting, w->ns), PIDTYPE_PID);
	t = pid_task(find_pid_ns(w->visiting, w->ns), PIDTYPE_PID);
	while (t) {
		t = (struct task_struct *)port_thread_next((u64)t);
		tid = t ? __task_pid_nr_ns(t, PIDTYPE_PID, w->ns) : 0;
		if (!tid || (own_files && shares_files(t)))
			continue;
		w->tid = w->visiting = tid;
		get_task_struct(t);
		break;
	}
	return t;
}

static struct task_struct *any_task_at(struct port_walk *w, bool own_files)
{
	struct task_struct *t;
	struct pid *pid;

	while ((pid = find_ge_pid(w->tid, w->ns)) != NULL) {
		w->tid = pid_nr_ns(pid, w->ns);
		t = get_pid_task(pid, PIDTYPE_PID);
		if (t && !(own_files && shares_files(t)))
			return t;
		if (t)
			put_task_struct(t);
		w->tid++;
	}
	return NULL;
}

static bool task_at(struct port_walk *w, bool own_files)
{
	rcu_read_lock();
	switch (w->of) {
	case PORT_WALK_THREAD:
		w->task = thread_at(w);
		break;
	case PORT_WALK_PROCESS:
		w->task = process_thread_at(w, own_files);
		break;
	default:
		w->task = any_task_at(w, own_files);
	}
	rcu_read_unlock();
	return w->task;
}

static struct file *open_file_from(struct task_struct *task, u32 *fd)
{
	struct file *f;

	rcu_read_lock();
#ifdef MODBPF_HAVE_TASK_FDGET
	f = task_lookup_next_fdget_rcu(task, fd);
#else
	while ((f = task_lookup_next_fd_rcu(task, fd)) != NULL && !get_file_rcu(f))
		++*fd;
#endif
	rcu_read_unlock();
	return f;
}

static bool file_at(struct port_walk *w)
{
	u32 tid = w->tid, fd;

	for (;;) {
		if (!w->task) {
			if (!task_at(w, true))
				return false;
			if (w->tid != tid) /* not the one whose files are half done */
				w->fd = 0;
		}
		fd = w->fd;
		w->file = open_file_from(w->task, &fd);
		if (w->file) {
			w->fd = fd;
			return true;
		}
		drop_task(w);
		if (w->of == PORT_WALK_THREAD)
			return false;
		w->fd = 0;
		tid = ++w->tid;
	}
}

/* With the lock of w->mm: what follows the mapping that was seen, if that is still there. */
static struct vm_area_struct *behind_seen(struct port_walk *w)
{
	struct vm_area_struct *vma = find_vma(w->mm, w->seen_end - 1);

	if (vma && vma->vm_start == w->seen_start && vma->vm_end == w->seen_end)
		vma = find_vma(w->mm, vma->vm_end);
	return vma;
}

static void drop_mm(struct port_walk *w)
{
	mmap_read_unlock(w->mm);
	mmput(w->mm);
	w->mm = NULL;
	w->vma = NULL;
}

static bool take_mm(struct port_walk *w)
{
	w->mm = get_task_mm(w->task);
	if (!w->mm)
		return false;
	if (!mmap_read_lock_killable(w->mm))
		return true;
	mmput(w->mm);
	w->mm = NULL;
	return false;
}

/* From the task at `tid` on, whose first mappings may be done. */
static bool mapping_from_task(struct port_walk *w)
{
	bool half = w->stopped;
	u32 tid = w->tid;

	w->stopped = false;
	while (task_at(w, true)) {
		if (take_mm(w)) {
			w->vma = half && w->tid == tid ? behind_seen(w) : find_vma(w->mm, 0);
			if (w->vma)
				return true;
			drop_mm(w);
		}
		drop_task(w);
		w->tid++;
		half = false;
		if (w->of == PORT_WALK_THREAD || fatal_signal_pending(current))
			return false;
	}
	w->tid++;
	return false;
}

/* Whoever waits for the lock gets it between two mappings. */
static bool mapping_behind(struct port_walk *w)
{
	if (mmap_lock_is_contended(w->mm)) {
		w->seen_start = w->vma->vm_start;
		w->seen_end = w->vma->vm_end;
		mmap_read_unlock(w->mm);
		if (mmap_read_lock_killable(w->mm)) {
			mmput(w->mm);
			w->mm = NULL;
			w->vma = NULL;
			drop_task(w);
			return false;
		}
		w->vma = behind_seen(w);
	} else {
		w->vma = find_vma(w->mm, w->vma->vm_end);
	}
	if (w->vma)
		return true;
	drop_mm(w);
	drop_task(w);
	w->tid++;
	return w->of != PORT_WALK_THREAD && mapping_from_task(w);
}

static bool tell(const struct port_walk *w, bool at, u64 words[PORT_WALK_WORDS])
{
	words[0] = (unsigned long)w->task;
	switch (w->kind) {
	case PORT_WALK_TASKS:
		break;
	case PORT_WALK_FILES:
		words[1] = w->fd;
		words[2] = at ? (unsigned long)w->file : 0;
		break;
	case PORT_WALK_MAPPINGS:
		words[1] = (unsigned long)w->vma;
		break;
	}
	return at;
}

bool port_walk_start(struct port_walk *w, u64 words[PORT_WALK_WORDS])
{
	bool at;

	switch (w->kind) {
	case PORT_WALK_FILES:
		at = file_at(w);
		break;
	case PORT_WALK_MAPPINGS:
		at = mapping_from_task(w);
		break;
	default:
		at = task_at(w, false);
	}
	return tell(w, at, words);
}

bool port_walk_next(struct port_walk *w, u64 words[PORT_WALK_WORDS])
{
	bool at;

	switch (w->kind) {
	case PORT_WALK_FILES:
		w->fd++;
		fput(w->file);
		w->file = NULL;
		at = file_at(w);
		break;
	case PORT_WALK_MAPPINGS:
		at = mapping_behind(w);
		break;
	default:
		drop_task(w);
		w->tid++;
		at = task_at(w, false);
	}
	return tell(w, at, words);
}

void port_walk_stop(struct port_walk *w)
{
	if (w->file)
		fput(w->file);
	w->file = NULL;
	if (w->vma) {
		w->seen_start = ~0UL; /* no mapping starts there: this one comes again */
		w->seen_end = w->vma->vm_end;
		w->stopped = true;
		drop_mm(w);
	}
	if (w->task)
		drop_task(w);
}

int port_walk_create(enum port_walk_kind kind, enum port_walk_of of, u32 pid, struct port_walk **out)
{
	struct port_walk *w = port_alloc(sizeof(*w), PORT_SLEEPING);

	if (!w)
		return -ENOMEM;
	w->kind = kind;
	w->of = of;
	w->pid = pid;
	w->ns = get_pid_ns(task_active_pid_ns(current));
	*out = w;
	return 0;
}

void port_walk_destroy(struct port_walk *w)
{
	if (!w)
		return;
	put_pid_ns(w->ns);
	port_free(w);
}

int port_pidfd_process(int fd, u32 *pid)
{
	struct file *file = fget(fd);
	struct pid *named;

	if (!file)
		return -EBADF;
	named = modbpf_ksym_pidfd_pid(file);
	if (!IS_ERR(named))
		*pid = pid_nr_ns(named, task_active_pid_ns(current));
	fput(file);
	return PTR_ERR_OR_ZERO(named);
}
