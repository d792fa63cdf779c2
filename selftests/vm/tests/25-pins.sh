# SPDX-License-Identifier: GPL-2.0-only
# Pinned objects: in a mount of their own, then the same on the kernel's own BPF; and what commands share under `modbpf exec`.
. /t/lib.sh
mkdir -p /tmp/pins
/t/bin/pins /t/bin/pins.bpf.o /tmp/pins || status=1
kernel_is_peer && peer_passes pins /tmp/pins
e="modbpf exec --"
check "pins: a command pins a map" $e bpftool map create /sys/fs/bpf/shared type hash key 4 value 4 entries 8 name shared
check "pins: another writes to it" $e bpftool map update pinned /sys/fs/bpf/shared key 1 0 0 0 value 2 0 0 0
check_match "pins: a third reads" 'value: 02 00 00 00' "$($e bpftool map dump pinned /sys/fs/bpf/shared 2>&1)"
check_match "pins: its name in lists" 'pinned /sys/fs/bpf/shared' "$($e bpftool -f map list 2>&1)"
check_fails "pins: the rest of the machine does not see it" test -e /sys/fs/bpf/shared
check_match "pins: the file system's type" ' /sys/fs/bpf bpf-modbpf .*mode=700,shared' "$($e cat /proc/mounts)"
check_fails "pins: rmmod is refused meanwhile" rmmod modbpf
$e sh -c 'mkdir /sys/fs/bpf/folder && rm /sys/fs/bpf/shared' || not_ok "pins: removed"
check_fails "pins: a folder alone keeps it, too" rmmod modbpf
check "pins: the folder goes" $e rmdir /sys/fs/bpf/folder
# No mount is left and nothing is in it.
for i in $(seq 50); do rmmod modbpf 2>/dev/null && break; sleep 0.1; done
check_fails "pins: the module unloads" grep -q '^modbpf ' /proc/modules
insmod /modbpf.ko || not_ok "pins: insmod"
check_fails "pins: tokens are refused" mount -t bpf-modbpf -o delegate_cmds=any none /tmp/pins
scan_dmesg pins || status=1
exit $status
