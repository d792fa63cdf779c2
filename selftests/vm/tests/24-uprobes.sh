# SPDX-License-Identifier: GPL-2.0-only
# Probes in user space: on modbpf, then the same test on the kernel's own BPF. The module stays while one is attached.
. /t/lib.sh
/t/bin/uprobes /t/bin/uprobes.bpf.o || status=1
kernel_is_peer && peer_passes uprobes # 6.1's has no links to many places
/t/bin/uprobes hold /t/bin/uprobes.bpf.o 4 >/tmp/hold.out 2>&1 &
sleep 2
check_fails "uprobes: the module is not unloaded while one is attached" rmmod modbpf
wait
rmmod modbpf && insmod /modbpf.ko && ok "uprobes: and unloads afterwards" || not_ok "uprobes: the module unloads" "$(lsmod)"
scan_dmesg uprobes || status=1
exit $status
