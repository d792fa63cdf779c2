# SPDX-License-Identifier: GPL-2.0-only
# Leak check: load, attach, detach and free as often as fits in half a minute, then insmod and rmmod as often as fits in the other half;
# slab, vmalloc and per-CPU totals return to where they were.
. /t/lib.sh
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
