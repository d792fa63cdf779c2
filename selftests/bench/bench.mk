# SPDX-License-Identifier: GPL-2.0-only
# Benchmarks beside the machine's own kernel, included by the top Makefile. Everything is built a second time under build/bench, with the
# kernel's return thunk.
BENCH_FLAGS := -O2 -mfunction-return=thunk-extern -DNDEBUG
$(B)/thunk.o: selftests/bench/thunk.S
	@mkdir -p $(@D)
	$(CXX) -c $< -o $@
.PHONY: bench bench-lib
bench-lib:
	@$(MAKE) --no-print-directory -s B=$(B)/bench REL="$(BENCH_FLAGS)" LIB_EXTRA=$(B)/bench/thunk.o $(B)/bench/libmodbpf.so
bench: bench-lib
	@selftests/bench/verifier --lib $(B)/bench/libmodbpf.so --json $(B)/bench/verifier.json $(ARGS)
