# SPDX-License-Identifier: GPL-2.0-only
# Every conformance row through the device, so through this kernel's thunks and text; 6.12's own BPF must return the same (6.1 does not
# know all of the instructions). Then blinding: images show the constants of programs as net.core.bpf_jit_harden says when they are loaded, 1
# being for callers without CAP_BPF, and as jit_harden= says, whichever asks for more. The kernel's own BPF does so too.
. /t/lib.sh
if kernel_is_peer; then /t/bin/conformance compare; else /t/bin/conformance; fi || status=1
if kernel_bpf; then kernel=kernel; else kernel=; fi
harden=/proc/sys/net/core/bpf_jit_harden
if [ -e $harden ]; then
	before=$(cat $harden)
	for want in 2:hidden 1:shown 0:shown; do
		echo ${want%:*} >$harden
		/t/bin/blinded ${want#*:} $kernel || status=1
	done
fi
check "blinding: insmod with jit_harden=2" sh -c 'rmmod modbpf && insmod /modbpf.ko jit_harden=2'
/t/bin/blinded hidden || status=1
[ -e $harden ] && echo $before >$harden
check "blinding: insmod without" sh -c 'rmmod modbpf && insmod /modbpf.ko'
/t/bin/blinded shown || status=1
exit $status
