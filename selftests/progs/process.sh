#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The BPF programs of this folder on the process back end: every expectation above them must hold. Run from the repository's root.
mkdir -p build/log
status=0
for src in selftests/progs/*.bpf.c; do
	name=$(basename "$src" .bpf.c)
	for v in v3 v4; do
		obj=build/progs/$name.bpf.o
		[ $v = v4 ] && obj=build/progs/v4/$name.bpf.o
		MODBPF_BACKEND=process build/vm/runner "$src" "$obj" >build/log/runner.out 2>&1 || status=1
		grep -v '^1\.\.' build/log/runner.out | sed "s/^\(not ok\|ok\) [0-9]* - /\1 - $v: $name: /"
	done
done
exit $status
