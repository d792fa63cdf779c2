/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * internal.h: what the files of the kernel port share. Nothing outside port/kernel includes it.
 *
 * Start-up order is main.c's ladder; every *_init has its *_exit, called in reverse. Functions that a program's run can
 * reach are `notrace`, and the event handlers and locks are closed to kprobes, so that an event on them cannot recurse.
 */
#ifndef MODBPF_PORT_KERNEL_INTERNAL_H
#define MODBPF_PORT_KERNEL_INTERNAL_H

#define pr_fmt(fmt) "modbpf: " fmt

#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "port/kernel/probes.h"
#include "port/port.h"

/* True where sleeping is allowed for certain: false negatives only send work to a worker. */
static inline bool modbpf_may_sleep(void)
{
	return preemptible() && !rcu_preempt_depth();
}

struct bpf_raw_event_map;
struct file;
struct file_operations;
struct mm_struct;
struct mutex;
struct ns_common;
struct module;
struct trace_event_call;
struct page;
struct perf_event;
struct path;
struct pid;
struct pt_regs;
struct rethook;
struct rethook_node;
struct tracepoint;
struct vm_area_struct;

/* work.c: the module's own worker pool, and the count of deferred things, for quiescing. */
extern struct workqueue_struct *modbpf_wq;
int modbpf_work_init(void);
void modbpf_work_exit(void);
void modbpf_count_deferred(void); /* any context: one more callback or work was handed out */
/*
 * Task context, at the end of the module's life: returns when no RCU callback, work or deferred free of the module is
 * pending or running, and those have handed out no new ones.
 */
void modbpf_quiesce(void);

void modbpf_log_exit(void);
void modbpf_memory_exit(void); /* memory.c: what is kept goes */
void modbpf_random_init(void);

bool modbpf_fail_nth(void); /* memory.c: true when this allocation must fail */

/* file.c: a class of files by its index, below PORT_FILE_CLASSES; the index of one whose objects can be pinned: 0, -EINVAL. */
const struct port_file_ops *modbpf_class_at(unsigned int index);
const struct file_operations *modbpf_class_fops(const struct port_file_ops *ops); /* of a registered class */
int modbpf_class_index(const struct port_file_ops *ops, unsigned int *index);

long modbpf_path_text(const struct path *path, char *buf, size_t size); /* path.c: as port_path_text, of a path that is held */
int modbpf_check_lockdown(void); /* main.c: programs read kernel memory, so a kernel locked down to confidentiality refuses all of modbpf */

int modbpf_redirect_init(void); /* redirect.c: hooks, if the module was loaded with redirect=1 */
void modbpf_redirect_exit(void); /* no process is redirected any more */
int modbpf_redirect_this(void); /* the calling process, and what it forks from now on */

int modbpf_pin_init(void); /* pin.c: the file system */
void modbpf_pin_exit(void);

/* region.c: the pages to map, in order, without the mirrored ones. Borrowed. */
/* arena.c: where all its user mappings are known; where offset 0 of those is; a page that is there. */
struct address_space *modbpf_arena_mapping(struct port_arena *a);
void modbpf_arena_mapped_at(struct port_arena *a, unsigned long start);
struct page *modbpf_arena_page(struct port_arena *a, u32 page);
struct page **modbpf_region_pages(struct port_region *r, size_t *count);

/*
 * ksym.c. Unexported functions are called through static calls, which are direct calls: on a CPU with IBT, an indirect
 * call to a function whose address the kernel itself never takes would fault, because its endbr64 was sealed.
 * Each is valid only when the matching modbpf_has_* says so.
 */
