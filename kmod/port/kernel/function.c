// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes at many functions of the kernel: one ftrace_ops for all of them, and return hooks (rethook) where returns are wanted.
 *
 * The entry's handler runs in the function tracer, which keeps it from itself by bits of the current task; the same bits are taken at the
 * return, so that a function that the handlers call is passed over. A node of the return hook is with each call that has not returned
 * yet: it is the kernel's memory, and outlives the probe where a call does. Functions of modules hold those modules.
 */
#include "port/kernel/internal.h"

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/rethook.h>
#include <linux/slab.h>
#include <linux/trace_recursion.h>
#include <linux/uaccess.h>
#include <asm/ibt.h>

struct functions {
	struct port_event event;
	struct ftrace_ops ops;
	struct rethook *returns; /* NULL: only entries */
	port_functions_fn fn;
	void *priv;
	bool at_entry;
	unsigned long missed;
	u32 module_count;
	struct module **modules;
};

/* A call that has not returned. The kernel frees it: the node comes first. */
struct call {
	struct rethook_node node;
	unsigned long entry, parent;
	u64 data;
};

/*
 * The tracer's place is behind the function's endbr64 where there is one. What is on the place's own page can be read, since it is being
 * executed; a function that begins a page has nothing before it that would say anything.
 */
static notrace unsigned long entry_of(unsigned long site)
{
	const u32 *before = (const u32 *)(site - sizeof(u32));

	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && offset_in_page(site) >= sizeof(u32) && is_endbr(READ_ONCE(*before)))
		return (unsigned long)before;
	return site;
}

static notrace void count_missed(struct functions *f)
{
	WRITE_ONCE(f->missed, READ_ONCE(f->missed) + 1); /* about */
}

static notrace void enter(struct functions *f, unsigned long ip, unsigned long parent, struct pt_regs *regs)
{
	struct rethook_node *node = NULL;
	struct call *c = NULL;
	unsigned long entry;
	int skip = 0;

	if (f->returns) {
		node = modbpf_ksym_rethook_try_get(f->returns);
		if (!node) {
			count_missed(f);
			return;
		}
		c = container_of(node, struct call, node);
	}
	entry = entry_of(ip);
	if (c) {
		c->entry = entry;
		c->parent = parent;
		c->data = 0;
	}
	if (f->at_entry)
		skip = READ_ONCE(f->fn)(f->priv, regs, entry, false, c ? &c->data : NULL);
	if (node && skip)
		modbpf_ksym_rethook_recycle(node);
	else if (node)
		modbpf_ksym_rethook_hook(node, regs);
}

static notrace void on_call(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct functions *f = container_of(ops, struct functions, ops);
	struct pt_regs *regs = ftrace_get_regs(fregs);
	int bit;

	if (!regs || !rcu_is_watching())
		return;
	bit = ftrace_test_recursion_trylock(ip, parent);
	if (bit < 0) {
		count_missed(f);
		return;
	}
	enter(f, ip, parent, regs);
	ftrace_test_recursion_unlock(bit);
}
NOKPROBE_SYMBOL(on_call);

static notrace void on_return(struct rethook_node *node, void *data,
#ifdef MODBPF_HAVE_RETHOOK_POOL
			      unsigned long ret,
#endif
			      struct pt_regs *regs)
{
	struct call *c = container_of(node, struct call, node);
	struct functions *f = data;
	int bit = ftrace_test_recursion_trylock(c->entry, c->parent);

	if (bit < 0) {
		count_missed(f);
		return;
	}
	READ_ONCE(f->fn)(f->priv, regs, c->entry, true, &c->data);
	ftrace_test_recursion_unlock(bit);
}
NOKPROBE_SYMBOL(on_return);

#ifdef MODBPF_HAVE_RETHOOK_POOL
static struct rethook *make_returns(struct functions *f, int calls)
{
	return modbpf_ksym_rethook_alloc(f, on_return, sizeof(struct call), calls);
}
#else
static struct rethook *make_returns(struct functions *f, int calls)
{
	struct rethook *rh = modbpf_ksym_rethook_alloc(f, on_return);
	struct call *c;

	if (!rh)
		return ERR_PTR(-ENOMEM);
	while (calls--) {
		c = kzalloc(sizeof(*c), GFP_KERNEL);
		if (!c) {
			modbpf_ksym_rethook_free(rh);
			return ERR_PTR(-ENOMEM);
		}
		modbpf_ksym_rethook_add_node(rh, &c->node);
		cond_resched();
	}
	return rh;
}
#endif

