# SPDX-License-Identifier: GPL-2.0-only
# Leak check: load, attach, detach and free as often as fits in half a minute, then insmod and rmmod as often as fits in the other half;
# slab, vmalloc and per-CPU totals return to where they were.
. /t/lib.sh
settle() {
	sync; echo 3 >/proc/sys/vm/drop_caches; sleep 2; echo 3 >/proc/sys/vm/drop_caches; sleep 1
}
total() { awk -v key="$1:" '$1 == key {print $2}' /proc/meminfo; }
# The kernel's own growth between two readings of an idle guest is some hundred KiB; a leak of one page a cycle would be megabytes.
slack=1024
# A debug kernel keeps what was freed for a while, and what it noted of it.
[ ! -e /proc/lockdep ] || slack=8192
compare() {
	for k in SUnreclaim VmallocUsed Percpu; do
		eval "was=\$was_$k"
		now=$(total $k)
		if [ $((now - was)) -le $slack ]; then ok "$1: $k $was -> $now KiB"; else not_ok "$1: $k grew from $was to $now KiB"; fi
	done
}
mark() { for k in SUnreclaim VmallocUsed Percpu; do eval "was_$k=$(total $k)"; done; }
/t/bin/churn /t/bin/events.bpf.o 2 >/dev/null
settle; mark
/t/bin/churn /t/bin/events.bpf.o 30 || status=1
settle; compare "leak: load cycles"
rmmod modbpf; settle; mark
n=0 end=$(($(date +%s) + 30))
while [ "$(date +%s)" -lt $end ]; do
	insmod /modbpf.ko && rmmod modbpf || { not_ok "leak: insmod/rmmod cycle $n"; break; }
	n=$((n + 1))
done
ok "leak: $n insmod and rmmod cycles"
settle; compare "leak: insmod cycles"
insmod /modbpf.ko
exit $status