void modbpf_ksym_init(void); /* behind modbpf_work_init */
bool modbpf_has_text(void);
void *modbpf_ksym_text_alloc(size_t size);
void modbpf_ksym_text_free(void *p);
int modbpf_ksym_set_memory_ro(void *p, int pages);
int modbpf_ksym_set_memory_rw(void *p, int pages);
int modbpf_ksym_set_memory_x(void *p, int pages);
int modbpf_ksym_set_memory_nx(void *p, int pages);
/* Negative errno -ENOSYS where the kernel's function was not found. */
long modbpf_ksym_strncpy_from_kernel(char *dst, const void *src, long size);
long modbpf_ksym_strncpy_from_user(char *dst, const void __user *src, long size);
bool modbpf_ksym_ns_match(const struct ns_common *ns, u64 dev, u64 ino); /* false, too, when that cannot be told */
struct pid *modbpf_ksym_pidfd_pid(const struct file *file); /* -EBADF, -EOPNOTSUPP where that cannot be told */
/* The task's stack, kept by a reference: 0, -EFAULT (it has none any more), -EOPNOTSUPP (a reference could not be given back). */
int modbpf_ksym_task_stack_get(struct task_struct *task);
void modbpf_ksym_task_stack_put(struct task_struct *task);
/* Drops a reference of rcu_users, in any context where nothing is locked, where it was found. */
bool modbpf_ksym_has_task_put(void);
bool modbpf_ksym_has_cgroup1(void);
struct cgroup *modbpf_ksym_cgroup1(struct task_struct *task, int hierarchy); /* held, or an error; interrupts on */
void modbpf_ksym_task_put(struct task_struct *task);
/* Statistics of control groups, where both were found: interrupts on; and in task context. */
bool modbpf_ksym_has_cgroup_stats(void);
void modbpf_ksym_cgroup_updated(struct cgroup *cgroup, int cpu);
void modbpf_ksym_cgroup_flush(struct cgroup *cgroup);
struct file *modbpf_ksym_mm_exe_file(struct mm_struct *mm); /* held; NULL also where that was not found */
long modbpf_ksym_copy_to_kernel(void *dst, const void *src, size_t n); /* 0 or -errno; no fault does harm */
/* Gives back an address space from any context, where it was found. */
bool modbpf_ksym_has_mmput(void);
void modbpf_ksym_mmput(struct mm_struct *mm);
int modbpf_ksym_build_id(struct vm_area_struct *vma, u8 *id); /* without faults: 0 and 20 bytes, or -errno */
/* perf_event_read_local(): -EOPNOTSUPP where it was not found. The limit of sampling frequencies. */
int modbpf_ksym_perf_read(struct perf_event *e, u64 *value, u64 *enabled, u64 *running);
u32 modbpf_ksym_perf_rate(void);
/* What the kernel's own tracepoints say to raw programs: their count (0 when unknown) and the first. */
unsigned int modbpf_ksym_raw_tps(const struct bpf_raw_event_map **first);
const int *modbpf_ksym_jit_harden(void); /* net.core.bpf_jit_harden; NULL when unknown */
struct list_head *modbpf_ksym_trace_events(struct mutex **lock); /* NULL when unknown */
struct list_head *modbpf_ksym_modules(struct mutex **lock); /* of struct module; NULL when unknown */
struct mutex *modbpf_ksym_cgroup_mutex(void); /* NULL when unknown */
struct cgroup *modbpf_ksym_cgroup_from_fd(int fd);
struct css_task_iter;
struct cgroup_subsys_state;
bool modbpf_ksym_has_css_tasks(void);
void modbpf_ksym_css_tasks_start(struct cgroup_subsys_state *css, unsigned int flags, struct css_task_iter *it);
struct task_struct *modbpf_ksym_css_tasks_next(struct css_task_iter *it);
void modbpf_ksym_css_tasks_end(struct css_task_iter *it);
/* The kernel's own address space, where all that changes its mappings was found, which the two behind it need; else NULL. */
struct vm_struct;
struct mm_struct *modbpf_ksym_kernel_mm(void);
struct vm_struct *modbpf_ksym_get_vm_area(unsigned long size, unsigned long flags);
void modbpf_ksym_flush_tlb(unsigned long start, unsigned long end);
const struct seq_operations *modbpf_ksym_symbol_ops(void); /* of /proc/kallsyms; NULL when unknown */
struct kobject *modbpf_ksym_btf_dir(void); /* /sys/kernel/btf; NULL: there is none */
/* How many kernel functions carry this name; -ENOSYS when that cannot be told. */
int modbpf_ksym_count(const char *name);
/* Address of a function of the kernel itself, not of a module; 0: none. */
unsigned long modbpf_ksym_function(const char *name);
/* Where the function at `entry` calls the function tracer; 0: nowhere, or that cannot be told. */
unsigned long modbpf_ksym_ftrace_site(unsigned long entry);
/* The function around addr is closed to the function tracer: the kernel made it notrace. False when that cannot be told. */
bool modbpf_ksym_notrace(unsigned long addr);
struct modbpf_range {
	unsigned long start, size;
};
/* Where a function of that name lies; empty where that cannot be known. */
struct modbpf_range modbpf_ksym_range(const char *name);
struct modbpf_range modbpf_ksym_range_at(unsigned long start); /* of the function that begins there */

