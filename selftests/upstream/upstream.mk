# SPDX-License-Identifier: GPL-2.0-only
# Upstream's suites, included by the top Makefile.
$(B)/upstream/sandbox: selftests/upstream/sandbox.c
	@mkdir -p $(@D)
	gcc -std=gnu11 -O1 -g -Wall -Wextra -o $@ $<

# The library under the sanitizers, for programs that have none: preload libasan.so in front of it.
$(B)/asan/libmodbpf.so: $(LIB_ASAN) $(B)/asan/libcore.a loader/lib/libmodbpf.map
	gcc -shared $(ASAN) -pthread -Wl,-z,relro,-z,now -Wl,-Bsymbolic -Wl,--version-script=loader/lib/libmodbpf.map \
		-o $@ $(LIB_ASAN) $(B)/asan/libcore.a
