# SPDX-License-Identifier: GPL-2.0-only
# Typed tracepoint programs, loads through kernel objects, signals: on modbpf, then the same test on the kernel's own BPF.
. /t/lib.sh
/t/bin/typed /t/bin/typed.bpf.o || status=1
kernel_bpf || exit $status
peer_passes typed
exit $status
