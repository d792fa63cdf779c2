// SPDX-License-Identifier: GPL-2.0-only
/*
 * kprobe and kretprobe events.
 *
 * A probe is registered disabled, looked at, and then armed, so that its handler never sees it half built. Probes in this
 * module are refused: a program would run inside its own engine. Handlers run with preemption off, so unregistering,
 * which waits for an RCU grace period, waits for them too.
 */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/ibt.h>

/* As tracefs accepts. */
#define MAXACTIVE_MAX 4096

struct kprobe_event {
	struct port_event event;
	port_kprobe_fn fn;
	void *priv;
	u64 func; /* entry of the probed function, 0 when the probe is elsewhere; set before the probe is armed */
	u64 addr; /* of the probe */
	union {
		struct kprobe kp;
		struct kretprobe rp;
	};
	char symbol[]; /* the probe keeps a pointer to its name */
};

static notrace int on_kprobe(struct kprobe *kp, struct pt_regs *regs)
{
	struct kprobe_event *e = container_of(kp, struct kprobe_event, kp);

	READ_ONCE(e->fn)(e->priv, regs, e->func);
	return 0;
}
NOKPROBE_SYMBOL(on_kprobe);

static notrace int on_kretprobe(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct kretprobe *rp = get_kretprobe(ri);
	struct kprobe_event *e;

	if (!rp) /* being unregistered */
		return 0;
	e = container_of(rp, struct kprobe_event, rp);
	READ_ONCE(e->fn)(e->priv, regs, e->func);
	return 0;
}
NOKPROBE_SYMBOL(on_kretprobe);

/* A probe at a function's entry sits behind its endbr64 where there is one. */
static u64 entry_of(const struct kprobe *kp)
{
	unsigned long addr = (unsigned long)kp->addr;
	u32 before;

	if (!(kp->flags & KPROBE_FLAG_ON_FUNC_ENTRY))
		return 0;
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) &&
	    !get_kernel_nofault(before, (u32 *)(addr - sizeof(u32))) && is_endbr(before))
		addr -= sizeof(u32);
	return addr;
}

static notrace void ignore_hit(void *priv, void *regs, u64 func)
{
}
NOKPROBE_SYMBOL(ignore_hit);

/*
 * The kernel says by a null address that it could not disarm the probe (it needs memory to change the code). The probe
 * then stays for good, and with it its structure and this module; only its owner's handler goes.
 */
static void free_event(struct kprobe_event *e, const struct kprobe *kp)
{
	if (kp->addr) {
		kfree(e);
		return;
	}
	port_log(PORT_LOG_ERR, "a probe could not be disarmed; the module stays loaded for it");
	__module_get(THIS_MODULE);
	WRITE_ONCE(e->fn, ignore_hit);
	synchronize_rcu();
}

static void kprobe_detach(struct port_event *event)
{
	struct kprobe_event *e = container_of(event, struct kprobe_event, event);

	unregister_kprobe(&e->kp);
	free_event(e, &e->kp);
}

static void kretprobe_detach(struct port_event *event)
{
	struct kprobe_event *e = container_of(event, struct kprobe_event, event);

	unregister_kretprobe(&e->rp);
	free_event(e, &e->rp.kp);
}

static u64 kprobe_missed(struct port_event *event)
{
	return container_of(event, struct kprobe_event, event)->kp.nmissed;
}

static u64 kretprobe_missed(struct port_event *event)
{
	struct kprobe_event *e = container_of(event, struct kprobe_event, event);

	return e->rp.nmissed + e->rp.kp.nmissed;
}

static void target(struct kprobe_event *e, struct kprobe *kp, const struct port_kprobe_spec *spec)
{
	if (spec->symbol)
		kp->symbol_name = e->symbol;
	else
		kp->addr = (kprobe_opcode_t *)(unsigned long)spec->addr;
	kp->offset = spec->offset;
	kp->flags = KPROBE_FLAG_DISABLED;
}

static int add_kprobe(struct kprobe_event *e, const struct port_kprobe_spec *spec)
{
	int ret;

	target(e, &e->kp, spec);
	e->kp.pre_handler = on_kprobe;
	ret = register_kprobe(&e->kp);
	if (ret)
		return ret;
	e->event.missed = kprobe_missed;
	e->func = entry_of(&e->kp);
	e->addr = (unsigned long)e->kp.addr;
	ret = within_module((unsigned long)e->kp.addr, THIS_MODULE) ? -EINVAL : enable_kprobe(&e->kp);
	if (ret)
		unregister_kprobe(&e->kp);
	return ret;
}

static int add_kretprobe(struct kprobe_event *e, const struct port_kprobe_spec *spec)
{
	int ret;

	target(e, &e->rp.kp, spec);
	e->rp.handler = on_kretprobe;
	e->rp.maxactive = spec->maxactive;
	ret = register_kretprobe(&e->rp);
	if (ret)
		return ret;
	e->event.missed = kretprobe_missed;
	e->func = entry_of(&e->rp.kp);
	e->addr = (unsigned long)e->rp.kp.addr;
	ret = within_module((unsigned long)e->rp.kp.addr, THIS_MODULE) ? -EINVAL : enable_kretprobe(&e->rp);
	if (ret)
		unregister_kretprobe(&e->rp);
	return ret;
}

u64 port_kprobe_addr(struct port_event *event)
{
	return container_of(event, struct kprobe_event, event)->addr;
}

/*
 * Events on functions that the kernel closed to tracing are refused, as the kernel refuses its own: the tracer's machinery and
 * what it calls is among them. A part of a function that the compiler moved away ("f.cold") goes by the function's own name.
 */
static bool is_notrace(const struct port_kprobe_spec *spec)
{
	unsigned long base = spec->symbol ? port_ksym_lookup(spec->symbol) : 0;
	unsigned long addr = spec->symbol ? base + spec->offset : spec->addr;
	char name[KSYM_NAME_LEN];
	char *dot;

	if (IS_ENABLED(CONFIG_KPROBE_EVENTS_ON_NOTRACE) || (spec->symbol && !base) || !modbpf_ksym_notrace(addr))
		return false;
	snprintf(name, sizeof(name), "%ps", (void *)addr);
	dot = strchr(name, '.');
	if (!dot)
		return true;
	*dot = '\0';
	addr = port_ksym_lookup(name);
	return !addr || modbpf_ksym_notrace(addr);
}

int port_kprobe_attach(const struct port_kprobe_spec *spec, port_kprobe_fn fn, void *priv, struct port_event **out)
{
	size_t len = spec->symbol ? strlen(spec->symbol) : 0;
	struct kprobe_event *e;
	int ret;

	if ((!spec->symbol && !spec->addr) || spec->offset > UINT_MAX || spec->maxactive < 0 ||
	    spec->maxactive > MAXACTIVE_MAX)
		return -EINVAL;
	ret = security_locked_down(LOCKDOWN_KPROBES);
	if (ret)
		return ret;
	/* One name, several functions: nobody could say which one was meant. */
	if (spec->symbol && modbpf_ksym_count(spec->symbol) > 1)
		return -EADDRNOTAVAIL;
	if (is_notrace(spec))
		return -EINVAL;
	e = modbpf_event_alloc(struct_size(e, symbol, len + 1), spec->retprobe ? kretprobe_detach : kprobe_detach);
	if (!e)
		return -ENOMEM;
	if (spec->symbol)
		memcpy(e->symbol, spec->symbol, len);
	e->fn = fn;
	e->priv = priv;
	ret = spec->retprobe ? add_kretprobe(e, spec) : add_kprobe(e, spec);
	if (ret) {
		kfree(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}
