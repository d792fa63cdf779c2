// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call chains, in any context: the kernel's through its own unwinder, the user's by frame pointers, as perf does it.
 *
 * The registers of an event are either the machine's own, of which the unwinder knows all, or those of a call site that perf made
 * up (instruction and stack pointer only): their flags lack the bit that hardware always sets, and the chain is then unwound from
 * here and begins where the stack pointer says.
 *
 * A trampoline's image, which the unwinder gets through by its frame pointer and takes for no text, may lie between what ran the program
 * and the traced function: such frames are left out where a chain begins.
 *
 * At a system call's tracepoint the probe is ours, where perf's is for Linux's programs (syscall_tp.c). A chain begins with perf's all the
 * same, so that what reads chains finds the place under the name it knows, and goes on with what called ours.
 */
#include "port/kernel/internal.h"

#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/unwind.h>

struct chain {
	u64 *ips;
	u32 skip, left, stored;
};

static notrace bool chain_add(struct chain *c, u64 ip)
{
	if (c->skip) {
		c->skip--;
		return true;
	}
	if (!c->left)
		return false;
	c->left--;
	c->ips[c->stored++] = ip;
	return true;
}

static notrace void follow(struct chain *c, struct unwind_state *state)
{
	unsigned long ip;
	bool begun = false;

	for (; !unwind_done(state); unwind_next_frame(state)) {
		ip = unwind_get_return_address(state);
		if (ip ? !chain_add(c, ip) : begun)
			return;
		begun |= ip != 0;
	}
}

struct pt_regs modbpf_at_system_call[2]; /* stand for registers at an entry and at an exit: never read, and none of the user's */
static struct modbpf_range probes[2]; /* ours; these are constant after init */
static u64 stand_ins[2];

void modbpf_stack_init(void)
{
	static const char *const perf_probes[] = { "perf_syscall_enter", "perf_syscall_exit" };
	struct modbpf_range range;
	int i;

	for (i = 0; i < 2; i++) {
		range = modbpf_ksym_range(perf_probes[i]);
		stand_ins[i] = range.start ? range.start + range.size / 2 : 0; /* a return address: not the first byte */
		probes[i] = modbpf_ksym_range_at(modbpf_syscall_probe(i));
	}
}

static notrace void system_call_chain(struct chain *c, int side, void *frame)
{
	struct unwind_state state;

	unwind_start(&state, current, NULL, frame);
	while (!unwind_done(&state) && unwind_get_return_address(&state) - probes[side].start >= probes[side].size)
		unwind_next_frame(&state);
	if (unwind_done(&state)) {
		unwind_start(&state, current, NULL, frame);
	} else if (stand_ins[side]) {
		chain_add(c, stand_ins[side]);
		unwind_next_frame(&state);
	}
	follow(c, &state);
}

static notrace void kernel_chain(struct chain *c, struct pt_regs *regs, void *frame)
{
	struct unwind_state state;

	if (regs >= modbpf_at_system_call && regs < modbpf_at_system_call + 2) {
		system_call_chain(c, regs - modbpf_at_system_call, frame);
		return;
	}
	if (regs && user_mode(regs))
		return;
	if (regs && !chain_add(c, regs->ip))
		return;
	if (regs && (regs->flags & X86_EFLAGS_FIXED))
		unwind_start(&state, current, regs, NULL);
	else
		unwind_start(&state, current, NULL, regs ? (void *)regs->sp : frame);
	follow(c, &state);
}

/* One frame of the user's: where the caller's is, and where the call returns to. */
static notrace bool user_frame(u64 at, bool is_32bit, u64 *next, u64 *ip)
{
	u64 wide[2];
	u32 narrow[2];

	if (is_32bit) {
		if (port_probe_read_user(narrow, at, sizeof(narrow)))
			return false;
		*next = narrow[0];
		*ip = narrow[1];
		return true;
	}
	if (port_probe_read_user(wide, at, sizeof(wide)))
		return false;
	*next = wide[0];
	*ip = wide[1];
	return true;
}

static notrace void user_chain(struct chain *c, struct pt_regs *regs)
{
	u64 at, next, ip;
	bool is_32bit;

	if (!regs || !user_mode(regs)) {
		if (!current->mm)
			return;
		regs = task_pt_regs(current);
	}
	is_32bit = regs->cs == __USER32_CS;
	ip = regs->ip;
	at = regs->bp;
	while (chain_add(c, ip) && user_frame(at, is_32bit, &next, &ip))
		at = next;
}

notrace int port_stack_save(void *regs, void *frame, bool user, u32 skip, u64 *ips, u32 n)
{
	struct chain c = { .ips = ips, .skip = skip, .left = n };

	if (user)
		user_chain(&c, regs);
	else
		kernel_chain(&c, regs, frame);
	return c.skip ? -EFAULT : (int)c.stored;
}

static void task_kernel_chain(struct chain *c, struct task_struct *task, void *frame)
{
	struct unwind_state state;

	unwind_start(&state, task, NULL, task == current ? frame : NULL);
	follow(c, &state);
}

notrace int port_task_stack_save(u64 task, void *frame, bool user, u32 skip, u64 *ips, u32 n)
{
	struct task_struct *t = (struct task_struct *)(unsigned long)task;
	struct chain c = { .ips = ips, .skip = skip, .left = n };
	struct pt_regs *regs;
	int ret = 0;

	ret = modbpf_ksym_task_stack_get(t);
	if (ret)
		return ret;
	regs = task_pt_regs(t);
	if (user && !user_mode(regs))
		ret = -EFAULT;
	else if (user && t != current)
		ret = -EOPNOTSUPP;
	else if (user)
		user_chain(&c, regs);
	else
		task_kernel_chain(&c, t, frame);
	modbpf_ksym_task_stack_put(t);
	if (ret)
		return ret;
	return c.skip ? -EFAULT : (int)c.stored;
}
