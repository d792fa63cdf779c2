// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw tracepoint events: probe functions hung directly on a tracepoint. A tracepoint calls probe(data, its arguments...);
 * here that is one function an argument count, every argument taken as a 64-bit word (the upper bits of a narrower one are
 * whatever the register or stack slot held).
 *
 * Tracepoints of modules: a notifier keeps the list of modules that have some, under `modules_lock`; an attached event
 * holds a reference to its module.
 */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

struct raw_tp_event {
	struct port_event event;
	struct tracepoint *tp;
	struct module *module; /* NULL: the kernel's own tracepoint */
	void *probe;
	port_raw_tp_fn fn;
	void *priv;
};

static __always_inline void run(struct raw_tp_event *e, u64 *args)
{
	preempt_disable_notrace();
	e->fn(e->priv, args);
	preempt_enable_notrace();
}

#define ARGS_0
#define ARGS_1 , u64 a1
#define ARGS_2 ARGS_1, u64 a2
#define ARGS_3 ARGS_2, u64 a3
#define ARGS_4 ARGS_3, u64 a4
#define ARGS_5 ARGS_4, u64 a5
#define ARGS_6 ARGS_5, u64 a6
#define ARGS_7 ARGS_6, u64 a7
#define ARGS_8 ARGS_7, u64 a8
#define ARGS_9 ARGS_8, u64 a9
#define ARGS_10 ARGS_9, u64 a10
#define ARGS_11 ARGS_10, u64 a11
#define ARGS_12 ARGS_11, u64 a12
#define WORDS_0 0
#define WORDS_1 a1
#define WORDS_2 WORDS_1, a2
#define WORDS_3 WORDS_2, a3
#define WORDS_4 WORDS_3, a4
#define WORDS_5 WORDS_4, a5
#define WORDS_6 WORDS_5, a6
#define WORDS_7 WORDS_6, a7
#define WORDS_8 WORDS_7, a8
#define WORDS_9 WORDS_8, a9
#define WORDS_10 WORDS_9, a10
#define WORDS_11 WORDS_10, a11
#define WORDS_12 WORDS_11, a12

#define RAW_TP_PROBE(n)							\
static notrace void raw_tp_##n(void *data ARGS_##n)			\
{									\
	u64 args[] = { WORDS_##n };					\
									\
	run(data, args);						\
}									\
NOKPROBE_SYMBOL(raw_tp_##n)

RAW_TP_PROBE(0);
RAW_TP_PROBE(1);
RAW_TP_PROBE(2);
RAW_TP_PROBE(3);
RAW_TP_PROBE(4);
RAW_TP_PROBE(5);
RAW_TP_PROBE(6);
RAW_TP_PROBE(7);
RAW_TP_PROBE(8);
RAW_TP_PROBE(9);
RAW_TP_PROBE(10);
RAW_TP_PROBE(11);
RAW_TP_PROBE(12);

static void *const probes[PORT_RAW_TP_MAX_ARGS + 1] = {
	raw_tp_0, raw_tp_1, raw_tp_2, raw_tp_3, raw_tp_4, raw_tp_5, raw_tp_6,
	raw_tp_7, raw_tp_8, raw_tp_9, raw_tp_10, raw_tp_11, raw_tp_12,
};

/* ---- look-up ---------------------------------------------------------------------------------------------- */

struct tp_owner {
	struct list_head node;
	struct module *module;
};

static DEFINE_MUTEX(modules_lock);
static LIST_HEAD(modules);

struct search {
	const char *name;
	struct tracepoint *found;
};

static void match_kernel_tp(struct tracepoint *tp, void *priv)
{
	struct search *s = priv;

	if (!s->found && !strcmp(tp->name, s->name))
		s->found = tp;
}

static struct tracepoint *match_module_tp(struct module *mod, const char *name)
{
	unsigned int i;

	for (i = 0; i < mod->num_tracepoints; i++) {
		struct tracepoint *tp = tracepoint_ptr_deref(&mod->tracepoints_ptrs[i]);

		if (!strcmp(tp->name, name))
			return tp;
	}
	return NULL;
}

struct tracepoint *modbpf_kernel_tracepoint(const char *name)
{
	struct search s = { .name = name };

	for_each_kernel_tracepoint(match_kernel_tp, &s);
	return s.found;
}

/* The tracepoint called name; *mod is its module, with a reference, or NULL. */
static struct tracepoint *find_tp(const char *name, struct module **mod)
{
	struct tracepoint *found = modbpf_kernel_tracepoint(name);
	struct tp_owner *m;

	*mod = NULL;
	if (found)
		return found;
	mutex_lock(&modules_lock);
	list_for_each_entry(m, &modules, node) {
		found = match_module_tp(m->module, name);
		if (!found)
			continue;
		/* One that is being initialised may yet fail, and then goes whoever holds it. */
		if (m->module->state == MODULE_STATE_LIVE && try_module_get(m->module))
			*mod = m->module;
		else
			found = NULL;
		break;
	}
	mutex_unlock(&modules_lock);
	return found;
}

bool port_raw_tp_exists(const char *name)
{
	struct module *mod;
	bool found = find_tp(name, &mod);

	module_put(mod);
	return found;
}

static int on_module(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = ((const struct tp_module *)data)->mod;
	struct tp_owner *m, *next;

	if (mod == THIS_MODULE) /* a program on the engine's own tracepoint would feed itself */
		return NOTIFY_DONE;
	mutex_lock(&modules_lock);
	if (action == MODULE_STATE_COMING) {
		m = kzalloc(sizeof(*m), GFP_KERNEL);
		if (m) {
			m->module = mod;
			list_add_tail(&m->node, &modules);
		} else {
			port_log(PORT_LOG_WARN, "no memory: the tracepoints of module %s are not seen", mod->name);
		}
	} else if (action == MODULE_STATE_GOING) {
		list_for_each_entry_safe(m, next, &modules, node) {
			if (m->module != mod)
				continue;
			list_del(&m->node);
			kfree(m);
		}
	}
	mutex_unlock(&modules_lock);
	return NOTIFY_DONE;
}

static struct notifier_block module_notifier = { .notifier_call = on_module };

int modbpf_raw_tp_init(void)
{
	/* Also tells of the modules that are there already. */
	return register_tracepoint_module_notifier(&module_notifier);
}

void modbpf_raw_tp_exit(void)
{
	struct tp_owner *m, *next;

	unregister_tracepoint_module_notifier(&module_notifier);
	list_for_each_entry_safe(m, next, &modules, node)
		kfree(m);
	INIT_LIST_HEAD(&modules);
}

/* ---- attach ----------------------------------------------------------------------------------------------- */

static void detach(struct port_event *event)
{
	struct raw_tp_event *e = container_of(event, struct raw_tp_event, event);

	tracepoint_probe_unregister(e->tp, e->probe, e);
	tracepoint_synchronize_unregister();
	module_put(e->module);
	kfree(e);
}

int port_raw_tp_attach(const char *name, unsigned int nargs, port_raw_tp_fn fn, void *priv, struct port_event **out)
{
	struct raw_tp_event *e;
	int ret;

	if (nargs > PORT_RAW_TP_MAX_ARGS)
		return -EINVAL;
	if (modbpf_fail_nth())
		return -ENOMEM;
	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->event.detach = detach;
	e->probe = probes[nargs];
	e->fn = fn;
	e->priv = priv;
	e->tp = find_tp(name, &e->module);
	ret = e->tp ? tracepoint_probe_register(e->tp, e->probe, e) : -ENOENT;
	if (ret) {
		module_put(e->module);
		kfree(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}
