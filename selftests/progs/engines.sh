#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Every program of this folder by interpreter and by JIT on the process back end: return values, packets, maps and ring buffers must
# be the same (X1); on one CPU, because of the per-CPU maps. Run from the repository's root.
mkdir -p build/log
status=0
for src in selftests/progs/*.bpf.c; do
	name=$(basename "$src" .bpf.c)
	for v in v3 v4; do
		obj=build/progs/$name.bpf.o
		[ $v = v4 ] && obj=build/progs/v4/$name.bpf.o
		for engine in jit interpreter; do
			MODBPF_BACKEND=process MODBPF_ENGINE=$engine RUNNER_DUMP=1 taskset -c 0 build/vm/runner "$src" "$obj" |
				sort >build/log/engine-$engine.out
		done
		runs=$(grep -c ' returned ' build/log/engine-jit.out)
		if cmp -s build/log/engine-jit.out build/log/engine-interpreter.out; then
			echo "ok - $v: $name: $runs runs, JIT as interpreter"
		else
			echo "not ok - $v: $name: JIT and interpreter differ"
			diff build/log/engine-jit.out build/log/engine-interpreter.out | sed 's/^/# /' | cut -c1-200 | head -20
			status=1
		fi
	done
done
exit $status
