# SPDX-License-Identifier: GPL-2.0-only
# Arenas; then the same on the kernel's own BPF.
. /t/lib.sh
/t/bin/arena || status=1
kernel_is_peer && peer_passes arena
for i in $(seq 50); do rmmod modbpf 2>/dev/null && break; sleep 0.1; done
check_fails "arena: the module unloads" grep -q '^modbpf ' /proc/modules
insmod /modbpf.ko || not_ok "arena: insmod"
scan_dmesg arena || status=1
exit $status
