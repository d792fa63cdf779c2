# SPDX-License-Identifier: GPL-2.0-only
# Events on modbpf, then the same test on the kernel's own BPF: what holds there must hold here.
. /t/lib.sh
/t/bin/events /t/bin/events.bpf.o || status=1
kernel_bpf || exit $status
MODBPF_BACKEND=kernel /t/bin/events /t/bin/events.bpf.o >/tmp/kernel.out 2>&1 && ok "events: the kernel's own BPF passes the same test" ||
	not_ok "events: the kernel's own BPF" "$(grep '^not' /tmp/kernel.out)"
exit $status
