# SPDX-License-Identifier: GPL-2.0-only
# What images do without a call, by this kernel's own per-CPU data: with every pass, then with the calls, then on the kernel's own BPF.
. /t/lib.sh
/t/bin/inlined /t/bin/inlined.bpf.o || status=1
rmmod modbpf && insmod /modbpf.ko jit_passes=-maps,hashes,helpers,direct
/t/bin/inlined /t/bin/inlined.bpf.o || status=1
rmmod modbpf && insmod /modbpf.ko
kernel_bpf || exit $status
MODBPF_BACKEND=kernel /t/bin/inlined /t/bin/inlined.bpf.o >/tmp/kernel.out 2>&1 && ok "inlined: the kernel's own BPF passes the same test" ||
	not_ok "inlined: the kernel's own BPF" "$(grep '^not' /tmp/kernel.out)"
exit $status
