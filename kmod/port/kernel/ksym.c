// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unexported kernel symbols, resolved once at start-up and all optional: what is missing turns a feature off, and
 * port_missing_symbol names it. Nothing else in modbpf looks up a kernel function to call it.
 *
 * kallsyms_lookup_name itself is found by placing a kprobe on it and reading where it landed. Functions are then called
 * through static calls (internal.h says why); data symbols by address. Everything here is constant after init.
 */
#include "port/kernel/internal.h"

#include <linux/buildid.h>
#include <linux/cache.h>
#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/pid.h>
#include <linux/proc_ns.h>
#include <linux/rethook.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/security.h>
#include <linux/set_memory.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#ifdef MODBPF_HAVE_EXECMEM
#include <linux/execmem.h>
#else
#include <linux/moduleloader.h>
#endif

#ifdef MODBPF_HAVE_BUILD_ID_NOFAULT
#define build_id_parse_safe build_id_parse_nofault
#else
#define build_id_parse_safe build_id_parse
#endif
#ifdef MODBPF_HAVE_EXECMEM
#define TEXT_FUNCTIONS(X) X(TEXT_ALLOC, execmem_alloc) X(TEXT_FREE, execmem_free)
#else
#define TEXT_FUNCTIONS(X) X(TEXT_ALLOC, module_alloc) X(TEXT_FREE, module_memfree)
#endif
#ifdef MODBPF_HAVE_RETHOOK_POOL
#define RETHOOK_NODE_FUNCTIONS(X)
#else
#define RETHOOK_NODE_FUNCTIONS(X) X(RETHOOK_ADD_NODE, rethook_add_node)
#endif

/*
 * The symbols: FUNCTIONS are called, of DATA only the address counts. The prototypes are those of the kernel's own headers: where one
 * changes, this file does not compile. Only their types are used, never the functions, so nothing is left for the linker to find.
 */
#define RETHOOK_FUNCTIONS(X) \
	X(RETHOOK_ALLOC, rethook_alloc) \
	X(RETHOOK_FREE, rethook_free) \
	X(RETHOOK_TRY_GET, rethook_try_get) \
	X(RETHOOK_RECYCLE, rethook_recycle) \
	X(RETHOOK_HOOK, rethook_hook) \
	RETHOOK_NODE_FUNCTIONS(X)

#define FUNCTIONS(X) \
	X(KALLSYMS_LOOKUP_NAME, kallsyms_lookup_name) /* first: it finds the others */ \
	X(KALLSYMS_ON_EACH_MATCH_SYMBOL, kallsyms_on_each_match_symbol) \
	X(SET_MEMORY_RO, set_memory_ro) \
	X(SET_MEMORY_RW, set_memory_rw) \
	X(SET_MEMORY_X, set_memory_x) \
	X(SET_MEMORY_NX, set_memory_nx) \
	TEXT_FUNCTIONS(X) \
	X(STRNCPY_FROM_KERNEL, strncpy_from_kernel_nofault) \
	X(STRNCPY_FROM_USER, strncpy_from_user_nofault) \
	X(KALLSYMS_LOOKUP_SIZE_OFFSET, kallsyms_lookup_size_offset) \
	X(FTRACE_LOCATION_RANGE, ftrace_location_range) \
	X(MODULE_ADDRESS, __module_address) \
	RETHOOK_FUNCTIONS(X) \
	X(NS_MATCH, ns_match) \
	X(PIDFD_PID, pidfd_pid) \
	X(MMPUT_ASYNC, mmput_async) \
	X(BUILD_ID_PARSE, build_id_parse_safe) \
	X(PUT_TASK_STACK, put_task_stack) \
	X(PUT_TASK_RCU_USER, put_task_struct_rcu_user) \
	X(COPY_TO_KERNEL, copy_to_kernel_nofault) \
	X(PERF_EVENT_READ_LOCAL, perf_event_read_local) \
	X(SYS_PERF_EVENT_OPEN, __x64_sys_perf_event_open) \
	X(COMPAT_SYS_PERF_EVENT_OPEN, __ia32_sys_perf_event_open) \
	X(PERF_IOCTL, perf_ioctl) \
	X(REPLACE_FD, replace_fd) \
	X(SECURITY_BPF, security_bpf) \
	X(CGROUP_FROM_FD, cgroup_v1v2_get_from_fd) \
	X(TASK_GET_CGROUP1, task_get_cgroup1) \
	X(CGROUP_UPDATED, cgroup_rstat_updated) \
	X(CGROUP_FLUSH, cgroup_rstat_flush) \
	X(MM_EXE_FILE, get_mm_exe_file) \
	X(CSS_TASKS_START, css_task_iter_start) \
	X(CSS_TASKS_NEXT, css_task_iter_next) \
	X(CSS_TASKS_END, css_task_iter_end) \
	X(GET_VM_AREA, get_vm_area) \
	X(FLUSH_TLB, flush_tlb_kernel_range)