static notrace int ignore_hit(void *priv, void *regs, u64 func, bool at_return, u64 *data)
{
	return 0;
}
NOKPROBE_SYMBOL(ignore_hit);

/* As many calls a function and CPU as the kernel's own probes have. */
static int set_up_returns(struct functions *f, u32 count)
{
	int calls;

	if (!modbpf_ksym_has_rethook()) {
		port_log(PORT_LOG_INFO, "returns of many functions: this kernel's return hooks were not found");
		return -EOPNOTSUPP;
	}
	if (check_mul_overflow(count, num_possible_cpus() * 2, &calls))
		return -EINVAL;
	f->returns = make_returns(f, calls);
	if (IS_ERR(f->returns)) {
		int ret = PTR_ERR(f->returns);

		f->returns = NULL;
		return ret;
	}
	return 0;
}

/* Takes over the reference to the module. */
static int hold_module(struct functions *f, struct module *mod)
{
	struct module **more = NULL;
	u32 i;

	for (i = 0; i < f->module_count && f->modules[i] != mod; i++)
		;
	if (i == f->module_count)
		more = krealloc_array(f->modules, i + 1, sizeof(*more), GFP_KERNEL);
	if (!more) {
		module_put(mod);
		return i < f->module_count ? 0 : -ENOMEM;
	}
	f->modules = more;
	f->modules[f->module_count++] = mod;
	return 0;
}

static int hold_modules(struct functions *f, const u64 *addrs, u32 count)
{
	struct module *mod;
	int ret = 0;
	u32 i;

	for (i = 0; i < count && !ret; i++) {
		mod = modbpf_ksym_module_at(addrs[i]);
		if (mod)
			ret = IS_ERR(mod) ? PTR_ERR(mod) : hold_module(f, mod);
	}
	return ret;
}

static void functions_free(struct functions *f)
{
	ftrace_free_filter(&f->ops);
	if (f->returns) {
		modbpf_ksym_rethook_free(f->returns);
		synchronize_rcu(); /* who has not seen that it ends calls the handler with preemption off */
	}
	while (f->module_count)
		module_put(f->modules[--f->module_count]);
	kfree(f->modules);
	kfree(f);
}

static void functions_detach(struct port_event *event)
{
	struct functions *f = container_of(event, struct functions, event);

	if (!unregister_ftrace_function(&f->ops)) {
		functions_free(f);
		return;
	}
	port_log(PORT_LOG_ERR, "a probe at functions cannot be taken out; the module stays loaded for it");
	__module_get(THIS_MODULE);
	WRITE_ONCE(f->fn, ignore_hit);
	synchronize_rcu();
}

static u64 functions_missed(struct port_event *event)
{
	return READ_ONCE(container_of(event, struct functions, event)->missed);
}

static int put_in(struct functions *f, const struct port_functions_spec *spec)
{
	int ret = hold_modules(f, spec->addrs, spec->count);

	if (ret)
		return ret;
	BUILD_BUG_ON(sizeof(*spec->addrs) != sizeof(unsigned long));
	ret = ftrace_set_filter_ips(&f->ops, (unsigned long *)spec->addrs, spec->count, 0, 0);
	if (!ret && spec->at_return)
		ret = set_up_returns(f, spec->count);
	return ret ?: register_ftrace_function(&f->ops);
}

int port_functions_attach(const struct port_functions_spec *spec, port_functions_fn fn, void *priv, struct port_event **out)
{
	struct functions *f;
	int ret;

	f = modbpf_event_alloc(sizeof(*f), functions_detach);
	if (!f)
		return -ENOMEM;
	f->event.missed = functions_missed;
	f->ops.func = on_call;
	f->ops.flags = FTRACE_OPS_FL_SAVE_REGS;
	f->fn = fn;
	f->priv = priv;
	f->at_entry = spec->at_entry;
	ret = put_in(f, spec);
	if (ret) {
		functions_free(f);
		return ret;
	}
	*out = &f->event;
	return 0;
}

int port_function_find(const char *name, u64 *addr)
{
	*addr = modbpf_ksym_traceable(name);
	return *addr ? 0 : -ESRCH;
}
