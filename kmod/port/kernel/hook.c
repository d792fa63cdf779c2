// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks at the entry of the kernel's functions: the call that the compiler left there for the function tracer goes to our text
 * (ftrace's direct calls). One ftrace_ops a hook. A hook at a function of a module holds the module.
 */
#include "port/kernel/internal.h"

#include <linux/ftrace.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#define CALL_SIZE 5 /* the call, or the no-op in its place */

struct port_hook {
	struct ftrace_ops ops;
	unsigned long entry; /* the function's address */
	unsigned long site;  /* of the call */
	unsigned long text;  /* what it calls; 0: nothing of ours */
	struct port_module *module; /* held; NULL: the kernel's own */
};

/* Before 6.2 what takes an ftrace_ops has names of its own. */
#ifndef MODBPF_HAVE_FTRACE_DIRECT_OPS
#define register_ftrace_direct register_ftrace_direct_multi
#define modify_ftrace_direct modify_ftrace_direct_multi
#define unregister_ftrace_direct(ops, addr, free_filters) unregister_ftrace_direct_multi(ops, addr)
#endif

static int hook_init(struct port_hook *h, const char *name, struct port_module *of)
{
	if (of && !port_module_hold(of))
		return -ENOENT;
	h->module = of;
	h->entry = of ? modbpf_module_function(of, name) : modbpf_ksym_function(name);
	if (!h->entry)
		return -ENOENT;
	h->site = modbpf_ksym_ftrace_site(h->entry);
	return h->site ? 0 : -EBUSY;
}

static void hook_free(struct port_hook *h)
{
	port_module_release(h->module);
	kfree(h);
}

int port_hook_create(const char *name, struct port_module *of, struct port_hook **out)
{
	struct port_hook *h;
	int ret;

	if (modbpf_fail_nth())
		return -ENOMEM;
	h = kzalloc(sizeof(*h), GFP_KERNEL_ACCOUNT);
	if (!h)
		return -ENOMEM;
	ret = hook_init(h, name, of);
	if (ret)
		hook_free(h);
	else
		*out = h;
	return ret;
}

u64 port_hook_entry(struct port_hook *h)
{
	return h->entry;
}

u64 port_hook_body(struct port_hook *h)
{
	return h->site + CALL_SIZE;
}

static int take_out(struct port_hook *h)
{
	int ret = unregister_ftrace_direct(&h->ops, h->text, false);

	if (!ret) {
		ftrace_free_filter(&h->ops);
		h->text = 0;
	}
	return ret;
}

int port_hook_set(struct port_hook *h, void *text)
{
	int ret;

	if (!text)
		return h->text ? take_out(h) : 0;
	if (h->text) {
		ret = modify_ftrace_direct(&h->ops, (unsigned long)text);
	} else {
		ret = ftrace_set_filter_ip(&h->ops, h->site, 0, 1);
		if (!ret)
			ret = register_ftrace_direct(&h->ops, (unsigned long)text);
		if (ret)
			ftrace_free_filter(&h->ops);
	}
	if (!ret)
		h->text = (unsigned long)text;
	return ret;
}

void port_hook_destroy(struct port_hook *h)
{
	if (!h)
		return;
	if (h->text && take_out(h)) {
		port_log(PORT_LOG_ERR, "the hook at %pS cannot be taken out; it is lost", (void *)h->entry);
		return;
	}
	hook_free(h);
}

void port_tasks_synchronize(void)
{
	synchronize_rcu_tasks();
}
