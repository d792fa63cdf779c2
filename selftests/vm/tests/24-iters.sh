# SPDX-License-Identifier: GPL-2.0-only
# Iterators: tasks, their files and mappings, elements of maps, against /proc; then the same on the kernel's own BPF.
. /t/lib.sh
mkdir -p /tmp/pins
/t/bin/iters /t/bin/iters.bpf.o /tmp/pins || status=1
kernel_is_peer && peer_passes iters /tmp/pins
scan_dmesg iters || status=1
exit $status
