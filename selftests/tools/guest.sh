# SPDX-License-Identifier: GPL-2.0-only
# The guest's side of selftests/tools/run: makes the host's root a machine on which the tools and their workload have all they need.
[ -e /host/mnt/plan.json ] || { echo "tools: the shared folder is not mounted"; exit 1; }
insmod /modbpf.ko || exit 1
mkdir -p /host/dev/pts /host/run/t /host/run/blk /host/run/xfs /host/run/btrfs /host/run/lock
mount -t devpts devpts /host/dev/pts
ln -sf /dev/pts/ptmx /dev/ptmx 2>/dev/null
cp /host/mnt/modbpf /host/mnt/libmodbpf.so /host/mnt/wl /host/mnt/guest.py /host/mnt/judge.py /host/run/t/
in_host() { chroot /host /usr/bin/env -i PATH=/run/t:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
# Block devices in memory, whose requests are made by whoever reads and writes, with the file systems that have tools.
in_host modprobe null_blk memory_backed=1 gb=1 bs=4096 irqmode=1 nr_devices=3 || echo "tools: no block device"
for m in ext4 xfs btrfs nfs md_mod; do in_host modprobe $m || echo "tools: no module $m"; done
in_host mkfs.ext4 -q -F -b 4096 /dev/nullb0 60000 && in_host mount -t ext4 /dev/nullb0 /run/blk || echo "tools: no ext4"
in_host mkfs.xfs -q -f /dev/nullb1 && in_host mount -t xfs /dev/nullb1 /run/xfs || echo "tools: no xfs"
in_host mkfs.btrfs -q -f /dev/nullb2 && in_host mount -t btrfs /dev/nullb2 /run/btrfs || echo "tools: no btrfs"
in_host modprobe ipv6 2>/dev/null
ip addr add ::1/128 dev lo 2>/dev/null
echo 1 >/proc/sys/kernel/perf_event_paranoid
in_host /usr/bin/python3 /run/t/guest.py /mnt
rc=$?
umount /host/run/blk /host/run/xfs /host/run/btrfs
for try in 1 2 3 4 5 6 7 8; do rmmod modbpf 2>/dev/null && break; sleep 1; done
grep -q '^modbpf ' /proc/modules && echo "#unload failed"
exit $rc
