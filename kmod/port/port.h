/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * port.h: everything that modbpf needs from the machine it runs on, as a plain C interface.
 *
 * Implemented twice: port/kernel (C, the only files that include <linux/...>) and port/user (C++ on POSIX: tests,
 * fuzzers, benchmarks, `modbpf verify`, the process back end). No kernel type appears here; no core type is
 * known there. The core's entry points that the port calls are in cmd/core.h.
 *
 * Conventions
 *  - int results are 0 or a negative errno unless said otherwise.
 *  - Contexts: "task" = may sleep; "atomic" = may not sleep, not NMI; "any" = also NMI, also inside a probe that
 *    sits on a lock or allocator function. Each group says what it allows.
 *  - A pointer returned by port_*_create/alloc is owned by the caller until the matching destroy/free.
 */
#ifndef MODBPF_PORT_H
#define MODBPF_PORT_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#elif !defined(__KERNEL__) /* the kernel port has included <linux/types.h> */
#include <stdbool.h>
#include <stddef.h>
#endif

/* ---- log and self-checks: any context -------------------------------------------------------------- */

enum port_log_level { PORT_LOG_ERR, PORT_LOG_WARN, PORT_LOG_INFO, PORT_LOG_DEBUG };
void port_log(enum port_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* modbpf itself is wrong: log once per call site with the text; never crash. The caller then refuses the request. */
void port_bug(const char *file, int line, const char *what) __attribute__((cold));
/* C99 vsnprintf, and in the kernel its %p extensions. Returns the length that the whole text would have. */
int port_vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list args) __attribute__((format(printf, 3, 0)));
int port_snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- memory ------------------------------------------------------------------------------------------ */

/* PORT_SLEEPING: task context only. PORT_ATOMIC: atomic context, never NMI, never inside a program's run. */
enum port_alloc_ctx { PORT_SLEEPING, PORT_ATOMIC };

/* Zeroed memory, or NULL; charged to the caller's memory cgroup where there is one. Large sizes may be vmalloc'ed
 * (PORT_SLEEPING only). Every call counts down the fail-Nth injector. A size of 0 or above PORT_ALLOC_MAX is NULL. */
#define PORT_ALLOC_MAX (1ULL << 31) /* the kernel's own kvmalloc limit (INT_MAX) */
#define PORT_PERCPU_MAX (32u << 10) /* the kernel's per-CPU allocator warns of more */
void *port_alloc(size_t size, enum port_alloc_ctx ctx);
void port_free(void *p); /* task or atomic context; NULL is allowed */
/* For what goes within one call into the core: as port_alloc with PORT_SLEEPING, but what is in the memory is unknown, and it is given back with its
 * size. Small blocks are kept for whoever comes next. */
void *port_scratch_alloc(size_t size);
void port_scratch_free(void *p, size_t size);
/* Who pays for memory beside the caller: a memory cgroup. get: the caller's own, held, or NULL where there are none; put: NULL is allowed; both
 * in task context. set: what this task or interrupt allocates from here on is p's, NULL: its own; -> what was set before. */
struct port_payer;
struct port_payer *port_payer_get(void);
void port_payer_put(struct port_payer *p);
struct port_payer *port_payer_set(struct port_payer *p);
u64 port_memory_bytes(void); /* task: that can be had now; what needs more is refused before the first piece is taken */

/* One copy per possible CPU, zeroed, `align` a power of two <= 4096. Indexed by 0 <= cpu < port_cpu_count(). Every CPU has one distance, from the
 * address that this returns to its copy, for all that is allocated (port_jit_env per_cpu.offset). */
void *port_percpu_alloc(size_t size, size_t align, enum port_alloc_ctx ctx);
void port_percpu_free(void *p);                    /* task or atomic */
void *port_percpu_ptr(void *p, unsigned int cpu);  /* any */
void *port_this_cpu_ptr(void *p);                  /* any, with preemption off */

/* Fail injection, for tests: the n-th allocation from now fails, counting from 1, and then the injector is off;
 * 0 switches it off. Returns how many allocations were counted since it was last set. Kernel build: debug builds only. */
u64 port_fail_nth_set(u64 n);

/* Page-granular memory that may be mapped into user space, zeroed. If mirror_size is not 0, the last mirror_size bytes of
 * the region (a multiple of the page size) appear once more right behind it, so that a ring record that wraps is
 * contiguous. Task context. */
struct port_region;
struct port_region *port_region_create(size_t size, size_t mirror_size);
void port_region_destroy(struct port_region *r); /* task or atomic; user mappings keep their pages alive */
void *port_region_addr(struct port_region *r);
size_t port_region_size(struct port_region *r);
#define PORT_PAGE_SIZE 4096u /* x86-64 only */

/*
 * Arenas: 4 GiB of the kernel's addresses, and guards of PORT_ARENA_GUARD bytes around them, of which only those have memory that pages were
 * added for. User space maps the same pages at addresses with the same low 32 bits, which name a page: it is bits 12 to 31 of its address.
 * What changes pages and mappings runs in task context under one lock of the owner's. Programs come by port_arena_access() whenever they
 * like, also where no page is.
 */
#define PORT_ARENA_PAGES (1u << 20)
#define PORT_ARENA_GUARD (32u << 10)
struct port_arena;
/* strict: user space finds only pages that were added; else one is added where it looks (port_file_ops::fault; user: without it). -ENOMEM,
 * -EOPNOTSUPP: the kernel lacks what it needs. */
int port_arena_create(bool strict, struct port_arena **out);
void port_arena_destroy(struct port_arena *a); /* task: nobody has it mapped; NULL is allowed */
u64 port_arena_base(const struct port_arena *a); /* where page 0 is, or would be */
const u64 *port_arena_pages(struct port_arena *a); /* a bit for each: it is there */
/* Adds zeroed pages where none are. node: -1 or a NUMA node. -EINVAL: there is no such node; -ENOMEM, and nothing is added. */
int port_arena_add(struct port_arena *a, u32 page, u32 count, int node);
/* Takes those that are there from programs and from all who have them mapped, and frees them. */
void port_arena_remove(struct port_arena *a, u32 page, u32 count);

