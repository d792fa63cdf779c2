# SPDX-License-Identifier: GPL-2.0-only
# Programs around functions of the kernel (fentry, fexit, fmod_ret, LSM): on modbpf, then the same test on the kernel's own BPF.
. /t/lib.sh
/t/bin/traced /t/bin/traced.bpf.o || status=1
kernel_is_peer || exit $status # 6.1's lacks some of what is asked
peer_passes traced
exit $status
