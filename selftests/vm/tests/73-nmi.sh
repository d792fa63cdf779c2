# SPDX-License-Identifier: GPL-2.0-only
# K8: the same programs in NMIs, which come in the middle of the same programs elsewhere: every operation works or gives up.
. /t/lib.sh
[ -d /sys/kernel/tracing/events/nmi ] || { ok "nmi: # SKIP this kernel has no nmi events"; exit 0; }
old=$(cut -f1 /proc/sys/kernel/printk)
dmesg -n 1
# Every NMI is seen: the backtraces of all other CPUs that the kernel asks for.
/t/bin/hooks /t/bin/stress.bpf.o 5 idle tp:nmi:nmi_handler raw_tp:nmi_handler '?kprobe:nmi_cpu_backtrace' >/tmp/quiet.out 2>&1 &
h=$!
sleep 2
n=0
while [ $n -lt 20 ]; do echo l >/proc/sysrq-trigger; n=$((n + 1)); done
wait $h || status=1
cat /tmp/quiet.out
# With the other CPU inside map operations, buffers and locks most of the time.
/t/bin/hooks /t/bin/stress.bpf.o 12 tp:nmi:nmi_handler raw_tp:nmi_handler raw_tp:sched_switch kprobe:vfs_read \
	raw_tp:sys_enter tp:kmem:kmalloc raw_tp:sched_waking >/tmp/busy.out 2>&1 &
h=$!
n=0
while kill -0 $h 2>/dev/null; do echo l >/proc/sysrq-trigger; n=$((n + 1)); usleep 100000; done
wait $h || status=1
cat /tmp/busy.out
if [ $n -ge 20 ]; then ok "nmi: $n requests under load"; else not_ok "nmi: only $n requests under load"; fi
scan_asked nmi
dmesg -n "$old"
exit $status
