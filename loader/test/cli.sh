#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The command's text functions, and the process back end under libbpf.
cd "$(dirname "$0")/../.." || exit 1
unset MODBPF_BACKEND LD_PRELOAD
make -s build/test/cli_test build/test/process_test build/test/ring.bpf.o || exit 1
build/test/cli_test --gtest_brief=1 && build/test/process_test build/test/ring.bpf.o