/* Those that no header declares. */
long __x64_sys_perf_event_open(const struct pt_regs *regs);
long __ia32_sys_perf_event_open(const struct pt_regs *regs);
#ifndef CONFIG_BPF_SYSCALL
union bpf_attr;
int security_bpf(int cmd, union bpf_attr *attr, unsigned int size);
#endif
struct cgroup *task_get_cgroup1(struct task_struct *tsk, int hierarchy_id); /* 6.1 has none */
long perf_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
void flush_tlb_kernel_range(unsigned long start, unsigned long end);

#define DATA(X) \
	X(INIT_MM, init_mm) \
	X(PERF_SAMPLE_RATE, sysctl_perf_event_sample_rate) \
	X(PERF_PARANOID, sysctl_perf_event_paranoid) \
	X(FTRACE_EVENTS, ftrace_events) \
	X(EVENT_MUTEX, event_mutex) \
	X(START_BTF, __start_BTF) \
	X(STOP_BTF, __stop_BTF) \
	X(TEXT_START, _stext) \
	X(TEXT_END, _etext) \
	X(BTF_DIR, btf_kobj) \
	X(MODULES, modules) \
	X(MODULE_MUTEX, module_mutex) \
	X(CGROUP_MUTEX, cgroup_mutex) \
	X(SYMBOL_OPS, kallsyms_op) \
	X(X86_RETURN_THUNK, x86_return_thunk) \
	X(PERF_MAX_STACK, sysctl_perf_event_max_stack) \
	X(JIT_HARDEN, bpf_jit_harden) \
	X(START_RAW_TPS, __start__bpf_raw_tp) \
	X(STOP_RAW_TPS, __stop__bpf_raw_tp)

#define INDEX(index, symbol) index,
enum ksym { FUNCTIONS(INDEX) DATA(INDEX) KSYM_COUNT };

#define NAME(index, symbol) [index] = __stringify(symbol),
static const char *const names[KSYM_COUNT] = { FUNCTIONS(NAME) DATA(NAME) };

static unsigned long found[KSYM_COUNT] __ro_after_init;

#define DEFINE_CALL(index, symbol) DEFINE_STATIC_CALL_NULL(modbpf_##symbol, symbol);
FUNCTIONS(DEFINE_CALL)

#define BIND(index, symbol) static_call_update(modbpf_##symbol, (typeof(&symbol))found[index]);

static void bind(void)
{
	FUNCTIONS(BIND)
}

static struct kprobe finder = { .flags = KPROBE_FLAG_DISABLED };
static struct port_work finder_work;

/* Waits for an RCU grace period, which insmod need not. */
static void drop_finder(struct port_work *work)
{
	unregister_kprobe(&finder);
}

static unsigned long find_kallsyms(void)
{
	unsigned long addr;

	finder.symbol_name = names[KALLSYMS_LOOKUP_NAME];
	if (register_kprobe(&finder))
		return 0;
	addr = (unsigned long)finder.addr;
	port_work_init(&finder_work, drop_finder);
	port_work_queue(&finder_work);
	return addr;
}

