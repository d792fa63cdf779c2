# SPDX-License-Identifier: GPL-2.0-only
# System calls redirected by the module: for a tree of processes that asked, and for no other.
. /t/lib.sh
check_match "redirect: off unless the module is loaded with it" 'load it with: insmod modbpf.ko redirect=1' "$(modbpf exec --redirect -- true 2>&1)"
check_match "redirect: only to the device" 'leave out --backend' "$(modbpf exec --redirect --backend=process -- true 2>&1)"
rmmod modbpf && insmod /modbpf.ko redirect=1 || not_ok "redirect: insmod with redirect=1"
e="modbpf exec --redirect --"
$e /t/bin/redirected inside || status=1
/t/bin/redirected outside || status=1
check "redirect: bpftool pins a map" $e bpftool map create /sys/fs/bpf/shared type hash key 4 value 4 entries 8 name shared
check_match "redirect: with the library in front it is there, too" 'name shared' "$(modbpf exec -- bpftool -f map list 2>&1)"
check "redirect: it goes" $e rm /sys/fs/bpf/shared
$e sleep 1000 &
for i in $(seq 50); do [ "$(cat /proc/$!/comm)" = sleep ] && break; sleep 0.1; done
check_fails "redirect: rmmod is refused while such a process lives" rmmod modbpf
kill $!
wait $! 2>/dev/null
# Trees that fork and end on both CPUs, some of them killed.
for i in $(seq 20); do
	( $e sh -c 'for j in 1 2 3 4 5; do sh -c "true & true | true" & done; wait' ) &
	( timeout -s KILL 0.05 $e sh -c 'while :; do true & done' ) 2>/dev/null &
done
wait
for i in $(seq 100); do rmmod modbpf 2>/dev/null && break; sleep 0.1; done
check_fails "redirect: the module unloads once all have ended" grep -q '^modbpf ' /proc/modules
insmod /modbpf.ko || not_ok "redirect: insmod"
scan_dmesg redirect || status=1
exit $status
