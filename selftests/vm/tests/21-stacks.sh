# SPDX-License-Identifier: GPL-2.0-only
# Call chains on modbpf, then the same test on the kernel's own BPF. Then chains are taken in every context while maps are used in them.
. /t/lib.sh
echo 0 >/proc/sys/kernel/kptr_restrict
/t/bin/stacks /t/bin/stacks.bpf.o || status=1
kernel_is_peer || exit $status
peer_passes stacks
exit $status
