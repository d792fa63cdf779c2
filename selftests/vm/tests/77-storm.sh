# SPDX-License-Identifier: GPL-2.0-only
# A storm of attaching and detaching over all kinds of event: vm_cycles= of the kernel's command line, or 150. rmmod is refused all the
# while; afterwards nothing is left: no object, no probe, no memory beyond the slack.
. /t/lib.sh
cycles=$(sed -n 's/.*vm_cycles=\([0-9]*\).*/\1/p' /proc/cmdline)
slack=$((slack * 2)) # the kernel's own caches of what such a storm made it allocate
echo 0 >/proc/sys/kernel/kptr_restrict
echo 100000 >/proc/sys/kernel/perf_event_max_sample_rate
echo 0 >/proc/sys/kernel/perf_cpu_time_max_percent
# What each processor keeps at hand of free pages, up to a twentieth of this memory, the kernel counts neither as free nor as available.
at_hand() { awk '$1 == "count:" {n += $2} END {print n * 4}' /proc/zoneinfo; }
available() { echo $(($(total MemAvailable) + $(at_hand))); }
storm=/t/bin/storm
# Once through all kinds before anything is measured: what the kernel keeps for good, it has then.
$storm /t/bin/storm.bpf.o 100 >/tmp/storm.first 2>&1 || not_ok "storm: the first cycles" "$(cat /tmp/storm.first)" 40
settle
was_left=$($storm left)
mark
was_available=$(available)
# Something is attached all the time, so that every attempt must fail.
$storm hold /t/bin/storm.bpf.o 100000 >/tmp/storm.hold 2>&1 &
hold=$!
for try in $(seq 200); do grep -q 'attached at once' /tmp/storm.hold && break; sleep 1; done
( while [ ! -e /tmp/storm.end ]; do
	rmmod modbpf 2>/dev/null && echo gone >>/tmp/storm.rmmod
	sleep 1
done ) &
$storm /t/bin/storm.bpf.o "${cycles:-150}" || status=1
touch /tmp/storm.end
$storm close /t/bin/storm.bpf.o 10 || status=1
cat /tmp/storm.hold
grep -q '^not ok' /tmp/storm.hold && status=1
[ -e /tmp/storm.rmmod ] && not_ok "storm: the module was unloaded while programs were attached" || ok "storm: rmmod is refused while anything is attached"
kill -9 $hold; wait 2>/dev/null
settle
now_left=$($storm left)
if [ "$now_left" = "$was_left" ]; then ok "storm: left: $now_left"; else not_ok "storm: left: $now_left, before: $was_left"; fi
compare storm
# What the killed processes had, and what waits for grace periods, comes back in a while.
for try in 1 2 3 4 5 6 7 8 9 10; do
	now=$(available)
	[ $((was_available - now)) -gt $((2 * slack)) ] || break
	settle
done
if [ $((was_available - now)) -le $((2 * slack)) ]; then ok "storm: available $was_available -> $now KiB"
else not_ok "storm: available memory fell from $was_available to $now KiB" "$(cat /proc/meminfo)" 60; fi
probes=$(cat /sys/kernel/debug/kprobes/list /sys/kernel/tracing/enabled_functions 2>/dev/null)
if [ -z "$probes" ]; then ok "storm: the kernel lists no probe"; else not_ok "storm: probes that are left" "$probes"; fi
check "storm: the module unloads" rmmod modbpf
insmod /modbpf.ko
scan_dmesg storm || status=1
exit $status
