# SPDX-License-Identifier: GPL-2.0-only
# K10: CPUs that go and come while programs are attached; once alone, once under load.
. /t/lib.sh
/t/bin/hotplug /t/bin/events.bpf.o 6 || status=1
/t/bin/hooks /t/bin/stress.bpf.o 8 idle kprobe:vfs_read kretprobe:vfs_read raw_tp:sched_switch tp:sched:sched_waking \
	'?raw_tp:cpuhp_enter' '?raw_tp:local_timer_entry' >/tmp/hooks.out 2>&1 &
h=$!
# libbpf opens one perf buffer for each CPU that is online: a CPU that goes in between is an error of its own.
while kill -0 $h 2>/dev/null && ! grep -q 'buffers open' /tmp/hooks.out; do sleep 0.1; done
n=0
while kill -0 $h 2>/dev/null; do
	echo 0 >/sys/devices/system/cpu/cpu1/online; echo 1 >/sys/devices/system/cpu/cpu1/online
	n=$((n + 1))
done
wait $h || status=1
cat /tmp/hooks.out
if [ $n -ge 1 ]; then ok "hotplug: $n times under load"; else not_ok "hotplug: not once under load"; fi
exit $status
