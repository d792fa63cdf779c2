// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executable text: module-space memory, written while it is read-write and not executable, then read-only and
 * executable, never both. Task context with interrupts on: page attributes change on every CPU.
 *
 * Before it goes back, text loses execute first and then becomes writable again, in the kernel's direct map too. Where that
 * fails, the memory is leaked: giving it back read-only would crash whoever gets it next.
 */
#include "port/kernel/internal.h"

#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>

#define INT3 0xcc
#define TEXT_MAX SZ_64M /* far beyond one image; keeps page counts within int */

void *port_text_alloc(size_t size)
{
	size_t bytes = PAGE_ALIGN(size);
	void *text;

	if (!size || size > TEXT_MAX || !modbpf_has_text() || modbpf_fail_nth())
		return NULL;
	text = modbpf_ksym_text_alloc(bytes);
	if (text)
		memset(text, INT3, bytes);
	return text;
}

int port_text_seal(void *text, size_t size)
{
	int pages = PAGE_ALIGN(size) >> PAGE_SHIFT;
	int ret;

	ret = modbpf_ksym_set_memory_ro(text, pages);
	if (!ret)
		ret = modbpf_ksym_set_memory_x(text, pages);
	return ret;
}

void port_text_free(void *text, size_t size)
{
	int pages = PAGE_ALIGN(size) >> PAGE_SHIFT;

	if (!text)
		return;
	if (modbpf_ksym_set_memory_nx(text, pages) || modbpf_ksym_set_memory_rw(text, pages)) {
		port_log(PORT_LOG_ERR, "cannot make %d pages of text writable again; they are lost", pages);
		return;
	}
	modbpf_ksym_text_free(text);
}

#if defined(CONFIG_RETPOLINE) || defined(CONFIG_MITIGATION_RETPOLINE)
/* In register-number order, each declared by asm/nospec-branch.h; rsp can be no jump target. */
static void *const retpolines[16] = {
	&__x86_indirect_thunk_rax, &__x86_indirect_thunk_rcx, &__x86_indirect_thunk_rdx, &__x86_indirect_thunk_rbx,
	NULL,			   &__x86_indirect_thunk_rbp, &__x86_indirect_thunk_rsi, &__x86_indirect_thunk_rdi,
	&__x86_indirect_thunk_r8,  &__x86_indirect_thunk_r9,  &__x86_indirect_thunk_r10, &__x86_indirect_thunk_r11,
	&__x86_indirect_thunk_r12, &__x86_indirect_thunk_r13, &__x86_indirect_thunk_r14, &__x86_indirect_thunk_r15,
};

static void take_indirect_thunks(struct port_jit_env *env)
{
	u64 its = 0;
	int reg;

	for (reg = 0; reg < 16; reg++)
		if (cpu_feature_enabled(X86_FEATURE_RETPOLINE))
			env->indirect_thunk[reg] = (unsigned long)retpolines[reg];
#ifdef MODBPF_HAVE_ITS_THUNK
	/* Indirect target selection: these thunks lie in the upper half of a cache line, and they win over retpolines. */
	if (cpu_feature_enabled(X86_FEATURE_INDIRECT_THUNK_ITS))
		its = port_ksym_lookup("__x86_indirect_its_thunk_array");
	for (reg = 0; its && reg < 16; reg++)
		env->indirect_thunk[reg] = its + reg * sizeof(its_thunk_t);
#endif
	env->indirect_thunk[4] = 0;
}
#else
static void take_indirect_thunks(struct port_jit_env *env)
{
}
#endif

#ifdef MODBPF_HAVE_PCPU_HOT
#define CPU_NUMBER pcpu_hot.cpu_number
#define CURRENT_TASK pcpu_hot.current_task
#else
#define CPU_NUMBER cpu_number
#define CURRENT_TASK current_task
#endif

/*
 * The addresses of per-CPU symbols are distances from gs. What a load there gives is compared with what the kernel says, here, once an
 * image: whatever a kernel may change, code that reads something else is not made.
 */
static void take_per_cpu(struct port_jit_env *env)
{
	unsigned long cpu = (unsigned long)&CPU_NUMBER, task = (unsigned long)&CURRENT_TASK, offset = (unsigned long)&this_cpu_off;
	unsigned long distance;
	unsigned int number;
	void *found;

	if (cpu != (int)cpu || task != (int)task || offset != (int)offset)
		return;
	preempt_disable();
	asm volatile("movq %%gs:(%1), %0" : "=r"(distance) : "r"(offset));
	asm volatile("movl %%gs:(%1), %0" : "=r"(number) : "r"(cpu));
	asm volatile("movq %%gs:(%1), %0" : "=r"(found) : "r"(task));
	env->per_cpu.known = number == raw_smp_processor_id() && found == current &&
			     distance == per_cpu_offset(raw_smp_processor_id());
	preempt_enable();
	env->per_cpu.segment = 0x65;
	env->per_cpu.cpu = (int)cpu;
	env->per_cpu.current_task = (int)task;
	env->per_cpu.offset = (int)offset;
	env->per_cpu.pid = offsetof(struct task_struct, pid);
	env->per_cpu.tgid = offsetof(struct task_struct, tgid);
}

void port_jit_env(struct port_jit_env *out)
{
	memset(out, 0, sizeof(*out));
	out->rel32 = true;
	out->endbr = IS_ENABLED(CONFIG_X86_KERNEL_IBT);
	out->sls = IS_ENABLED(CONFIG_SLS) || IS_ENABLED(CONFIG_MITIGATION_SLS);
	out->bmi2 = boot_cpu_has(X86_FEATURE_BMI2);
	take_indirect_thunks(out);
	take_per_cpu(out);
#if defined(CONFIG_RETHUNK) || defined(CONFIG_MITIGATION_RETHUNK)
	if (cpu_feature_enabled(X86_FEATURE_RETHUNK)) {
		/* The thunk that the kernel chose for this CPU; the exported one is only the default among them. */
		void **chosen = (void **)(unsigned long)port_ksym_lookup("x86_return_thunk");

		out->return_thunk = (unsigned long)(chosen ? *chosen : (void *)&__x86_return_thunk);
	}
#endif
}

static char *jit_passes;
module_param(jit_passes, charp, 0444);
MODULE_PARM_DESC(jit_passes, "passes of the JIT that are on, by name, separated by commas; with '-' in front: all but those");

const char *port_jit_passes(void)
{
	return jit_passes;
}

static int jit_harden;
module_param(jit_harden, int, 0444);
MODULE_PARM_DESC(jit_harden, "constants of programs are blinded: 1: of those without CAP_BPF, 2: of all; net.core.bpf_jit_harden may ask for more");

int port_jit_harden(void)
{
	const int *kernels = modbpf_ksym_jit_harden();

	if (!kernels)
		pr_info_once("net.core.bpf_jit_harden is not known; jit_harden=%d decides\n", jit_harden);
	return kernels ? max(READ_ONCE(*kernels), jit_harden) : jit_harden;
}