/* Accesses of 1, 2, 4, 8 bytes; the atomic ones of 4 and 8. Where a byte has no page, loads give 0 and nothing else is done. */
enum port_arena_op { PORT_ARENA_LOAD, PORT_ARENA_STORE, PORT_ARENA_ADD, PORT_ARENA_AND, PORT_ARENA_OR, PORT_ARENA_XOR,
	PORT_ARENA_XADD, PORT_ARENA_XCHG, PORT_ARENA_CMPXCHG, PORT_ARENA_OPS };
/* Any context. addr: within an arena or its guards. old: what CMPXCHG compares with, and then what was there. -> what LOAD, XADD and XCHG
 * give, zero-extended; where there is no page the atomic ones leave value and *old, cut to their width. */
u64 port_arena_access(enum port_arena_op op, u32 width, u64 addr, u64 value, u64 *old);
/* The same as native code to be called: address in r9, value and result in r10, *old in rax. Nothing else but the flags changes. 0: there
 * is no such access. */
u64 port_arena_code(enum port_arena_op op, u32 width);

/* ---- executable text: task context ----------------------------------------------------------------- */

/* Writable, not executable, filled with int3; within rel32 reach of kernel and module text in the kernel build. */
void *port_text_alloc(size_t size);
/* From here on the text is read-only and executable; it is never both writable and executable. */
int port_text_seal(void *text, size_t size);
void port_text_free(void *text, size_t size); /* sealed or not; the caller has waited for every possible runner */

/* What the running kernel demands of generated code; taken once per image. Addresses are 0 where not needed. */
struct port_jit_env {
	bool endbr;              /* emit endbr64 at indirect-call targets */
	bool rel32;              /* helper addresses are within rel32 reach of port_text_alloc memory */
	u64 return_thunk;        /* jmp here instead of ret */
	u64 indirect_thunk[16];  /* jmp/call via this thunk instead of `jmp/call *reg`, indexed by x86 register number */
	bool sls;                /* int3 behind ret and indirect jmp */
	bool bmi2;               /* every CPU has shlx, shrx and sarx */
	/* Where this CPU's own data is, as displacements from a segment register: its number (u32), the current task (a pointer) and the
	 * distance of its per-CPU memory, and where a task has its ids (u32 each; a task's id first, then its group's). The number is right where preemption or migration is off
	 * (user: preemption). Unless `known`, nothing of it is. */
	struct {
		bool known;
		u8 segment; /* the prefix byte of its loads */
		int cpu, current_task;
		int offset; /* u64: what makes of port_percpu_alloc's address this CPU's copy, when added */
		int pid, tgid;
	} per_cpu;
};
void port_jit_env(struct port_jit_env *out);
/* Which passes of the JIT are on, as whoever started this asked (jit_passes=, MODBPF_JIT_PASSES), or null: all. */
const char *port_jit_passes(void);
/* Whose constants generated code must not show: 0: nobody's, 1: those of callers without CAP_BPF, 2: everybody's. The kernel's
 * net.core.bpf_jit_harden and jit_harden=, whichever is more; in a process MODBPF_JIT_HARDEN. Task context. */
int port_jit_harden(void);

/* ---- locks ------------------------------------------------------------------------------------------ */

/* Opaque; zero-initialised storage must be passed to *_init once. */
#ifndef PORT_SPINLOCK_WORDS
#define PORT_SPINLOCK_WORDS 1 /* a debug kernel's build overrides it */
#endif
#ifndef PORT_MUTEX_WORDS
#define PORT_MUTEX_WORDS 8
#endif
struct port_spinlock { unsigned long opaque[PORT_SPINLOCK_WORDS]; };
struct port_mutex { unsigned long opaque[PORT_MUTEX_WORDS]; };

void port_spin_init(struct port_spinlock *l, const char *name);
/* Raw spinlock with interrupts off: task and atomic; not NMI. Returns the flags to give back. */
unsigned long port_spin_lock(struct port_spinlock *l);
void port_spin_unlock(struct port_spinlock *l, unsigned long flags);
/* Any context: true when taken. The only form allowed on a program's path. */
bool port_spin_trylock(struct port_spinlock *l, unsigned long *flags);

void port_mutex_init(struct port_mutex *m, const char *name);
void port_mutex_lock(struct port_mutex *m); /* task */
void port_mutex_unlock(struct port_mutex *m);
void port_mutex_destroy(struct port_mutex *m);

unsigned long port_irq_save(void); /* any: interrupts off on this CPU (user: a per-thread nesting count) */
void port_irq_restore(unsigned long flags);
/* The same, and which CPU that is: one call for what runs with each change of a map. */
struct port_irq_section {
    unsigned long flags; /* for port_irq_restore */
    unsigned long cpu;
};
struct port_irq_section port_irq_enter(void);
void port_preempt_disable(void); /* any */
void port_preempt_enable(void);
bool port_in_nmi(void);
bool port_in_hardirq(void); /* or in an NMI */
void port_migrate_disable(void); /* task: stays on this CPU, though it may be preempted and sleep (user: nothing) */
void port_migrate_enable(void);

/* ---- RCU ---------------------------------------------------------------------------------------------- */

struct port_rcu_head { void *opaque[2]; };
void port_rcu_read_lock(void); /* any; nests */
void port_rcu_read_unlock(void);
/* Calls fn(head) in atomic context after a grace period. Any context but NMI. */
void port_rcu_call(struct port_rcu_head *head, void (*fn)(struct port_rcu_head *head));
void port_rcu_synchronize(void); /* task: waits for all readers */
void port_rcu_barrier(void);     /* task: waits until every callback given to port_rcu_call has run */

/* ---- deferred work ------------------------------------------------------------------------------------ */

/* Queue from any context, runs once in task context soon after. False when it was already queued. */
struct port_work { unsigned long opaque[16]; };
void port_work_init(struct port_work *w, void (*fn)(struct port_work *w));
bool port_work_queue(struct port_work *w);
void port_work_flush(struct port_work *w); /* task: after it returns the work is neither queued nor running */

