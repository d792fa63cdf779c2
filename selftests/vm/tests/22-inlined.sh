# SPDX-License-Identifier: GPL-2.0-only
# What images do without a call, by this kernel's own per-CPU data: with every pass, then with the calls, then on the kernel's own BPF.
. /t/lib.sh
/t/bin/inlined /t/bin/inlined.bpf.o || status=1
rmmod modbpf && insmod /modbpf.ko jit_passes=-maps,hashes,helpers,direct
/t/bin/inlined /t/bin/inlined.bpf.o || status=1
rmmod modbpf && insmod /modbpf.ko
kernel_bpf || exit $status
peer_passes inlined
exit $status
