// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's modules: which are loaded, their types, and holding them.
 *
 * A port_module is a module from its start to its end. A notifier makes one when a module has started and takes it off the list when it
 * goes; those that were there before are found in the kernel's own list. modules_lock: the list, and `module` of what is on it; taken
 * inside the kernel's module_mutex. The types are those that the kernel shows as /sys/kernel/btf/NAME, read through the attribute of
 * that file, so that it does not matter what is mounted where: it is there as long as the module is held.
 */
#include "port/kernel/internal.h"

#include <linux/kallsyms.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

struct port_module {
	struct list_head node;
	struct module *module; /* NULL: it is gone */
	refcount_t refs;       /* the list has one */
	char name[MODULE_NAME_LEN];
};

static DEFINE_MUTEX(modules_lock);
static LIST_HEAD(loaded);
static atomic64_t version = ATOMIC64_INIT(1);

u64 port_modules_version(void)
{
	return atomic64_read(&version);
}

void port_module_put(struct port_module *m)
{
	if (m && refcount_dec_and_test(&m->refs))
		kfree(m);
}

static struct port_module *find_locked(const struct module *module)
{
	struct port_module *m;

	list_for_each_entry(m, &loaded, node)
		if (m->module == module)
			return m;
	return NULL;
}

static void add(struct module *module)
{
	struct port_module *m;

	if (module == THIS_MODULE) /* a program at the engine's own functions would feed itself */
		return;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m) {
		port_log(PORT_LOG_WARN, "no memory: the types of module %s are not seen", module->name);
		return;
	}
	m->module = module;
	refcount_set(&m->refs, 1);
	strscpy(m->name, module->name, sizeof(m->name));
	mutex_lock(&modules_lock);
	if (!find_locked(module)) {
		list_add_tail(&m->node, &loaded);
		m = NULL;
		atomic64_inc(&version);
	}
	mutex_unlock(&modules_lock);
	kfree(m);
}

static void drop_locked(struct port_module *m)
{
	list_del(&m->node);
	m->module = NULL;
	atomic64_inc(&version);
	port_module_put(m);
}

static int on_module(struct notifier_block *nb, unsigned long action, void *data)
{
	struct port_module *m;

	if (action == MODULE_STATE_LIVE) {
		add(data);
	} else if (action == MODULE_STATE_GOING) {
		mutex_lock(&modules_lock);
		m = find_locked(data);
		if (m)
			drop_locked(m);
		mutex_unlock(&modules_lock);
	}
	return NOTIFY_DONE;
}

static struct notifier_block module_notifier = { .notifier_call = on_module };

int modbpf_modules_init(void)
{
	struct mutex *lock;
	struct list_head *all;
	struct module *module;
	int ret = register_module_notifier(&module_notifier);

	if (ret)
		return ret;
	all = modbpf_ksym_modules(&lock);
	if (!all)
		return 0;
	mutex_lock(lock); /* whoever is live now tells when it goes */
	list_for_each_entry(module, all, list)
		if (module->state == MODULE_STATE_LIVE)
			add(module);
	mutex_unlock(lock);
	return 0;
}

void modbpf_modules_exit(void)
{
	struct port_module *m, *next;

	unregister_module_notifier(&module_notifier);
	list_for_each_entry_safe(m, next, &loaded, node)
		drop_locked(m);
}

struct port_module *port_module_at(u32 index)
{
	struct port_module *m, *found = NULL;

	mutex_lock(&modules_lock);
	list_for_each_entry(m, &loaded, node) {
		if (index--)
			continue;
		refcount_inc(&m->refs);
		found = m;
		break;
	}
	mutex_unlock(&modules_lock);
	return found;
}

const char *port_module_name(const struct port_module *m)
{
	return m->name;
}

bool port_module_hold(struct port_module *m)
{
	bool held;

	mutex_lock(&modules_lock);
	held = m->module && try_module_get(m->module);
	if (held)
		refcount_inc(&m->refs);
	mutex_unlock(&modules_lock);
	return held;
}

void port_module_release(struct port_module *m)
{
	if (!m)
		return;
	module_put(m->module); /* it cannot have gone */
	port_module_put(m);
}

unsigned long modbpf_module_function(struct port_module *m, const char *name)
{
	char of_module[MODULE_NAME_LEN + KSYM_NAME_LEN + 1];
	unsigned long addr;

	if (snprintf(of_module, sizeof(of_module), "%s:%s", m->name, name) >= sizeof(of_module))
		return 0;
	addr = port_ksym_lookup(of_module);
	return addr && within_module(addr, m->module) ? addr : 0;
}

bool port_module_has(struct port_module *m, const char *function)
{
	return modbpf_module_function(m, function);
}

/* Of a module that is held. */
static long read_types(struct port_module *m, void *to, size_t size)
{
	struct kobject *dir = modbpf_ksym_btf_dir();
	struct kernfs_node *file = dir ? kernfs_find_and_get(dir->sd, m->name) : NULL;
	struct bin_attribute *types;
	long n = -ENOENT;

	if (!file)
		return n;
	types = file->priv;
	if (kernfs_type(file) == KERNFS_FILE && types->read) {
		n = types->size;
		if (size && size <= n)
			n = types->read(NULL, dir, types, to, 0, size);
	}
	kernfs_put(file);
	return n;
}

long port_module_btf(struct port_module *m, void *to, size_t size)
{
	long n;

	if (!port_module_hold(m))
		return -ENOENT;
	n = read_types(m, to, size);
	port_module_release(m);
	return n;
}
