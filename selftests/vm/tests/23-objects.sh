# SPDX-License-Identifier: GPL-2.0-only
# References to tasks; then the same on the kernel's own BPF. Kernels before 6.2 do not name these functions to programs.
. /t/lib.sh
case $(uname -r) in
6.1.*) ok "objects: # SKIP this kernel's types have no bpf_task_acquire" ;;
*)
	/t/bin/objects /t/bin/objects.bpf.o || status=1
	kernel_is_peer && peer_passes objects
	;;
esac
exit $status