void modbpf_ksym_init(void)
{
	unsigned int i;

	found[KALLSYMS_LOOKUP_NAME] = find_kallsyms();
	if (found[KALLSYMS_LOOKUP_NAME])
		BIND(KALLSYMS_LOOKUP_NAME, kallsyms_lookup_name)
	for (i = 1; i < KSYM_COUNT; i++) {
		found[i] = port_ksym_lookup(names[i]);
		if (!found[i])
			pr_info("kernel symbol %s is not there; what needs it is off\n", names[i]);
	}
	bind();
}

const char *port_missing_symbol(unsigned int index)
{
	unsigned int i;

	for (i = 0; i < KSYM_COUNT; i++)
		if (!found[i] && !index--)
			return names[i];
	return NULL;
}

u64 port_ksym_lookup(const char *name)
{
	return found[KALLSYMS_LOOKUP_NAME] ? static_call(modbpf_kallsyms_lookup_name)(name) : 0;
}

static int count_match(void *data, unsigned long addr)
{
	++*(int *)data;
	return 0;
}

int modbpf_ksym_count(const char *name)
{
	int n = 0;

	if (!found[KALLSYMS_ON_EACH_MATCH_SYMBOL])
		return -ENOSYS;
	static_call(modbpf_kallsyms_on_each_match_symbol)(count_match, name, &n);
	return n;
}

bool modbpf_ksym_notrace(unsigned long addr)
{
	unsigned long size, offset;

	if (!found[KALLSYMS_LOOKUP_SIZE_OFFSET] || !found[FTRACE_LOCATION_RANGE] ||
	    !static_call(modbpf_kallsyms_lookup_size_offset)(addr, &size, &offset))
		return false;
	addr -= offset;
	return !static_call(modbpf_ftrace_location_range)(addr, addr + size - 1);
}

struct modbpf_range modbpf_ksym_range_at(unsigned long start)
{
	struct modbpf_range range = { start };
	unsigned long offset;

	if (!start || !found[KALLSYMS_LOOKUP_SIZE_OFFSET] ||
	    !static_call(modbpf_kallsyms_lookup_size_offset)(start, &range.size, &offset))
		range.size = 0;
	return range;
}

struct modbpf_range modbpf_ksym_range(const char *name)
{
	return modbpf_ksym_range_at(port_ksym_lookup(name));
}

unsigned long modbpf_ksym_function(const char *name)
{
	unsigned long addr = port_ksym_lookup(name);

	return addr >= found[TEXT_START] && addr < found[TEXT_END] ? addr : 0;
}

unsigned long modbpf_ksym_ftrace_site(unsigned long entry)
{
	/* An endbr64 may stand before it. */
	return found[FTRACE_LOCATION_RANGE] ? static_call(modbpf_ftrace_location_range)(entry, entry + 4) : 0;
}

static int first_traceable(void *data, unsigned long addr)
{
	if (!modbpf_ksym_ftrace_site(addr))
		return 0;
	*(unsigned long *)data = addr;
	return 1;
}

unsigned long modbpf_ksym_traceable(const char *name)
{
	unsigned long at = 0;

	if (found[KALLSYMS_ON_EACH_MATCH_SYMBOL])
		static_call(modbpf_kallsyms_on_each_match_symbol)(first_traceable, name, &at);
	if (!at)
		first_traceable(&at, port_ksym_lookup(name)); /* a module's, or there is no list of all that bear a name */
	return at;
}

struct module *modbpf_ksym_module_at(unsigned long addr)
{
	struct module *mod;

	if (addr >= found[TEXT_START] && addr < found[TEXT_END])
		return NULL;
	if (!found[MODULE_ADDRESS])
		return ERR_PTR(-EOPNOTSUPP);
	preempt_disable();
	mod = static_call(modbpf___module_address)(addr);
	if (mod && !try_module_get(mod))
		mod = ERR_PTR(-EINVAL);
	preempt_enable();
	return mod;
}

#define AND_FOUND(index, symbol) && found[index]

bool modbpf_ksym_has_rethook(void)
{
	return true RETHOOK_FUNCTIONS(AND_FOUND);
}