/* Queue from any context, runs once in hard interrupt context at once or as soon as interrupts are on (user: in the call itself, and not
 * at all from an NMI). False when it was already queued. */
struct port_irq { unsigned long opaque[8]; };
void port_irq_init(struct port_irq *i, void (*fn)(struct port_irq *i));
bool port_irq_queue(struct port_irq *i);
void port_irq_flush(struct port_irq *i); /* task: after it returns it is neither queued nor running */

/* ---- timers -------------------------------------------------------------------------------------------- */

/* Calls fn(t) once in atomic context (softirq), with preemption off, when its time has come. One fn of a timer runs at a time. */
struct port_timer { unsigned long opaque[28]; };
void port_timer_init(struct port_timer *t, int clock, void (*fn)(struct port_timer *t)); /* any; clock: CLOCK_REALTIME... */
/* Arms, whatever it was before: ns from now, or at that time of its clock; pinned: on this CPU. Any context but NMI. */
void port_timer_start(struct port_timer *t, u64 ns, bool absolute, bool pinned);
/* Disarms: 1 when it was armed, else 0; a running fn has then ended where the context allows to wait (interrupts on, none being
 * served). Not from its own fn. Any context but NMI. */
int port_timer_cancel(struct port_timer *t);
void port_timer_stop(struct port_timer *t); /* task: neither armed nor running, when nobody arms it any more */

/* ---- CPUs, time, randomness: any context -------------------------------------------------------------- */

unsigned int port_cpu_count(void); /* number of possible CPUs; ids are 0..count-1 */
bool port_cpu_online(unsigned int cpu);
unsigned int port_cpu_id(void);
/* Task context, preemption on: runs fn(arg) on that CPU with preemption off (kernel: interrupts off) and waits for its end.
 * -ENXIO when the CPU does not exist or is offline. */
int port_call_on_cpu(unsigned int cpu, void (*fn)(void *arg), void *arg);
int port_numa_node(void);
u64 port_ktime_ns(void);        /* CLOCK_MONOTONIC, NMI-safe */
u64 port_ktime_boot_ns(void);   /* CLOCK_BOOTTIME, NMI-safe */
u64 port_ktime_coarse_ns(void); /* CLOCK_MONOTONIC_COARSE */
u64 port_ktime_tai_ns(void);
u64 port_realtime_ns(void);
u64 port_jiffies(void);
/* Where that counter is, for code that loads it: 8 bytes, read-only. Null: it has no address. */
const u64 *port_jiffies_word(void);
u64 port_random_u32(void);      /* 32 bits; NMI-safe, not for keys */
u64 port_random_seed(void);     /* task: cryptographic quality, for hash seeds */
void port_cond_resched(void);   /* task */
bool port_signal_pending(void); /* task */
bool port_need_resched(void);   /* any: something else waits for this CPU */
/* Any context: bytes left on the current task's stack; 0 when the code runs on another one (interrupt, NMI), whose bounds are not
 * known here. */
size_t port_stack_left(void);

/* One pointer per CPU (user: per thread): the innermost running program's run context. Preemption off. */
void **port_run_slot(void);

/* What runs at events. */
struct port_program {
	u64 (*const *entry)(const void *ctx); /* where its sealed text begins: that may change from run to run */
	u32 *active;                          /* per CPU: it, or another that may not run within it, runs there */
	u64 *misses;                          /* per CPU: runs that were left out for that */
};
/* Kernel only: all of a run in one function, since calls are what a short run costs. Preemption off, inside RCU; `run`, whose first word is the
 * run that it interrupts, is in the run slot meanwhile. Any context. -> r0, or 0 when left out. */
u64 port_run(const struct port_program *p, const void *ctx, void **run);
/* Any context: adds to this CPU's copy in one instruction. */
void port_percpu_add(u64 *p, u64 n);

/* ---- current task ------------------------------------------------------------------------------------- */

u64 port_current(void); /* address of the task descriptor, as a number; any context */
u64 port_current_pid_tgid(void); /* tgid << 32 | pid, initial namespace; any */
u64 port_current_uid_gid(void);  /* gid << 32 | uid, initial namespace; any */
void port_current_comm(char *buf, size_t size); /* always NUL-terminated, the rest zeroed; any */

/* Id of the current task's control group in the unified hierarchy; of its ancestor at `level` (0: the root), or 0. Any. */
u64 port_current_cgroup_id(void);
u64 port_current_ancestor_cgroup_id(int level);
/* A control group of the unified hierarchy, by the fd of its folder, with a reference: task. -EBADF. What the last put frees lives on
 * for a grace period: task or atomic. */
struct port_cgroup;
int port_cgroup_open(int fd, struct port_cgroup **out);
void port_cgroup_close(struct port_cgroup *c);
bool port_current_under_cgroup(const struct port_cgroup *c); /* is the current task in the group or below it? any, inside RCU */
/*
 * Objects of the kernel's that a program can keep values with. From port_owner_watch() on, in atomic context and one watch a kind:
 * gone(owner) is called when one ends, behind port_owner_alive()'s first no and before its memory serves another; of inodes and sockets
 * also when it begins, so that nothing is found that was kept for memory that was no owner. copied(from, to): `to` is a new socket, made
 * from the other, which nobody else knows yet; port_owner_alive() may say no of it, and its end is told.
 */
enum port_owner_kind { PORT_OWNER_TASK, PORT_OWNER_CGROUP, PORT_OWNER_INODE, PORT_OWNER_SOCKET, PORT_OWNER_KINDS };
struct port_owner_events {
	void (*gone)(u64 owner);
	void (*copied)(u64 from, u64 to); /* sockets */
};
int port_owner_watch(enum port_owner_kind kind, const struct port_owner_events *events); /* task: -EOPNOTSUPP where the kernel cannot tell */
void port_owner_unwatch(enum port_owner_kind kind); /* task; afterwards gone() neither runs nor will */
bool port_owner_alive(enum port_owner_kind kind, u64 owner); /* any, inside RCU; the owner's memory is there */
/* The owner that an fd (pidfd, folder of a control group, file, socket) names, held until put: task. -EBADF, -ENOTSOCK; -ENOENT: it has ended. */
int port_owner_get(enum port_owner_kind kind, int fd, u64 *owner);
void port_owner_put(enum port_owner_kind kind, u64 owner);
bool port_socket_full(u64 sock); /* a socket, none of the small ones of a handshake or of TIME_WAIT? any; its memory is there */
/* Sends a signal of the kernel's to the current task: to its thread group, or to the thread itself. -EPERM: a kernel thread, one that
 * exits, or the first process; -EINVAL: no such signal (it may be found later, then nothing is sent); -EBUSY. Any context. */
