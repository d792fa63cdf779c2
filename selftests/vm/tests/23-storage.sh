# SPDX-License-Identifier: GPL-2.0-only
# Values of tasks, control groups, inodes and sockets, chains of tasks, per-CPU variables, loader programs; then the same on the kernel's own BPF. Then the
# owners come and go while the maps are hit from busy hooks, and the maps go while owners live on.
. /t/lib.sh
with_groups storage
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null
/t/bin/storage /t/bin/storage.bpf.o /tmp/cgroup2 || status=1
kernel_is_peer && peer_passes storage /tmp/cgroup2
for p in 1 2; do
	/t/bin/storage /t/bin/storage.bpf.o /tmp/cgroup2 >/tmp/busy.$p 2>&1 &
done
/t/bin/hooks /t/bin/stress.bpf.o 4 kprobe:vfs_read raw_tp:sched_switch tp:kmem:kmalloc >/tmp/hooks.out 2>&1 || not_ok "storage: hooks" "$(cat /tmp/hooks.out)"
wait
wrong=$(grep -h "saw another's value" /tmp/busy.1 /tmp/busy.2 | grep -c '^not')
[ "$wrong" = 0 ] && ok "storage: beside busy hooks nobody saw another's value" || not_ok "storage: beside busy hooks" "$(cat /tmp/busy.1 /tmp/busy.2)"
umount /tmp/cgroup2
scan_dmesg storage || status=1
exit $status
