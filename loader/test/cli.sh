#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The command's text functions, and the process back end under libbpf.
cd "$(dirname "$0")/../.." || exit 1
unset MODBPF_BACKEND LD_PRELOAD
make -s build/modbpf build/test/cli_test build/test/process_test build/test/ring.bpf.o || exit 1
rc=0
# refuses WORDS PATTERN: of a command line that cannot be meant, status 2 and what to do.
refuses() {
	local out status=0
	out=$(build/modbpf $1 build/test/ring.bpf.o 2>&1) || status=$?
	if [ $status = 2 ] && grep -q "$2" <<<"$out"; then echo "ok - cli: $1"; else echo "not ok - cli: $1: status $status: $out"; rc=1; fi
}
refuses "run -a kprobe:vfs_read" 'name the program first, as in prog_name=kprobe:vfs_read'
refuses "run -a on_raw=kprob:x" "'kprob' is no kind of event; there are kprobe, kretprobe,"
build/test/cli_test --gtest_brief=1 && build/test/process_test build/test/ring.bpf.o && exit $rc
