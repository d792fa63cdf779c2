# SPDX-License-Identifier: GPL-2.0-only
# Benchmarks beside the machine's own kernel, included by the top Makefile. Everything is built a second time under build/bench, with the
# kernel's return thunk.
BENCH_FLAGS := -O2 -mfunction-return=thunk-extern -DNDEBUG
BENCH_BODIES := $(patsubst selftests/bench/jit/bodies/%.bpf.c,$(B)/bench/bodies/%.bpf.o,$(wildcard selftests/bench/jit/bodies/*.bpf.c))
$(B)/thunk.o: selftests/bench/thunk.S
	@mkdir -p $(@D)
	$(CXX) -c $< -o $@
.PHONY: bench bench-lib
bench-lib:
	@$(MAKE) --no-print-directory -s B=$(B)/bench REL="$(BENCH_FLAGS)" LIB_EXTRA=$(B)/bench/thunk.o $(B)/bench/libmodbpf.so
bench: bench-lib $(B)/bench/jit $(BENCH_BODIES)
	@jit=0; $(B)/bench/jit --json $(B)/bench/jit.json $(BENCH_BODIES) || jit=$$?; \
	selftests/bench/verifier --lib $(B)/bench/libmodbpf.so --json $(B)/bench/verifier.json $(ARGS) && exit $$jit

# ---- the JIT's images beside the kernel's -----------------------------------------------------------------
$(B)/bench/bodies/%.bpf.o: selftests/bench/jit/bodies/%.bpf.c selftests/bench/jit/bodies/body.h
	@mkdir -p $(@D)
	clang-19 -O2 -target bpf -mcpu=v3 -Wall -Werror -c $< -o $@
$(B)/bench/jit: $(wildcard selftests/bench/jit/*.cpp selftests/bench/jit/*.h) $(B)/thunk.o force
	@mkdir -p $(@D)
	@$(MAKE) --no-print-directory -s B=$(B)/bench REL="$(BENCH_FLAGS)" $(B)/bench/rel/libcore.a
	$(CXX) $(CXXFLAGS_COMMON) -fexceptions $(BENCH_FLAGS) -MF $@.d -o $@ $(filter %.cpp,$^) $(B)/bench/rel/libcore.a $(B)/thunk.o -lbpf -lcapstone -pthread
.PHONY: bench-jit
bench-jit: $(B)/bench/jit $(BENCH_BODIES)
	@$(B)/bench/jit --json $(B)/bench/jit.json $(ARGS) $(BENCH_BODIES)

# ---- calls of helpers and maps beside the kernel's --------------------------------------------------------
$(B)/bench/calls.bpf.o: selftests/bench/calls/calls.bpf.c
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -c $< -o $@
$(B)/bench/calls: selftests/bench/calls/calls.cpp bench-lib
	$(CXX) -std=gnu++20 -O2 -g -Wall -Wextra -o $@ $< -Wl,--no-as-needed -L$(B)/bench -lmodbpf -Wl,--as-needed -lbpf -Wl,-rpath,'$$ORIGIN'
.PHONY: bench-calls
bench-calls: $(B)/bench/calls $(B)/bench/calls.bpf.o
	@selftests/bench/calls/compare $(B)/bench/calls $(B)/bench/calls.bpf.o --json $(B)/bench/calls.json $(ARGS)

# ---- events beside the kernel's own BPF, in a VM that counts instructions ----------------------------------
$(B)/bench/events.bpf.o: selftests/bench/events/events.bpf.c
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -c $< -o $@
$(B)/bench/events: selftests/bench/events/events.cpp selftests/vm/src/attach.h $(B)/libmodbpf.so
	@mkdir -p $(@D)
	$(CXX) -std=gnu++20 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -I. -o $@ $< -Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed -lbpf
.PHONY: bench-events
bench-events: $(B)/config.mk loader $(B)/bench/events $(B)/bench/events.bpf.o
	@scripts/kmod-build $$(scripts/kernel-version $(KERNEL))
	@selftests/bench/events/compare --kernel $(KERNEL) $(ARGS) $(B)/bench/events $(B)/bench/events.bpf.o