int port_send_signal(u32 sig, bool thread);
/* Writes to the current task's memory without faulting anything in. 0, -EPERM (not in the task's context, or locked down), -EFAULT. */
int port_probe_write_user(u64 dst, const void *src, size_t n);
/* Reads another task's memory, faulting it in: bytes read, or -errno. task: a task descriptor that is held. Task context. */
long port_read_task_memory(u64 task, void *dst, u64 src, size_t n);
/* The text of a struct path at that address, as d_path() gives it: bytes with the NUL. -ENAMETOOLONG, -EFAULT, -ERANGE: no address of the kernel's. Task context. */
long port_path_text(u64 path, char *buf, size_t size);
/*
 * Files. The file that the task runs, held, or 0 (also while somebody changes what the task has); task or atomic context. An extended
 * attribute of a directory's entry (struct dentry, held) into `value`: its length, or -errno; a file's (struct file, held) entry. Task context.
 */
u64 port_task_exe_file(u64 task);
void port_exe_file_put(u64 file);
long port_dentry_xattr(u64 dentry, const char *name, void *value, size_t size);
u64 port_file_dentry(u64 file);
/*
 * Keys: what programs hold of one is a struct bpf_key of the kernel's layout. By serial number, as the caller finds it (0: none such, or
 * flags are unknown; task context); a keyring of the system's (0: no such one; any context). Verifies a signature (PKCS#7) of data: 0 or
 * -errno; task context.
 */
u64 port_key_user(u32 serial, u64 flags);
u64 port_key_system(u64 id);
void port_key_put(u64 key);
int port_key_verify(u64 key, const void *data, size_t size, const void *signature, size_t signature_size);
/* The task's saved user registers (struct pt_regs). Any. */
u64 port_task_regs(u64 task);
/* pid and tgid of the current task in the pid namespace that is this file (device and inode) if it is the task's own: 0, or -EINVAL
 * where it is not or cannot be known. Any. */
int port_ns_pid_tgid(u64 dev, u64 ino, u32 *pid, u32 *tgid);

/*
 * References to tasks and control groups (addresses of their descriptors). Any context. What is given must be valid: held, or found inside
 * this RCU section. Results are 0 where there is none, or it is on its way out. In a process there are none at all.
 */
u64 port_task_get(u64 task);
void port_task_put(u64 task);
u64 port_task_from_pid(s32 pid); /* of the initial pid namespace; held */
u64 port_cgroup_get(u64 cgroup);
void port_cgroup_put(u64 cgroup);
u64 port_cgroup_ancestor(u64 cgroup, int level); /* held */
u64 port_cgroup_from_id(u64 id); /* in the unified hierarchy; held */
bool port_task_under_cgroup(u64 task, u64 cgroup);
/* A group's statistics have something new of this CPU (nothing happens where interrupts are off); bring them up to date, and those below
 * (task context). The group need not be held: what is none in the unified hierarchy is left alone. */
void port_cgroup_updated(u64 cgroup, int cpu);
void port_cgroup_flush(u64 cgroup);
/* The task's group in the hierarchy of version 1 with this number; held; 0: none. With interrupts off and in an NMI hierarchies without a
 * controller are not looked at. 0 on kernels before 6.7, which free what is looked at too early. */
u64 port_task_cgroup1(u64 task, int hierarchy);
/* Steps of iterators, inside RCU: from one that is held, or was given by the last step. 0: behind the last. */
u64 port_process_first(void); /* the idle task; the others follow in the order of their birth */
u64 port_process_next(u64 task);
u64 port_thread_next(u64 task); /* of the same process */
/* Parts of control groups (struct cgroup_subsys_state): below `from` and itself, each before or behind what is below it; or upwards. at: 0 to
 * begin. */
enum port_css_order { PORT_CSS_PRE, PORT_CSS_POST, PORT_CSS_UP };
u64 port_css_next(u64 from, u64 at, enum port_css_order order);
/*
 * A walk over the tasks of a control group, in as many bytes as size says; 0: the kernel's own was not found. flags: 1: thread groups
 * alone; 2: and those of threaded groups below. start: -EBUSY: interrupts are off. next: a task, held until the next step; 0: the end.
 */
size_t port_css_tasks_size(void);
int port_css_tasks_start(void *walk, u64 css, u32 flags);
u64 port_css_tasks_next(void *walk);
void port_css_tasks_end(void *walk);
/* The same over the mappings (struct vm_area_struct) of a held task, from that of an address on; the lock of its address space is held from
 * start to end. start: -ENOENT: it has none; -EBUSY: a lock is taken; -EOPNOTSUPP: another task's cannot be held. */
size_t port_task_vmas_size(void);
int port_task_vmas_start(void *walk, u64 task, u64 addr);
u64 port_task_vmas_next(void *walk);
void port_task_vmas_end(void *walk);
size_t port_cpumask_size(void); /* bytes of the kernel's struct cpumask */

enum port_cap { PORT_CAP_BPF, PORT_CAP_PERFMON, PORT_CAP_NET_ADMIN, PORT_CAP_SYS_ADMIN, PORT_CAP_SYS_BOOT };
int port_perf_paranoid(void); /* task: kernel.perf_event_paranoid; above 2, as Debian's kernels have it, nothing without CAP_PERFMON */
bool port_unprivileged_bpf(void); /* task: may callers without CAP_BPF create maps and programs? kernel.unprivileged_bpf_disabled is 0 */
/* Task: what the machine's security modules say to a bpf() command whose attr, of which the caller gave `size` bytes, is in kernel memory:
 * 0 or -errno. */
