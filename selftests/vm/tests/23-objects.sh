# SPDX-License-Identifier: GPL-2.0-only
# References to tasks, iterators, strings; then the same on the kernel's own BPF. The types of older kernels do not name these functions.
. /t/lib.sh
case $(uname -r) in
6.1.*) ok "objects: # SKIP this kernel's types have no bpf_task_acquire"; exit 0 ;;
esac
with_groups objects
/t/bin/objects /t/bin/objects.bpf.o /tmp/cgroup2 || status=1
kernel_is_peer && peer_passes objects /tmp/cgroup2
umount /tmp/cgroup2
exit $status
