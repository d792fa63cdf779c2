# SPDX-License-Identifier: GPL-2.0-only
# The same .o on modbpf and on the kernel's own BPF in one VM run: same verdicts, messages, return values and data.
. /t/lib.sh
for src in /t/src/*.bpf.c; do
	name=$(basename "$src" .bpf.c)
	for v in v3 v4; do
		obj=/t/progs/$name.bpf.o
		[ $v = v4 ] && obj=/t/progs/v4/$name.bpf.o
		# The 6.1 verifier does not know ISA v4 and words some refusals differently: there it is no peer.
		/t/bin/runner "$src" "$obj" >/tmp/ours 2>&1 || status=1
		grep -v '^1\.\.' /tmp/ours | sed "s/^\(not ok\|ok\) [0-9]* - /\1 - programs: modbpf $v: $name: /"
		kernel_is_peer || continue
		MODBPF_BACKEND=kernel /t/bin/runner "$src" "$obj" >/tmp/kernels 2>&1
		if cmp -s /tmp/ours /tmp/kernels; then ok "programs: $v: $name: as on the kernel's own BPF"; else
			not_ok "programs: $v: $name: as on the kernel's own BPF" "$(diff /tmp/ours /tmp/kernels)"
		fi
	done
done
exit $status
