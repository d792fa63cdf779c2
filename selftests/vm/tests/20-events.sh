# SPDX-License-Identifier: GPL-2.0-only
# Events on modbpf, then the same test on the kernel's own BPF: what holds there must hold here.
. /t/lib.sh
/t/bin/events /t/bin/events.bpf.o || status=1
kernel_bpf || exit $status
peer_passes events
exit $status
