# SPDX-License-Identifier: GPL-2.0-only
# Counters that call programs, counters that programs read, control groups in a map; then the same test on the kernel's own BPF.
. /t/lib.sh
with_groups profile
# On a slow machine the kernel lowers the rate of samples, and then leaves some out.
echo 100000 >/proc/sys/kernel/perf_event_max_sample_rate
echo 0 >/proc/sys/kernel/perf_cpu_time_max_percent
/t/bin/profile /t/bin/profile.bpf.o /tmp/cgroup2 || status=1
kernel_is_peer && peer_passes profile /tmp/cgroup2
# Sampling while the programs' maps are hit from everywhere else.
for p in 1 2 3; do
	/t/bin/profile /t/bin/profile.bpf.o /tmp/cgroup2 >/tmp/busy.$p 2>&1 &
done
/t/bin/hooks /t/bin/stress.bpf.o 4 kprobe:vfs_read raw_tp:sched_switch tp:kmem:kmalloc >/tmp/hooks.out 2>&1 || not_ok "profile: hooks" "$(cat /tmp/hooks.out)"
wait
ok "profile: sampling beside busy hooks"
umount /tmp/cgroup2
scan_dmesg profile || status=1
exit $status
