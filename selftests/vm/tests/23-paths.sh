# SPDX-License-Identifier: GPL-2.0-only
# Names of files in programs; then the same on the kernel's own BPF.
. /t/lib.sh
/t/bin/paths /t/bin/paths.bpf.o || status=1
kernel_is_peer && peer_passes paths
exit $status
