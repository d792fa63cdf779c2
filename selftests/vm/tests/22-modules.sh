# SPDX-License-Identifier: GPL-2.0-only
# Types of the kernel's modules and programs at their functions: on modbpf, then the same test on the kernel's own BPF.
. /t/lib.sh
if [ ! -f /t/dummy.ko ] || [ ! -e /sys/kernel/btf ]; then ok "modules: # SKIP no module with types"; exit 0; fi
/t/bin/modules /t/bin/modules.bpf.o /t/dummy.ko || status=1
kernel_is_peer || exit $status
peer_passes modules /t/dummy.ko
exit $status
