# SPDX-License-Identifier: GPL-2.0-only
# Programs at programs (fentry, fexit, freplace): on modbpf, then the same test on the kernel's own BPF.
. /t/lib.sh
/t/bin/extended /t/bin/extended.bpf.o || status=1
kernel_is_peer && peer_passes extended # 6.1's has other rules
rmmod modbpf && insmod /modbpf.ko && ok "extended: the module unloads" || not_ok "extended: the module unloads" "$(lsmod)"
scan_dmesg extended || status=1
exit $status
