# SPDX-License-Identifier: GPL-2.0-only
# The guest's test programs, included by the top Makefile: build/vm.
VM_STATIC := selftests/vm/src/redirected.cpp
VM_SRC := $(filter-out $(VM_STATIC),$(wildcard selftests/vm/src/*.cpp))
VM_BPF := $(wildcard selftests/vm/src/*.bpf.c)
.PHONY: vmtests
vmtests: $(B)/vm/runner $(B)/vm/mutate $(VM_STATIC:selftests/vm/src/%.cpp=$(B)/vm/%) $(VM_SRC:selftests/vm/src/%.cpp=$(B)/vm/%) $(VM_BPF:selftests/vm/src/%.bpf.c=$(B)/vm/%.bpf.o)
$(B)/vm/%: selftests/vm/src/%.cpp $(wildcard selftests/vm/src/*.h) $(B)/libmodbpf.so
	@mkdir -p $(@D)
	$(CXX) -std=gnu++20 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -I. -Iuapi -Ikmod -o $@ $< -pthread \
		-Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed -lbpf -Wl,-rpath,'$$ORIGIN/..'
# No library can be put under these.
$(VM_STATIC:selftests/vm/src/%.cpp=$(B)/vm/%): $(B)/vm/%: selftests/vm/src/%.cpp selftests/vm/src/tap.h uapi/modbpf.h
	@mkdir -p $(@D)
	$(CXX) -std=gnu++20 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -static -Iuapi -o $@ $< -pthread
$(B)/vm/%.bpf.o: selftests/vm/src/%.bpf.c $(wildcard selftests/vm/src/*.bpf.h)
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Werror -I/usr/include/x86_64-linux-gnu -c $< -o $@
# The runner of selftests/progs speaks plain libbpf; the library in front of it carries it to modbpf.
$(B)/vm/runner: selftests/progs/runner.c $(B)/libmodbpf.so
	@mkdir -p $(@D)
	gcc -std=gnu11 -O1 -g -Wall -Wextra -o $@ $< -Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed -lbpf -Wl,-rpath,'$$ORIGIN/..'
$(B)/vm/mutate: loader/test/mutate.c
	@mkdir -p $(@D)
	gcc -O1 -g -Wall -fno-strict-aliasing -o $@ $<
