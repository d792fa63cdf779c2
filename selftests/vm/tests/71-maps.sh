# SPDX-License-Identifier: GPL-2.0-only
# K6 to K8 for the other map types: tries, queues, filters, maps of maps, call chains, storage of tasks, changed by programs on allocator,
# lock and scheduler hooks, by clock samples and in NMIs, and from user space at once.
. /t/lib.sh
echo 10 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout 2>/dev/null
hooks="/t/bin/hooks /t/bin/stressmaps.bpf.o"
$hooks 5 clock:997 kprobe:vfs_read kretprobe:vfs_read raw_tp:sched_switch tp:kmem:kmalloc || status=1
$hooks 5 clock:97 '?kprobe:kmem_cache_alloc' '?kprobe:kmem_cache_alloc_noprof' '?kprobe:kfree' '?kprobe:call_rcu' '?kprobe:__queue_work' \
	'?kprobe:queue_work_on' '?kprobe:irq_work_queue' || status=1
$hooks 5 '?kprobe:_raw_spin_lock_irqsave' '?kprobe:_raw_spin_unlock_irqrestore' '?kprobe:_raw_spin_lock' '?kprobe:try_to_wake_up' \
	raw_tp:sys_enter raw_tp:sched_process_free || status=1
if [ -d /sys/kernel/tracing/events/nmi ]; then
	old=$(cut -f1 /proc/sys/kernel/printk)
	dmesg -n 1
	$hooks 8 tp:nmi:nmi_handler raw_tp:nmi_handler raw_tp:sched_switch kprobe:vfs_read clock:497 >/tmp/busy.out 2>&1 &
	h=$!
	n=0
	while kill -0 $h 2>/dev/null; do echo l >/proc/sysrq-trigger; n=$((n + 1)); usleep 100000; done
	wait $h || status=1
	cat /tmp/busy.out
	[ $n -ge 20 ] && ok "maps: $n NMI requests under load" || not_ok "maps: only $n NMI requests under load"
	scan_asked maps
	dmesg -n "$old"
fi
exit $status
