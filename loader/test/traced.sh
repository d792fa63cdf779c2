#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Programs around the functions of test runs, on the process back end. Their types come from the running kernel.
if ! grep -q bpf_fentry_test9 /sys/kernel/btf/vmlinux 2>/dev/null; then
	echo "ok - traced # SKIP this kernel's types have no such functions"
	exit 0
fi
MODBPF_BACKEND=process exec build/vm/traced build/vm/traced.bpf.o
