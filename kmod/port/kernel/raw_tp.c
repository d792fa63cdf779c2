// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw tracepoint events: probe functions hung directly on a tracepoint, which calls probe(data, its arguments...) with preemption off.
 * The probes are the core's, so that nothing stands between.
 *
 * Tracepoints of modules: a notifier keeps the list of modules that have some, under `modules_lock`; an attached event
 * holds a reference to its module.
 */
#include "port/kernel/internal.h"

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
	void *priv;
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

static const struct tracepoint *test_run_end; /* NULL: the kernel has no test runs */

int modbpf_raw_tp_init(void)
{
	test_run_end = modbpf_kernel_tracepoint("bpf_test_finish");
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

/* What programs may write behind the first argument: 0 for most. A tracepoint is in the list of whom it belongs to. */
#ifdef CONFIG_BPF_EVENTS
static u32 writable_size(const struct tracepoint *tp, const struct module *mod)
{
	const struct bpf_raw_event_map *map = NULL;
	unsigned int i, n = modbpf_ksym_raw_tps(&map);

	if (mod) {
		map = mod->bpf_raw_events;
		n = mod->num_bpf_raw_events;
	}
	for (i = 0; i < n; i++)
		if (map[i].tp == tp)
			return map[i].writable_size;
	return 0;
}
#else
static u32 writable_size(const struct tracepoint *tp, const struct module *mod)
{
	return 0;
}
#endif

/* ---- attach ----------------------------------------------------------------------------------------------- */

static void detach(struct port_event *event)
{
	struct raw_tp_event *e = container_of(event, struct raw_tp_event, event);

	tracepoint_probe_unregister(e->tp, e->probe, e->priv);
	tracepoint_synchronize_unregister();
	module_put(e->module);
	kfree(e);
}

int port_raw_tp_attach(const char *name, u32 record, port_raw_tp_fn fn, void *priv, struct port_event **out)
{
	struct raw_tp_event *e;
	int ret;

	e = modbpf_event_alloc(sizeof(*e), detach);
	if (!e)
		return -ENOMEM;
	e->probe = (void *)fn;
	e->priv = priv;
	e->tp = find_tp(name, &e->module);
	if (!e->tp)
		ret = -ENOENT;
	else if (record && record > writable_size(e->tp, e->module))
		ret = -EINVAL;
	else
		ret = tracepoint_probe_register(e->tp, e->probe, e->priv);
	if (ret) {
		module_put(e->module);
		kfree(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}

void port_test_run_ended(int *result)
{
	void (*call)(void *data, int *result) = test_run_end ? test_run_end->iterator : NULL;

	if (!call)
		return;
	preempt_disable_notrace();
	call(NULL, result);
	preempt_enable_notrace();
}
