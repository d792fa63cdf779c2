# SPDX-License-Identifier: GPL-2.0-only
# The guest's test programs, included by the top Makefile: build/vm.
VM_SRC := $(wildcard selftests/vm/src/*.cpp)
VM_BPF := $(wildcard selftests/vm/src/*.bpf.c)
.PHONY: vmtests
vmtests: $(VM_SRC:selftests/vm/src/%.cpp=$(B)/vm/%) $(VM_BPF:selftests/vm/src/%.bpf.c=$(B)/vm/%.bpf.o)
$(B)/vm/%: selftests/vm/src/%.cpp $(wildcard selftests/vm/src/*.h) $(B)/libmodbpf.so
	@mkdir -p $(@D)
	$(CXX) -std=gnu++20 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -I. -Iuapi -o $@ $< -pthread \
		-Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed -lbpf
$(B)/vm/%.bpf.o: selftests/vm/src/%.bpf.c
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Werror -I/usr/include/x86_64-linux-gnu -c $< -o $@