int port_security_bpf(u32 cmd, void *attr, u32 size);
bool port_capable(enum port_cap cap); /* task: in the initial user namespace; BPF, PERFMON, NET_ADMIN also by SYS_ADMIN */

/* ---- user memory ---------------------------------------------------------------------------------------- */

/* Task context; addresses are user addresses as numbers. 0 or -EFAULT. */
int port_copy_from_user(void *dst, u64 src, size_t n);
int port_copy_to_user(u64 dst, const void *src, size_t n);
/* NUL-terminated, at most size-1 characters kept and terminated; length copied, -EFAULT. */
long port_strncpy_from_user(char *dst, u64 src, size_t size);
/* While such a section is open in a task, the copies above take kernel addresses, too, of that task's calls: what a program hands a
 * command is the kernel's memory. They fault as safely. What is written is only the `size` bytes at `attr`, the program's own. Task context. */
struct port_kernel_pointers { void *opaque[5]; };
void port_kernel_pointers_begin(struct port_kernel_pointers *p, u64 attr, size_t size);
void port_kernel_pointers_end(struct port_kernel_pointers *p);
/* Any context, never fault in. 0, -EFAULT, or -ERANGE for a kernel read of an address that is none of the kernel's; dst is
 * zeroed by the caller on failure. */
long port_probe_read_kernel(void *dst, u64 src, size_t n);
long port_probe_read_user(void *dst, u64 src, size_t n);
/* Length with the NUL, or negative errno; dst always terminated if size > 0. */
long port_probe_read_kernel_str(char *dst, u64 src, size_t size);
long port_probe_read_user_str(char *dst, u64 src, size_t size);

/* ---- files ------------------------------------------------------------------------------------------------ */

struct port_vma;  /* one mmap() request */
struct port_fault; /* user space has touched a mapping where it sees nothing */
struct port_poll; /* one poll() request */
struct port_seq;  /* a text being produced (fdinfo) */
struct port_waitq;

/* A class of file descriptors: anonymous inodes named `name` ("anon_inode:NAME" in readlink). obj is the core's. */
struct port_file_ops {
	const char *name;
	void (*release)(void *obj);                              /* task: last close; drops the file's reference */
	void (*hold)(void *obj);                                 /* task: one more reference for release(); NULL: cannot be pinned */
	/* Task: its name was opened as a file; what that file is instead, with a reference of its own: 0 or -errno. NULL: EIO. */
	int (*open)(void *obj, const struct port_file_ops **as, void **opened);
	int (*mmap)(void *obj, struct port_vma *vma);            /* NULL: ENODEV */
	/* NULL allowed: one more / one fewer mapping. As in Linux, vma_open is not called for the mapping that mmap() itself
	 * makes, and vma_close is called for each mapping that goes; `writable` is port_vma_may_write() at that time. */
	void (*vma_open)(void *obj, bool writable);
	void (*vma_close)(void *obj, bool writable);
	unsigned int (*poll)(void *obj, struct port_poll *poll); /* NULL: always ready; returns PORT_POLL_* */
	void (*show_fdinfo)(void *obj, struct port_seq *seq);
	long (*ioctl)(void *obj, unsigned int cmd, u64 arg);     /* NULL: ENOTTY */
	long (*read)(void *obj, u64 to, size_t size);            /* NULL: EINVAL; task: bytes written to user memory, or -errno */
	/* NULL allowed, all three together: what mappings of obj show, where that is an arena, else NULL; where a mapping may lie: 0: anywhere,
	 * 1: where all addresses have the same upper 32 bits, or -errno; a page that is to be shown at addr (port_fault_map): 0 or -errno. */
	struct port_arena *(*arena)(void *obj);
	int (*place)(void *obj, u64 addr, size_t size, u64 offset);
	int (*fault)(void *obj, struct port_fault *f, u64 addr);
};
#define PORT_POLL_IN 0x0041u /* EPOLLIN | EPOLLRDNORM */
#define PORT_POLL_OUT 0x0104u /* EPOLLOUT | EPOLLWRNORM */
#define PORT_POLL_HUP 0x0010u
#define PORT_POLL_ERR 0x0008u

#define PORT_FILE_CLASSES 8 /* those of cmd/core.cpp */
/* Once at start-up, before any fd of the class. The ops must live as long as the module. */
int port_file_class_register(const struct port_file_ops *ops);
void port_file_class_unregister_all(void);

#define PORT_FD_CLOEXEC 1u
#define PORT_FD_RDONLY 2u
#define PORT_FD_WRONLY 4u /* neither: read-write */
/* A new fd of the caller's process for obj; on success the file owns the caller's reference. >= 0 or -errno. */
int port_fd_create(const struct port_file_ops *ops, void *obj, unsigned int flags);
/* The object behind fd, its file held until port_file_put. -EBADF: no such fd; -EINVAL: a file of another class. */
struct port_file;
int port_file_get(int fd, const struct port_file_ops *ops, struct port_file **file, void **obj);
void port_file_put(struct port_file *f);
/* The same of another task, in the caller's pid namespace: -ENOENT: no such task; -EOPNOTSUPP: its files cannot be seen. */
int port_file_get_of(s32 pid, u32 fd, const struct port_file_ops *ops, struct port_file **file, void **obj);
int port_fd_close(int fd); /* closes an fd of the caller's process, whatever it is: 0, -EBADF */
unsigned int port_file_access(struct port_file *f); /* PORT_FD_RDONLY, PORT_FD_WRONLY or 0 */

/* A path of the caller's: a user address; where relative, from the folder dirfd or, with AT_FDCWD, the current one. Task context. */
/* Gives obj a name in a file system of ours: its reference goes there, and comes back by ops->release(). -EPERM: another file system; or what
 * making a file gives (-EEXIST, -ENOENT, -EACCES...). */
int port_pin(int dirfd, u64 path, const struct port_file_ops *ops, void *obj);
/* What has that name, with a reference of its own (ops->hold). -EACCES: not allowed (access: PORT_FD_RDONLY, PORT_FD_WRONLY or 0 for both), or
 * no object of ours; -ENOENT... */
