# SPDX-License-Identifier: GPL-2.0-only
# One program at many functions of the kernel: on modbpf, then the same test on the kernel's own BPF.
. /t/lib.sh
echo 0 >/proc/sys/kernel/kptr_restrict
/t/bin/multi /t/bin/multi.bpf.o || status=1
kernel_is_peer && peer_passes multi # 6.1's has no sessions
scan_dmesg multi || status=1
exit $status
