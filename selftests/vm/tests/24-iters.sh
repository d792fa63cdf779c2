# SPDX-License-Identifier: GPL-2.0-only
# Iterators: tasks, their files and mappings, elements of maps, against /proc; then the same on the kernel's own BPF.
. /t/lib.sh
/t/bin/iters /t/bin/iters.bpf.o || status=1
kernel_is_peer && peer_passes iters
scan_dmesg iters || status=1
exit $status
