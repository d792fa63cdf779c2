# SPDX-License-Identifier: GPL-2.0-only
# Programs around functions of the kernel (fentry, fexit, fmod_ret, LSM): on modbpf, then the same test on the kernel's own BPF.
. /t/lib.sh
/t/bin/traced /t/bin/traced.bpf.o || status=1
kernel_is_peer || exit $status # 6.1's lacks some of what is asked
MODBPF_BACKEND=kernel /t/bin/traced /t/bin/traced.bpf.o >/tmp/kernel.out 2>&1 && ok "traced: the kernel's own BPF passes the same test" ||
	not_ok "traced: the kernel's own BPF" "$(grep '^not' /tmp/kernel.out)"
exit $status