int port_pinned(int dirfd, u64 path, unsigned int access, const struct port_file_ops **ops, void **obj);

size_t port_vma_size(struct port_vma *v);
u64 port_vma_offset(struct port_vma *v); /* bytes */
bool port_vma_writable(struct port_vma *v);
bool port_vma_shared(struct port_vma *v);
bool port_vma_may_write(struct port_vma *v);
void port_vma_forbid_write(struct port_vma *v); /* clears VM_MAYWRITE: no later mprotect to writable */
void port_vma_forbid_exec(struct port_vma *v);
/* Maps region bytes [region_off, region_off + vma size), mirror included; -EINVAL beyond. */
int port_vma_map(struct port_vma *v, struct port_region *r, size_t region_off);

u64 port_vma_addr(struct port_vma *v);
/* Shows an arena; all who map it do so at one address. No part of the mapping can go alone or be moved, and children do not inherit it. */
int port_vma_map_arena(struct port_vma *v, struct port_arena *a);
int port_fault_map(struct port_fault *f, struct port_arena *a, u32 page); /* one that is there */

struct port_waitq *port_waitq_create(void);
void port_waitq_destroy(struct port_waitq *q); /* task: waits for wake-ups in flight */
void port_waitq_wake(struct port_waitq *q);    /* any context (deferred through irq_work where needed) */
void port_poll_wait(struct port_poll *p, struct port_waitq *q);

/* While a pin is held the module cannot be unloaded: for what may live on without an open file. pin: the caller has a file of the
 * module open. Task context. */
void port_module_pin(void);
void port_module_unpin(void);