/* The first function of this name that the function tracer can be put in; 0: none. */
unsigned long modbpf_ksym_traceable(const char *name);
/* The module that has the address, with a reference; NULL: the kernel itself; -EINVAL: it is going; -EOPNOTSUPP: that cannot be told. */
struct module *modbpf_ksym_module_at(unsigned long addr);
/* Return hooks of the kernel's, with their own headers' prototypes. */
bool modbpf_ksym_has_rethook(void);
#ifdef MODBPF_HAVE_RETHOOK_POOL
struct rethook *modbpf_ksym_rethook_alloc(void *data, void (*handler)(struct rethook_node *, void *, unsigned long, struct pt_regs *),
					  int size, int count); /* or an error */
#else
struct rethook *modbpf_ksym_rethook_alloc(void *data, void (*handler)(struct rethook_node *, void *, struct pt_regs *)); /* or NULL */
void modbpf_ksym_rethook_add_node(struct rethook *rh, struct rethook_node *node);
#endif
void modbpf_ksym_rethook_free(struct rethook *rh);
struct rethook_node *modbpf_ksym_rethook_try_get(struct rethook *rh);
void modbpf_ksym_rethook_recycle(struct rethook_node *node);
void modbpf_ksym_rethook_hook(struct rethook_node *node, struct pt_regs *regs);

/* System calls and operations of the kernel's own, for what modbpf does not answer; -ENOSYS where it was not found. */
enum modbpf_call { MODBPF_PERF_EVENT_OPEN, MODBPF_COMPAT_PERF_EVENT_OPEN };
long modbpf_ksym_call(enum modbpf_call call, const struct pt_regs *regs);
long modbpf_ksym_perf_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
bool modbpf_ksym_is_perf_file(const struct file_operations *fops); /* of an event of the kernel's */
int modbpf_ksym_replace_fd(unsigned int fd, struct file *file, unsigned int flags);

/* event.c: the head of each kind's own structure. */
struct port_event {
	void (*detach)(struct port_event *e);
	u64 (*missed)(struct port_event *e); /* NULL: nothing is ever missed */
};
/* A kind's structure of `size` bytes, zeroed, whose first member is the head; kfree() frees it. NULL: no memory. */
void *modbpf_event_alloc(size_t size, void (*detach)(struct port_event *e));

/* Per-CPU variables of modules are not relocated: the pointers in them are set when the module comes. */
void modbpf_signals_init(void); /* task_access.c */
void modbpf_signals_flush(void);
void modbpf_objects_init(void); /* objects.c */
void modbpf_objects_flush(void);
void modbpf_stack_init(void); /* stack.c */
extern struct pt_regs modbpf_at_system_call[2]; /* for port_stack_save: where a system call's entry or exit called our probe */
void modbpf_vma_init(void); /* vma.c */
void modbpf_vma_flush(void);
int modbpf_tracepoint_init(void); /* CPU hotplug for per-CPU counters */
void modbpf_tracepoint_exit(void);
int modbpf_modules_init(void); /* follows the modules */
void modbpf_modules_exit(void);
unsigned long modbpf_module_function(struct port_module *m, const char *name); /* of one that is held; 0: it has none */
int modbpf_raw_tp_init(void); /* follows the tracepoints of other modules */
void modbpf_raw_tp_exit(void);
struct tracepoint *modbpf_kernel_tracepoint(const char *name); /* not of a module; NULL: none */

/* tracepoint.c: zeros, as long as the longest record: for who is shown a record that was never made, though nobody was to look at it. */
extern u8 modbpf_no_record[];
/*
 * tracepoint_record.c: an event of one of the kernel's own tracepoints (it never goes), whose record the kernel makes; its fields take
 * `size` bytes. Where it can.
 */
bool modbpf_record_can(const struct trace_event_call *call);
int modbpf_record_attach(const struct trace_event_call *call, u32 size, port_tracepoint_fn fn, void *priv, struct port_kernel_counts *counts,
			 struct port_event **out);
int modbpf_trace_line_event(void); /* trace.c: the id of the event that carries trace_printk's lines */
/* syscall_tp.c: which system call's entry or exit an event of the kernel's is. False: none. */
struct syscall_place {
	int nr, args; /* its number; how many arguments it has */
	bool exit;
};
unsigned long modbpf_syscall_probe(bool exit); /* the function at all entries or exits, which calls the programs */
bool modbpf_syscall_tp(const struct trace_event_call *call, struct syscall_place *place);
int modbpf_syscall_tp_attach(const struct syscall_place *place, enum port_record_use use, port_tracepoint_fn fn, void *priv,
			     struct port_event **out);

#endif
