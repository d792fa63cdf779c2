# SPDX-License-Identifier: GPL-2.0-only
# Iterators: tasks, their files and mappings, elements of maps, control groups, symbols, against /proc; then the same on the kernel's own BPF.
. /t/lib.sh
mkdir -p /tmp/pins
with_groups iters
/t/bin/iters /t/bin/iters.bpf.o /tmp/pins /tmp/cgroup2 || status=1
kernel_is_peer && peer_passes iters /tmp/pins /tmp/cgroup2
umount /tmp/cgroup2
scan_dmesg iters || status=1
exit $status