void port_seq_printf(struct port_seq *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A text of its own, which programs see as the kernel's struct seq_file. One user at a time. It has overflowed when count == size. */
struct port_seq *port_seq_create(void); /* task: without a buffer; or NULL */
int port_seq_buffer(struct port_seq *s, size_t size); /* task, once: -ENOMEM */
void port_seq_destroy(struct port_seq *s); /* task; NULL is allowed */
size_t port_seq_count(const struct port_seq *s);
bool port_seq_overflowed(const struct port_seq *s);
/* from: what user space has read already; index: of the current object. For programs that look at them. */
void port_seq_set(struct port_seq *s, size_t from, size_t count, s64 index);
int port_seq_to_user(const struct port_seq *s, size_t from, u64 to, size_t n); /* task: -EFAULT */
/* Bytes that are free at *at; then how many of them were needed: as many as there are, or more, is too much. Any context. */
size_t port_seq_room(struct port_seq *s, char **at);
void port_seq_commit(struct port_seq *s, size_t n);

/* ---- events: attach and detach in task context --------------------------------------------------------- */

/*
 * Handlers run on the CPU of the event with preemption off, in any context. `priv` is what was given at attach.
 * port_event_detach returns when no handler runs or will run, and frees the handle.
 */
struct port_event;

/* regs: the machine's struct pt_regs; func: address of the probed function's entry when the probe sits there, else 0.
 * For a return probe always the function's entry. */
typedef void (*port_kprobe_fn)(void *priv, void *regs, u64 func);
struct port_kprobe_spec {
	const char *symbol; /* or NULL and addr */
	u64 addr;
	u64 offset;
	bool retprobe;
	int maxactive; /* return probes: 0 = the default */
};
int port_kprobe_attach(const struct port_kprobe_spec *spec, port_kprobe_fn fn, void *priv, struct port_event **out);
u64 port_kprobe_addr(struct port_event *e); /* where it is: behind the endbr64 of a function that has one */

/* record: as laid out in events/<category>/<name>/format; size in bytes. id: tracefs events/.../id. */
typedef void (*port_tracepoint_fn)(void *priv, void *record, size_t size, void *regs);
/* fn looks at neither record nor registers, so that they may be missing: zeros and a size of 0, and NULL; at `size` bytes; or at as many as
 * any record has, behind it whatever is there. */
enum port_record_use { PORT_RECORD_UNUSED, PORT_RECORD_USED, PORT_RECORD_ANY };
/* What the kernel counts of fn by itself, where it leaves out the calls that come upon another program's run. By CPU. */
struct port_kernel_counts {
	u64 runs, ns; /* while its own statistics are on: not for us */
	u64 missed;
};
/* counts: from port_percpu_alloc; it lives as long as the event. */
int port_tracepoint_attach(u32 id, enum port_record_use use, port_tracepoint_fn fn, void *priv, struct port_kernel_counts *counts,
			   struct port_event **out);
/* 0 and its name ("category:name" cut to size) when the id exists, else -ENOENT. */
int port_tracepoint_name(u32 id, char *buf, size_t size);

/* Bytes of the record up to the end of its last fixed field (what a program may read), or -ENOENT. */
int port_tracepoint_size(u32 id);
/* The kernel's own number of a dynamic PMU ("kprobe"), as /sys/bus/event_source/devices/NAME/type shows it, or -ENOENT. */
int port_perf_pmu_type(const char *name);

/* Called as fn(priv, arguments...) by the tracepoint itself: each argument a 64-bit word, the upper part of a narrow one undefined. A
 * function of fewer parameters than there are arguments will do. fn reads and writes the first `record` bytes behind the first argument;
 * -EINVAL: the tracepoint lets nobody write, or less. */
#define PORT_RAW_TP_MAX_ARGS 12
typedef void (*port_raw_tp_fn)(void *priv);
int port_raw_tp_attach(const char *name, u32 record, port_raw_tp_fn fn, void *priv, struct port_event **out);
bool port_raw_tp_exists(const char *name);
/* The kernel's tracepoint at the end of a packet's test run: what is attached there may change the result, which is 0 or -errno. */
void port_test_run_ended(int *result);

/*
 * Sampling and counting events of performance monitoring: numbers as perf_event_open() takes them, `flags` its attribute bits, pid its
 * task (-1: all), cpu its CPU (-1: any). Each overflow calls fn, with preemption off, from any context, NMI too.
 */
struct port_perf_spec {
	u32 type;
	s32 pid, cpu;
	u64 config, config1, config2; /* of a breakpoint: address and length in config1 and config2 */
	u32 bp_type;
	u64 period; /* or frequency, by the flags; 0: only counts */
	u64 sample_type, flags;
};
#define PORT_REGS_SIZE (21 * 8)
/* counter: for port_perf_read; regs: struct pt_regs, PORT_REGS_SIZE bytes. In an order in which they are passed on where they are. */
typedef void (*port_perf_fn)(void *counter, void *priv, void *regs, u64 period, u64 addr);
int port_perf_attach(const struct port_perf_spec *spec, port_perf_fn fn, void *priv, struct port_event **out);
void port_perf_enable(struct port_event *e, bool on);
int port_perf_period(struct port_event *e, u64 period); /* -EINVAL: it only counts, or no such period */
void port_perf_reset(struct port_event *e, bool enabled); /* the count; enabled: it goes on counting */
/* The event's counter, which lives as long as the event, and for an overflow's handler. */
void *port_perf_counter(struct port_event *e);
/* Count, and for how long (ns) it was enabled and running: on the counter's own CPU or task. -EINVAL: on another one; -EBUSY: it is to
 * be on the CPU and is not; -EOPNOTSUPP: it is inherited, or the kernel does not tell. Any. */
int port_perf_read(void *counter, u64 value[3]);

/*
 * Probes in user space: at places of one file, wherever it is mapped. The handler runs in the task that came there, with preemption on
 * and where it may sleep; index: which place; regs: the task's struct pt_regs; addr: of the place in the task, for a return probe of the
 * function's entry. port_event_detach waits for the handlers as for all others.
 */
typedef void (*port_uprobe_fn)(void *priv, u32 index, void *regs, u64 addr);
struct port_uprobe_place {
	u64 offset;         /* in the file */
	u64 ref_ctr_offset; /* of a counter (u16) of who looks at the place, which the kernel keeps in each task; 0: none */
};
enum port_uprobe_scope { PORT_UPROBE_ALL, PORT_UPROBE_SPACE, PORT_UPROBE_GROUP };
struct port_uprobe_spec {
	const char *path;
	enum port_uprobe_scope scope; /* whose: everybody's, those in the address space of task `pid` (0: the caller), those of thread group `pid` */
	s32 pid;
	bool retprobe;
	u32 count;
	const struct port_uprobe_place *places; /* read during the call alone */
};
/* What the look-up of the path gives; -EBADF: no regular file; -ESRCH: no such task; -EINVAL: a place beyond the file, not aligned; -EIO. */
int port_uprobe_attach(const struct port_uprobe_spec *spec, port_uprobe_fn fn, void *priv, struct port_event **out);
/* The file's path as the caller sees it now, with its NUL, into `size` bytes: how many those are, or -ENAMETOOLONG. */
int port_uprobe_path(struct port_event *e, char *buf, u32 size);
/* The pid of its task in the caller's namespace; 0: none. */
u32 port_uprobe_pid(struct port_event *e);

/*
 * Probes at many functions of the kernel. regs: at the entry, or where it returns (at_return). A handler at the entry that gives anything but
 * 0 lets the call go without its return. data: 8 bytes of the call, zero at its entry, where at_return is asked for; else NULL.
 */
typedef int (*port_functions_fn)(void *priv, void *regs, u64 func, bool at_return, u64 *data);
struct port_functions_spec {
	const u64 *addrs; /* the functions' entries; read during the call alone */
	u32 count;
	bool at_entry, at_return;
};
/* -EINVAL: no function is at an address, or it cannot be traced; -EOPNOTSUPP: this kernel has no return hooks; -ENOMEM. */
int port_functions_attach(const struct port_functions_spec *spec, port_functions_fn fn, void *priv, struct port_event **out);
int port_function_find(const char *name, u64 *addr); /* the first one of that name that can be traced; -ESRCH */

void port_event_detach(struct port_event *e);
/* How often a kprobe's hit was missed (nested in another probe, or a return probe without a free instance); else 0. */
u64 port_event_missed(struct port_event *e);

/* ---- modules of the kernel: task context ------------------------------------------------------------------ */

/* A module from its start to its end; another one of the same name is another. modbpf.ko is none of them. */
struct port_module;
u64 port_modules_version(void); /* changes whenever one comes or goes */
struct port_module *port_module_at(u32 index); /* a reference to one of those that are loaded; NULL behind the last */
void port_module_put(struct port_module *m);   /* NULL is allowed */
const char *port_module_name(const struct port_module *m);
/* Its types, split off the kernel's, when `size` bytes are all or fewer; else only tells. -> bytes; -ENOENT: it has none, or is gone. */
long port_module_btf(struct port_module *m, void *to, size_t size);
/* A reference with which it is not unloaded. False: it is gone. */
bool port_module_hold(struct port_module *m);
void port_module_release(struct port_module *m); /* what hold gave; NULL is allowed */
bool port_module_has(struct port_module *m, const char *function); /* of one that is held (user: any) */

/* ---- functions of the kernel: task context ------------------------------------------------------------- */

/*
 * A hook makes a function of the kernel call a text of ours from its entry, before it has done anything: the text finds the function's
 * arguments where its caller put them, and the return address into the function on top of the one into its caller. (user: the
 * functions that test runs call, by the names that they have in the kernel.)
 */
struct port_hook;
/* of: the module that it is in, which the hook holds; NULL: the kernel's own. -ENOENT: no such function; -EBUSY: it has no place for a call. */
int port_hook_create(const char *name, struct port_module *of, struct port_hook **out);
void port_hook_destroy(struct port_hook *h); /* takes it out; NULL is allowed */
u64 port_hook_entry(struct port_hook *h);    /* the function's address */
u64 port_hook_body(struct port_hook *h);     /* where it goes on behind the call */
/* Puts the text in place, also of another one; NULL: takes it out. Calls may be in the old text yet. -EBUSY: somebody else's is there. */
int port_hook_set(struct port_hook *h, void *text);
/* Returns when every task that was interrupted in text has left it, or has gone to sleep by itself. */
void port_tasks_synchronize(void);
/* Calls the kernel's functions for test runs of tracing programs: those for fmod_ret, or those for fentry and fexit. -EFAULT: one of them did
 * not give what it should. *retval: for fmod_ret the sum of their results, and in its upper half how many had their side effect. */
int port_call_test_functions(bool modify, u32 *retval);

/* ---- call chains: any context -------------------------------------------------------------------------- */

/*
 * The addresses of a call chain, innermost first, without the first `skip`: at most n. regs: the event's struct pt_regs; NULL: the
 * kernel's chain begins with the caller of the function whose __builtin_frame_address(0) `frame` is. user: the current task's chain
 * in user space, by frame pointers. -> how many were stored; -EFAULT: there are fewer than `skip`.
 */
int port_stack_save(void *regs, void *frame, bool user, u32 skip, u64 *ips, u32 n);
/* The same of a task that is held: its own, or another's kernel chain while it is not running. -EFAULT, too: it has no stack any more, or
 * no user space; -EOPNOTSUPP: another task's chain in user space. */
int port_task_stack_save(u64 task, void *frame, bool user, u32 skip, u64 *ips, u32 n);
u32 port_stack_depth_max(void); /* kernel.perf_event_max_stack */

/* ---- mappings of user space: any context; a lock that is taken is not waited for ------------------------- */

/* Calls fn with the mapping (struct vm_area_struct) of a held task at addr, which stays for the call. -ENOENT: there is none; -EBUSY:
 * its lock is taken; -EOPNOTSUPP: another task's cannot be held. */
typedef void (*port_vma_fn)(void *priv, u64 vma);
int port_find_vma(u64 task, u64 addr, port_vma_fn fn, void *priv);
/* Where an address of the current task's is in a file (struct bpf_stack_build_id): with the file's build id, VALID and an offset in
 * place of the address; else IP, and the address stays. user: they are addresses of user space, else all stay. */
enum { PORT_BUILD_ID_VALID = 1, PORT_BUILD_ID_IP = 2 };
struct port_build_id {
	s32 status;
	u8 id[20];
	u64 ip;
};
void port_build_ids(struct port_build_id *ids, u32 n, bool user);

/* ---- walks over the kernel's objects, for iterators: task context ---------------------------------------- */

enum port_walk_kind { PORT_WALK_TASKS, PORT_WALK_FILES, PORT_WALK_MAPPINGS };
enum port_walk_of { PORT_WALK_ALL, PORT_WALK_THREAD, PORT_WALK_PROCESS }; /* the numbers are Linux's */
struct port_walk;
/* In the caller's pid namespace. pid: of the thread or the process. -EOPNOTSUPP: there are no such objects here. */
int port_walk_create(enum port_walk_kind kind, enum port_walk_of of, u32 pid, struct port_walk **out);
void port_walk_destroy(struct port_walk *w); /* stopped; NULL is allowed */
/*
 * The object where the walk is, which is held until next or stop: its words are addresses of the kernel's own structures: task; task,
 * number, file; task, mapping (whose address space is locked for reading). False: the end, where nothing is held.
 */
#define PORT_WALK_WORDS 3
bool port_walk_start(struct port_walk *w, u64 words[PORT_WALK_WORDS]);
bool port_walk_next(struct port_walk *w, u64 words[PORT_WALK_WORDS]); /* at an object */
void port_walk_stop(struct port_walk *w); /* at an object: the next start comes to it again */
/*
 * Control groups: `group` is a held struct cgroup. find: what the fd of a folder names, or an id, or neither: the root of the unified
 * hierarchy. -EBADF, -ENOENT, ...; -EOPNOTSUPP: there are none here. While they are locked no group comes or goes (port_css_next).
 */
int port_cgroup_find(int fd, u64 id, u64 *group);
u64 port_cgroup_number(u64 group); /* its id */
bool port_cgroup_online(u64 group);
int port_cgroup_path(u64 group, char *buf, size_t size); /* as the caller sees it; with its NUL */
bool port_cgroups_lock(void); /* false: the lock is not known */
void port_cgroups_unlock(void);
/* The kernel's symbol of this number, as /proc/kallsyms counts them, into `record`, a struct kallsym_iter that was all zeros at first but
 * for show_value. False: there are no more. */
bool port_symbol_at(void *record, u64 index);
/* The process that a pidfd names, in the caller's namespace; 0: it is not in there. -EBADF. */
int port_pidfd_process(int fd, u32 *pid);

/* ---- kernel information ------------------------------------------------------------------------------- */

u64 port_ksym_lookup(const char *name); /* 0 when unknown; task */
u64 port_percpu_variable(u64 addr, unsigned int cpu); /* where the CPU's copy of the kernel's variable is, 0: it is none: any; cpu < port_cpu_count() */
/* vmlinux BTF as raw bytes, borrowed for ever; -ENOENT where the kernel has none. */
int port_vmlinux_btf(const void **data, size_t *size);
/* One line to the trace buffer, as "bpf_trace_printk: TEXT" appears in trace_pipe; any context. */
void port_trace_line(const char *text);
void port_trace_line_enable(void); /* task: switch that event on, once a program uses it */
/* The kernel's text for an address as %pS, %ps, %pB, %p and %pK print it: kind is that letter, 'p' for %p. S, s, B: a symbol
 * ("name+0x1/0x2") or the address in hexadecimal; p, K: 16 hexadecimal digits, hashed as the kernel's settings ask. Any. */
int port_format_symbol(char *buf, size_t size, char kind, u64 addr);
/* Features that this kernel lacks, for `modbpf features`: the name of an optional symbol that was not found, by index;
 * NULL at the end. */
const char *port_missing_symbol(unsigned int index);

#ifdef __cplusplus
} /* extern "C" */
#endif

/* For core code: report and refuse when modbpf itself is wrong. */
#define MODBPF_BUG_ON(cond)                                                                        \
	(__builtin_expect(!!(cond), 0) ? (port_bug(__FILE__, __LINE__, #cond), true) : false)

#endif
