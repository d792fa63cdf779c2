// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: start-up ladder, /dev/modbpf, and the way out.
 *
 * Every open file of the device and of the core's classes holds a module reference, so exit runs when none is left. What
 * their last close deferred may still be on its way; exit waits for it before and after the core goes.
 */
#include "port/kernel/internal.h"

#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/security.h>
#include <linux/uaccess.h>

#include "cmd/core.h"
#include "modbpf.h"

static long ioctl_bpf(void __user *arg)
{
	struct modbpf_bpf a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	return modbpf_core_bpf(a.cmd, a.attr, a.size);
}

static long ioctl_perf_event_open(void __user *arg)
{
	struct modbpf_perf_event_open a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.pad)
		return -EINVAL;
	return modbpf_core_perf_event_open(a.attr, a.pid, a.cpu, a.group_fd, a.flags);
}

static long ioctl_features(void __user *arg)
{
	struct modbpf_features a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.pad)
		return -EINVAL;
	return modbpf_core_features(a.buf, a.size);
}

int modbpf_check_lockdown(void)
{
	return security_locked_down(LOCKDOWN_BPF_READ_KERNEL);
}

static int device_open(struct inode *inode, struct file *file)
{
	return modbpf_check_lockdown();
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;
	int ret = modbpf_check_lockdown();

	if (ret)
		return ret;
	switch (cmd) {
	case MODBPF_IOC_VERSION:
		return MODBPF_ABI_VERSION;
	case MODBPF_IOC_BPF:
		return ioctl_bpf(uarg);
	case MODBPF_IOC_PERF_EVENT_OPEN:
		return ioctl_perf_event_open(uarg);
	case MODBPF_IOC_FEATURES:
		return ioctl_features(uarg);
	case MODBPF_IOC_REDIRECT:
		return modbpf_redirect_this();
	default:
		return -ENOTTY;
	}
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl, /* the structures are the same for 32-bit callers */
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "modbpf",
	.fops = &device_fops,
	.mode = 0600,
};

#ifdef MODBPF_DEBUG
static int fail_nth_set(const char *val, const struct kernel_param *kp)
{
	unsigned long long n;
	int ret = kstrtoull(val, 0, &n);

	if (!ret)
		port_fail_nth_set(n);
	return ret;
}

static const struct kernel_param_ops fail_nth_ops = { .set = fail_nth_set };
module_param_cb(fail_nth, &fail_nth_ops, NULL, 0200);
MODULE_PARM_DESC(fail_nth, "let the n-th allocation from now fail (tests)");
#endif

static int __init modbpf_init(void)
{
	int ret;

	/* CPU ids are used as indexes below the count of possible CPUs. */
	if (num_possible_cpus() != nr_cpu_ids) {
		pr_err("the ids of the possible CPUs have gaps: not supported\n");
		return -ENODEV;
	}
	modbpf_random_init();
	ret = modbpf_work_init();
	if (ret)
		return ret;
	modbpf_ksym_init();
	modbpf_signals_init();
	modbpf_objects_init();
	modbpf_stack_init();
	modbpf_vma_init();
	ret = modbpf_tracepoint_init();
	if (ret)
		goto no_tracepoint;
	ret = modbpf_raw_tp_init();
	if (ret)
		goto no_raw_tp;
	ret = modbpf_modules_init();
	if (ret)
		goto no_modules;
	ret = modbpf_core_init();
	if (ret)
		goto no_core;
	ret = modbpf_pin_init();
	if (ret)
		goto no_pins;
	ret = modbpf_redirect_init();
	if (ret)
		goto no_redirect;
	ret = misc_register(&device);
	if (ret)
		goto no_device;
	return 0;

no_device:
	modbpf_redirect_exit();
no_redirect:
	modbpf_pin_exit();
no_pins:
	modbpf_core_exit();
no_core:
	modbpf_modules_exit();
no_modules:
	modbpf_raw_tp_exit();
no_raw_tp:
	modbpf_tracepoint_exit();
no_tracepoint:
	modbpf_quiesce();
	modbpf_work_exit();
	port_file_class_unregister_all();
	modbpf_log_exit();
	modbpf_memory_exit();
	return ret;
}

static void __exit modbpf_exit(void)
{
	misc_deregister(&device);
	modbpf_redirect_exit();
	modbpf_pin_exit();
	modbpf_quiesce();
	modbpf_core_exit();
	modbpf_signals_flush();
	modbpf_objects_flush();
	modbpf_vma_flush();
	modbpf_modules_exit();
	modbpf_raw_tp_exit();
	modbpf_tracepoint_exit();
	modbpf_quiesce();
	modbpf_work_exit();
	port_file_class_unregister_all();
	modbpf_log_exit();
	modbpf_memory_exit();
}

module_init(modbpf_init);
module_exit(modbpf_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("eBPF: verifier, JIT, maps and events, independent of the kernel's own");