#ifdef MODBPF_HAVE_RETHOOK_POOL
struct rethook *modbpf_ksym_rethook_alloc(void *data, rethook_handler_t handler, int size, int count)
{
	return static_call(modbpf_rethook_alloc)(data, handler, size, count);
}
#else
struct rethook *modbpf_ksym_rethook_alloc(void *data, rethook_handler_t handler)
{
	return static_call(modbpf_rethook_alloc)(data, handler);
}

void modbpf_ksym_rethook_add_node(struct rethook *rh, struct rethook_node *node)
{
	static_call(modbpf_rethook_add_node)(rh, node);
}
#endif

void modbpf_ksym_rethook_free(struct rethook *rh)
{
	static_call(modbpf_rethook_free)(rh);
}

notrace struct rethook_node *modbpf_ksym_rethook_try_get(struct rethook *rh)
{
	return static_call(modbpf_rethook_try_get)(rh);
}

notrace void modbpf_ksym_rethook_recycle(struct rethook_node *node)
{
	static_call(modbpf_rethook_recycle)(node);
}

notrace void modbpf_ksym_rethook_hook(struct rethook_node *node, struct pt_regs *regs)
{
	static_call(modbpf_rethook_hook)(node, regs, true);
}

int port_vmlinux_btf(const void **data, size_t *size)
{
	if (!found[START_BTF] || found[STOP_BTF] <= found[START_BTF])
		return -ENOENT;
	*data = (const void *)found[START_BTF];
	*size = found[STOP_BTF] - found[START_BTF];
	return 0;
}

/* The kernel's own are counted from zero; what anybody has allocated is in the upper half. */
notrace u64 port_percpu_variable(u64 addr, unsigned int cpu)
{
	if (addr >> 63)
		return 0;
	return (unsigned long)per_cpu_ptr((void __percpu *)(unsigned long)addr, cpu);
}

int port_security_bpf(u32 cmd, void *attr, u32 size)
{
	return found[SECURITY_BPF] ? static_call(modbpf_security_bpf)(cmd, attr, size) : 0;
}

bool modbpf_has_text(void)
{
	unsigned int i;

	for (i = SET_MEMORY_RO; i <= TEXT_FREE; i++)
		if (!found[i])
			return false;
	return true;
}

void *modbpf_ksym_text_alloc(size_t size)
{
#ifdef MODBPF_HAVE_EXECMEM
	return static_call(modbpf_execmem_alloc)(EXECMEM_BPF, size);
#else
	return static_call(modbpf_module_alloc)(size);
#endif
}

void modbpf_ksym_text_free(void *p)
{
#ifdef MODBPF_HAVE_EXECMEM
	static_call(modbpf_execmem_free)(p);
#else
	static_call(modbpf_module_memfree)(p);
#endif
}

int modbpf_ksym_set_memory_ro(void *p, int pages)
{
	return static_call(modbpf_set_memory_ro)((unsigned long)p, pages);
}

int modbpf_ksym_set_memory_rw(void *p, int pages)
{
	return static_call(modbpf_set_memory_rw)((unsigned long)p, pages);
}

int modbpf_ksym_set_memory_x(void *p, int pages)
{
	return static_call(modbpf_set_memory_x)((unsigned long)p, pages);
}

int modbpf_ksym_set_memory_nx(void *p, int pages)
{
	return static_call(modbpf_set_memory_nx)((unsigned long)p, pages);
}

notrace bool modbpf_ksym_ns_match(const struct ns_common *ns, u64 dev, u64 ino)
{
	/* The device's number is compared whole: what does not fit names none. */
	if (!found[NS_MATCH] || (dev_t)dev != dev)
		return false;
	return static_call(modbpf_ns_match)(ns, (dev_t)dev, ino);
}

notrace long modbpf_ksym_strncpy_from_kernel(char *dst, const void *src, long size)
{
	if (!found[STRNCPY_FROM_KERNEL])
		return -ENOSYS;
	return static_call(modbpf_strncpy_from_kernel_nofault)(dst, src, size);
}

notrace long modbpf_ksym_strncpy_from_user(char *dst, const void __user *src, long size)
{
	if (!found[STRNCPY_FROM_USER])
		return -ENOSYS;
	return static_call(modbpf_strncpy_from_user_nofault)(dst, src, size);
}

