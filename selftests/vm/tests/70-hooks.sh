# SPDX-License-Identifier: GPL-2.0-only
# K6 and K7: programs that update hashes and wake readers, on the very functions that their helpers, maps and wake-ups call, while
# both CPUs are busy. No deadlock, no stall, nested runs counted as missed.
. /t/lib.sh
echo 10 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout 2>/dev/null
hooks="/t/bin/hooks /t/bin/stress.bpf.o"
# Allocator, RCU, work and wake-up paths of our own.
$hooks 5 '?kprobe:__kmalloc' '?kprobe:__kmalloc_node' '?kprobe:__kmalloc_noprof' '?kprobe:kmem_cache_alloc' \
	'?kprobe:kmem_cache_alloc_noprof' '?kprobe:kfree' '?kprobe:vfree' '?kprobe:call_rcu' '?kprobe:__queue_work' \
	'?kprobe:queue_work_on' '?kprobe:irq_work_queue' '?kprobe:irq_work_run' '?kprobe:irq_work_run_list' || status=1
$hooks 5 '?kprobe:__wake_up' '?kprobe:__wake_up_common' '?kprobe:ep_poll_callback' '?kprobe:try_to_wake_up' \
	'?kprobe:_raw_spin_lock_irqsave' '?kprobe:_raw_spin_unlock_irqrestore' '?kprobe:_raw_spin_trylock' '?kprobe:_raw_spin_lock' \
	|| status=1
$hooks 5 kprobe:copy_from_kernel_nofault kprobe:vfs_read kretprobe:vfs_read '?kprobe:mutex_lock' '?kretprobe:__kmalloc' \
	'?kretprobe:irq_work_queue' tp:kmem:kmalloc tp:kmem:kfree tp:sched:sched_waking raw_tp:sched_switch raw_tp:sched_waking \
	raw_tp:kmem_cache_alloc '?raw_tp:contention_begin' || status=1
# Interrupts: the programs run on top of interrupted programs.
$hooks 5 raw_tp:irq_handler_entry raw_tp:softirq_entry '?raw_tp:local_timer_entry' '?raw_tp:irq_work_entry' '?raw_tp:irq_work_exit' \
	'?raw_tp:reschedule_entry' raw_tp:sys_enter tp:syscalls:sys_enter_getpgid tp:timer:hrtimer_start raw_tp:workqueue_execute_start \
	tp:workqueue:workqueue_queue_work || status=1
exit $status
