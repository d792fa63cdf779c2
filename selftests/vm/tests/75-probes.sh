# SPDX-License-Identifier: GPL-2.0-only
# K14: the kernel's blacklist and bad places, modules that unload while probed. K5: rmmod again and again while programs are loaded,
# attached and closed; storms of attaching and detaching. Memory returns.
. /t/lib.sh
/t/bin/probes places || status=1
if [ -f /t/dummy.ko ]; then /t/bin/probes module /t/bin/stress.bpf.o /t/dummy.ko || status=1; else ok "probes: # SKIP no module to probe"; fi
/t/bin/probes storm /t/bin/stress.bpf.o 1 >/dev/null || status=1
settle; mark
/t/bin/probes storm /t/bin/stress.bpf.o 10 || status=1
settle; compare storm
# rmmod in a loop against users who come and go.
rm -f /tmp/stop
(
	refused=0 done=0
	while [ ! -e /tmp/stop ]; do
		if rmmod modbpf 2>/dev/null; then done=$((done + 1)); insmod /modbpf.ko; usleep 300000; else refused=$((refused + 1)); fi
	done
	echo "$done $refused" >/tmp/rmmod.count
) &
loop=$!
end=$(($(date +%s) + 12)) latest=$((end + 48)) worked=0 # a slow machine gets more time for its first user
while now=$(date +%s); [ "$now" -lt $end ] || { [ $worked = 0 ] && [ "$now" -lt $latest ]; }; do
	/t/bin/churn /t/bin/stress.bpf.o 1 >/tmp/churn.out 2>&1
	/t/bin/hooks /t/bin/stress.bpf.o 0.3 kprobe:vfs_read raw_tp:sched_switch tp:sched:sched_waking >/dev/null 2>&1 && worked=$((worked + 1))
done
touch /tmp/stop; wait $loop
read -r done refused </tmp/rmmod.count
if [ "$done" -gt 0 ] && [ "$refused" -gt 0 ] && [ $worked -gt 0 ]; then ok "rmmod: $done times, refused $refused times, $worked users worked"
else not_ok "rmmod: $done times, refused $refused times, $worked users worked"; fi
lsmod | grep -q '^modbpf' || insmod /modbpf.ko
exit $status
