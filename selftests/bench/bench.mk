# SPDX-License-Identifier: GPL-2.0-only
# Benchmarks beside the kernel's own BPF, included by the top Makefile: docs/benchmarks.md. What runs in process is built a second time under
# build/bench, with the kernel's return thunk. Each group writes its JSON and its drawing to build/bench/GROUP.json and .svg.
BENCH_FLAGS := -O2 -mfunction-return=thunk-extern -DNDEBUG
BENCH_BODIES := $(patsubst selftests/bench/jit/bodies/%.bpf.c,$(B)/bench/bodies/%.bpf.o,$(wildcard selftests/bench/jit/bodies/*.bpf.c))
BENCH_GROUPS := jit calls load verifier events memory
$(B)/thunk.o: selftests/bench/thunk.S
	@mkdir -p $(@D)
	$(CXX) -c $< -o $@
.PHONY: bench bench-lib $(BENCH_GROUPS:%=bench-%)
bench-lib:
	@$(MAKE) --no-print-directory -s B=$(B)/bench REL="$(BENCH_FLAGS)" LIB_EXTRA=$(B)/bench/thunk.o $(B)/bench/libmodbpf.so

# One group after the other, each with the machine for itself; ends with the verdicts.
bench:
	@mkdir -p $(B)/bench
	@failed=; : >$(B)/bench/verdicts; for g in $(or $(GROUP),$(BENCH_GROUPS)); do \
		$(MAKE) --no-print-directory -s bench-$$g 2>&1 | tee $(B)/bench/$$g.txt; [ $${PIPESTATUS[0]} = 0 ] || failed=1; echo; \
		grep -E "^$$g: (met|MISSED)" $(B)/bench/$$g.txt >>$(B)/bench/verdicts || echo "$$g: MISSED: did not run to its end" >>$(B)/bench/verdicts; \
	done; cat $(B)/bench/verdicts; echo "tables, JSON and drawings: $(B)/bench/GROUP.{txt,json,svg}"; [ -z "$$failed" ]

# ---- the JIT's images beside the kernel's -----------------------------------------------------------------
$(B)/bench/bodies/%.bpf.o: selftests/bench/jit/bodies/%.bpf.c selftests/bench/jit/bodies/body.h
	@mkdir -p $(@D)
	clang-19 -O2 -target bpf -mcpu=v3 -Wall -Werror -c $< -o $@
$(B)/bench/jit: $(wildcard selftests/bench/jit/*.cpp selftests/bench/jit/*.h) $(B)/thunk.o bench-lib
	$(CXX) $(CXXFLAGS_COMMON) -fexceptions $(BENCH_FLAGS) -MF $@.d -o $@ $(filter %.cpp,$^) $(B)/bench/rel/libcore.a $(B)/thunk.o -lbpf -lcapstone -pthread
bench-jit: $(B)/bench/jit $(BENCH_BODIES)
	@selftests/bench/jit/compare $(B)/bench/jit $(BENCH_BODIES) --json $(B)/bench/jit.json $(ARGS)

# ---- the verifier, over upstream's programs ---------------------------------------------------------------
bench-verifier: bench-lib
	@selftests/bench/verifier --lib $(B)/bench/libmodbpf.so --json $(B)/bench/verifier.json $(ARGS)

# ---- programs that measure themselves on the back end that they are told ----------------------------------
$(B)/bench/calls.bpf.o: selftests/bench/calls/calls.bpf.c
$(B)/bench/events.bpf.o: selftests/bench/events/events.bpf.c
$(B)/bench/calls.bpf.o $(B)/bench/events.bpf.o:
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -c $< -o $@
BENCH_CXX = $(CXX) -std=gnu++20 -O2 -g -Wall -Wextra -Wno-missing-field-initializers -I. -o $@ $< -Wl,--no-as-needed -L$(1) -lmodbpf \
	-Wl,--as-needed -lbpf -Wl,-rpath,'$$ORIGIN'
$(B)/bench/calls: selftests/bench/calls/calls.cpp bench-lib
	$(call BENCH_CXX,$(B)/bench)
bench-calls: $(B)/bench/calls $(B)/bench/calls.bpf.o $(if $(findstring --vm,$(ARGS)),bench-vm)
	@selftests/bench/calls/compare $(B)/bench/calls $(B)/bench/calls.bpf.o --json $(B)/bench/calls.json --kernel $(KERNEL) $(ARGS)
$(B)/bench/load: selftests/bench/load/load.cpp bench-lib
	$(call BENCH_CXX,$(B)/bench)
bench-load: $(B)/bench/load progs $(if $(findstring --vm,$(ARGS)),bench-vm)
	@selftests/bench/load/compare $(B)/bench/load $(PROGS) --json $(B)/bench/load.json --kernel $(KERNEL) $(ARGS)

# ---- in a VM that counts instructions, beside the guest kernel's own BPF ----------------------------------
.PHONY: bench-vm
bench-vm: $(B)/config.mk loader
	@scripts/kmod-build $$(scripts/kernel-version $(KERNEL))
$(B)/bench/events: selftests/bench/events/events.cpp selftests/vm/src/attach.h $(B)/libmodbpf.so
	@mkdir -p $(@D)
	$(call BENCH_CXX,$(B))
bench-events: bench-vm $(B)/bench/events $(B)/bench/events.bpf.o
	@selftests/bench/events/compare $(B)/bench/events $(B)/bench/events.bpf.o --kernel $(KERNEL) --json $(B)/bench/events.json $(ARGS)
$(B)/bench/memory: selftests/bench/memory/memory.cpp $(B)/libmodbpf.so
	@mkdir -p $(@D)
	$(call BENCH_CXX,$(B))
bench-memory: bench-vm $(B)/bench/memory
	@selftests/bench/memory/compare $(B)/bench/memory --kernel $(KERNEL) --json $(B)/bench/memory.json $(ARGS)
