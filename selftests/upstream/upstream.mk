# SPDX-License-Identifier: GPL-2.0-only
# Upstream's suites, included by the top Makefile.
$(B)/upstream/sandbox: selftests/upstream/sandbox.c
	@mkdir -p $(@D)
	gcc -std=gnu11 -O1 -g -Wall -Wextra -o $@ $<
