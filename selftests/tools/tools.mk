# SPDX-License-Identifier: GPL-2.0-only
# The tools' suite, included by the top Makefile: make test-tools [KERNEL=6.1] [TOOLS='opensnoop* bcc/*'] [ARGS=--fresh]
$(B)/tools/wl: selftests/tools/workload.c
	@mkdir -p $(@D)
	gcc -std=gnu11 -O1 -g -Wall -Wextra -o $@ $< -pthread
.PHONY: test-tools
test-tools: loader
	@scripts/deps tools
	@scripts/kmod-build $$(scripts/kernel-version $(KERNEL))
	@selftests/tools/run $(ARGS) $(KERNEL) $(foreach t,$(TOOLS),'$(t)')