notrace u32 port_stack_depth_max(void)
{
	return found[PERF_MAX_STACK] ? READ_ONCE(*(int *)found[PERF_MAX_STACK]) : PERF_MAX_STACK_DEPTH;
}

struct pid *modbpf_ksym_pidfd_pid(const struct file *file)
{
	return found[PIDFD_PID] ? static_call(modbpf_pidfd_pid)(file) : ERR_PTR(-EOPNOTSUPP);
}

notrace int modbpf_ksym_task_stack_get(struct task_struct *task)
{
	if (!found[PUT_TASK_STACK])
		return -EOPNOTSUPP;
	return try_get_task_stack(task) ? 0 : -EFAULT;
}

notrace void modbpf_ksym_task_stack_put(struct task_struct *task)
{
	static_call(modbpf_put_task_stack)(task);
}

notrace bool modbpf_ksym_has_task_put(void)
{
	return found[PUT_TASK_RCU_USER];
}

notrace void modbpf_ksym_task_put(struct task_struct *task)
{
	static_call(modbpf_put_task_struct_rcu_user)(task);
}

notrace bool modbpf_ksym_has_cgroup1(void)
{
	return found[TASK_GET_CGROUP1];
}

notrace struct cgroup *modbpf_ksym_cgroup1(struct task_struct *task, int hierarchy)
{
	return static_call(modbpf_task_get_cgroup1)(task, hierarchy);
}

bool modbpf_ksym_has_cgroup_stats(void)
{
	return found[CGROUP_UPDATED] && found[CGROUP_FLUSH];
}

void modbpf_ksym_cgroup_updated(struct cgroup *cgroup, int cpu)
{
	static_call(modbpf_cgroup_rstat_updated)(cgroup, cpu);
}

void modbpf_ksym_cgroup_flush(struct cgroup *cgroup)
{
	static_call(modbpf_cgroup_rstat_flush)(cgroup);
}

struct file *modbpf_ksym_mm_exe_file(struct mm_struct *mm)
{
	return found[MM_EXE_FILE] ? static_call(modbpf_get_mm_exe_file)(mm) : NULL;
}

long modbpf_ksym_copy_to_kernel(void *dst, const void *src, size_t n)
{
	return found[COPY_TO_KERNEL] ? static_call(modbpf_copy_to_kernel_nofault)(dst, src, n) : -EFAULT;
}

notrace bool modbpf_ksym_has_mmput(void)
{
	return found[MMPUT_ASYNC];
}

notrace void modbpf_ksym_mmput(struct mm_struct *mm)
{
	static_call(modbpf_mmput_async)(mm);
}

notrace int modbpf_ksym_build_id(struct vm_area_struct *vma, u8 *id)
{
	return found[BUILD_ID_PARSE] ? static_call(modbpf_build_id_parse_safe)(vma, id, NULL) : -EOPNOTSUPP;
}

notrace int modbpf_ksym_perf_read(struct perf_event *e, u64 *value, u64 *enabled, u64 *running)
{
	if (!found[PERF_EVENT_READ_LOCAL])
		return -EOPNOTSUPP;
	return static_call(modbpf_perf_event_read_local)(e, value, enabled, running);
}

const int *modbpf_ksym_jit_harden(void)
{
	return (const int *)found[JIT_HARDEN];
}

unsigned int modbpf_ksym_raw_tps(const struct bpf_raw_event_map **first)
{
	if (!found[START_RAW_TPS] || found[STOP_RAW_TPS] <= found[START_RAW_TPS])
		return 0;
	*first = (const struct bpf_raw_event_map *)found[START_RAW_TPS];
	return (found[STOP_RAW_TPS] - found[START_RAW_TPS]) / sizeof(**first);
}

int port_perf_paranoid(void)
{
	return found[PERF_PARANOID] ? READ_ONCE(*(int *)found[PERF_PARANOID]) : INT_MAX;
}

u32 modbpf_ksym_perf_rate(void)
{
	return found[PERF_SAMPLE_RATE] ? READ_ONCE(*(int *)found[PERF_SAMPLE_RATE]) : 100000; /* the kernel's own default */
}

static struct list_head *list_of(enum ksym list, enum ksym mutex, struct mutex **lock)
{
	if (!found[list] || !found[mutex])
		return NULL;
	*lock = (struct mutex *)found[mutex];
	return (struct list_head *)found[list];
}

struct list_head *modbpf_ksym_trace_events(struct mutex **lock)
{
	return list_of(FTRACE_EVENTS, EVENT_MUTEX, lock);
}

struct list_head *modbpf_ksym_modules(struct mutex **lock)
{
	return list_of(MODULES, MODULE_MUTEX, lock);
}

struct mutex *modbpf_ksym_cgroup_mutex(void)
{
	return (struct mutex *)found[CGROUP_MUTEX];
}

struct cgroup *modbpf_ksym_cgroup_from_fd(int fd)
{
	return found[CGROUP_FROM_FD] ? static_call(modbpf_cgroup_v1v2_get_from_fd)(fd) : cgroup_get_from_fd(fd);
}

notrace bool modbpf_ksym_has_css_tasks(void)
{
	return found[CSS_TASKS_START] && found[CSS_TASKS_NEXT] && found[CSS_TASKS_END];
}

notrace void modbpf_ksym_css_tasks_start(struct cgroup_subsys_state *css, unsigned int flags, struct css_task_iter *it)
{
	static_call(modbpf_css_task_iter_start)(css, flags, it);
}

notrace struct task_struct *modbpf_ksym_css_tasks_next(struct css_task_iter *it)
{
	return static_call(modbpf_css_task_iter_next)(it);
}

notrace void modbpf_ksym_css_tasks_end(struct css_task_iter *it)
{
	static_call(modbpf_css_task_iter_end)(it);
}

struct mm_struct *modbpf_ksym_kernel_mm(void)
{
	return found[GET_VM_AREA] && found[FLUSH_TLB] ? (struct mm_struct *)found[INIT_MM] : NULL;
}

struct vm_struct *modbpf_ksym_get_vm_area(unsigned long size, unsigned long flags)
{
	return static_call(modbpf_get_vm_area)(size, flags);
}

void modbpf_ksym_flush_tlb(unsigned long start, unsigned long end)
{
	static_call(modbpf_flush_tlb_kernel_range)(start, end);
}

const struct seq_operations *modbpf_ksym_symbol_ops(void)
{
	return (const struct seq_operations *)found[SYMBOL_OPS];
}

struct kobject *modbpf_ksym_btf_dir(void)
{
	return found[BTF_DIR] ? READ_ONCE(*(struct kobject **)found[BTF_DIR]) : NULL;
}

/* Who hooks these functions knows calls from here by their return address: a tail call would leave that of the caller. */
#define CALL_AND_RETURN(call) ({ long ret_ = (call); barrier(); ret_; })

noinline long modbpf_ksym_call(enum modbpf_call call, const struct pt_regs *regs)
{
	if (call == MODBPF_PERF_EVENT_OPEN && found[SYS_PERF_EVENT_OPEN])
		return CALL_AND_RETURN(static_call(modbpf___x64_sys_perf_event_open)(regs));
	if (call == MODBPF_COMPAT_PERF_EVENT_OPEN && found[COMPAT_SYS_PERF_EVENT_OPEN])
		return CALL_AND_RETURN(static_call(modbpf___ia32_sys_perf_event_open)(regs));
	return -ENOSYS;
}

noinline long modbpf_ksym_perf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return found[PERF_IOCTL] ? CALL_AND_RETURN(static_call(modbpf_perf_ioctl)(file, cmd, arg)) : -ENOSYS;
}

bool modbpf_ksym_is_perf_file(const struct file_operations *fops)
{
	return found[PERF_IOCTL] && (unsigned long)fops->unlocked_ioctl == found[PERF_IOCTL];
}

int modbpf_ksym_replace_fd(unsigned int fd, struct file *file, unsigned int flags)
{
	return found[REPLACE_FD] ? static_call(modbpf_replace_fd)(fd, file, flags) : -ENOSYS;
}
