# SPDX-License-Identifier: GPL-2.0-only
# modbpf: see `make help`. Everything is built under build/.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

CXX := g++
B := build
# Host builds keep kernel semantics: the same flags that decide meaning in a kernel build.
CXXFLAGS_COMMON := -std=gnu++20 -g -Ikmod -Iuapi -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-fno-strict-aliasing -fwrapv -funsigned-char -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-delete-null-pointer-checks \
	-fPIC -pthread -MMD -MP
ASAN := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-sanitize=alignment -fno-omit-frame-pointer -DMODBPF_DEBUG=1 \
	-ftrivial-auto-var-init=pattern
REL := -O2

CORE_DIRS := base isa btf maps helpers interp jit verifier prog attach cmd
CORE_SRC := $(filter-out %_test.cpp,$(wildcard $(CORE_DIRS:%=kmod/%/*.cpp) kmod/port/user/*.cpp))
TEST_SRC := $(wildcard $(CORE_DIRS:%=kmod/%/*_test.cpp) kmod/port/user/*_test.cpp)
CORE_ASAN := $(CORE_SRC:%.cpp=$(B)/asan/%.o)
CORE_REL := $(CORE_SRC:%.cpp=$(B)/rel/%.o)

# Tests that spend their time in the core and not in themselves build in half the time without optimisation.
QUICK_DIRS := btf prog attach cmd helpers
$(patsubst %.cpp,$(B)/asan/%.o,$(wildcard $(QUICK_DIRS:%=kmod/%/*_test.cpp))): EXTRA += -O0
# Exhaustive at 6 bits in seconds, not minutes.
$(B)/asan/kmod/verifier/scalar_exhaustive_test.o $(B)/rel/kmod/verifier/scalar_exhaustive_test.o: EXTRA += -O2 -fno-sanitize=all
$(B)/asan/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_COMMON) $(ASAN) $(EXTRA) -c $< -o $@
$(B)/rel/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_COMMON) $(REL) $(EXTRA) -c $< -o $@

$(B)/asan/libcore.a: $(CORE_ASAN)
	@rm -f $@; ar rcs $@ $^
$(B)/rel/libcore.a: $(CORE_REL)
	@rm -f $@; ar rcs $@ $^

# One test binary a folder: kmod/DIR/*_test.cpp. `make unit D=isa` builds and runs one; D=port/user too.
UNIT_DIRS := $(sort $(patsubst kmod/%/,%,$(dir $(TEST_SRC))))
unit_bin = $(B)/asan/unit_$(subst /,_,$(1))
define unit_rule
$(call unit_bin,$(1)): $(patsubst %.cpp,$(B)/asan/%.o,$(filter kmod/$(1)/%,$(TEST_SRC))) $(B)/asan/libcore.a
	$(CXX) $(ASAN) -pthread -o $$@ $$(filter %.o,$$^) $(B)/asan/libcore.a -lgtest -lgtest_main -lcapstone
endef
$(foreach d,$(UNIT_DIRS),$(eval $(call unit_rule,$(d))))
.PHONY: unit
unit: $(call unit_bin,$(D))
	$(call unit_bin,$(D)) --gtest_brief=1 $(if $(FILTER),--gtest_filter=$(FILTER))

# State embedding for longer than the unit test: SECONDS=n (60), SEED=n (the clock), JOBS=n (a process a CPU, each with seeds of its own).
FUZZ_SECONDS = $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),60)
$(B)/rel/fuzz_verifier: $(B)/rel/kmod/verifier/embed_test.o $(B)/rel/kmod/verifier/callback_fuzz_test.o $(B)/rel/libcore.a
	$(CXX) $(REL) -pthread -o $@ $^ -lgtest -lgtest_main
.PHONY: fuzz
fuzz: $(B)/rel/fuzz_verifier
	@seed=$(or $(SEED),$$(($$(date +%s) << 24))); pids=; failed=; \
	for job in $$(seq 0 $$(($(or $(JOBS),$$(nproc)) - 1))); do \
		MODBPF_SECONDS=$(FUZZ_SECONDS) MODBPF_SEED=$$((seed + (job << 48))) taskset -c $$((job % $$(nproc))) $< & pids="$$pids $$!"; \
	done; for pid in $$pids; do wait $$pid || failed=1; done; [ -z "$$failed" ]

# The verifier's arithmetic, proved by z3 on the headers that ship: PROVE="--json --filter=mul --limit=60".
PROVE_OBJ := $(patsubst %.cpp,$(B)/rel/%.o,$(wildcard selftests/prove/*.cpp))
$(PROVE_OBJ): EXTRA += -fexceptions
$(B)/prove: $(PROVE_OBJ) $(B)/rel/libcore.a
	$(CXX) $(REL) -o $@ $^ -lz3
.PHONY: prove
prove:
	@scripts/deps prove
	@$(MAKE) --no-print-directory -s $(B)/prove
	@$(B)/prove $(PROVE)

# The maps with their tests under ThreadSanitizer. Not interrupt_test: signals that a sanitizer delays interrupt nothing.
TSAN := -O1 -fsanitize=thread -Wno-tsan -fno-omit-frame-pointer -DMODBPF_DEBUG=1
TSAN_SRC := $(filter-out %_test.cpp,$(wildcard kmod/base/*.cpp kmod/btf/*.cpp kmod/port/user/*.cpp)) \
	$(filter-out %/interrupt_test.cpp,$(wildcard kmod/maps/*.cpp))
$(B)/tsan/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_COMMON) $(TSAN) -c $< -o $@
$(B)/tsan/unit_maps: $(TSAN_SRC:%.cpp=$(B)/tsan/%.o)
	$(CXX) $(TSAN) -pthread -o $@ $^ -lgtest -lgtest_main
.PHONY: tsan
tsan: $(B)/tsan/unit_maps
	TSAN_OPTIONS=suppressions=kmod/maps/tsan.supp setarch -R $< --gtest_brief=1 --gtest_filter=-peer.*:hash.spread

include loader/loader.mk
-include selftests/vm/vm.mk
-include selftests/upstream/upstream.mk
include selftests/bench/bench.mk
include selftests/tools/tools.mk

# ---- options: Kconfig.example through the kernel's own conf ------------------------------------------------
CONF := $(firstword $(wildcard /lib/modules/*/build/scripts/kconfig/conf))
CONFIG_OVERRIDES := $(foreach v,$(sort $(filter CONFIG_MODBPF_%,$(.VARIABLES))),$(if $(filter command environment,$(origin $(v))),$(v)=$($(v))))
# Written when it would change, so that options on the command line come and go and what depends on it is rebuilt.
$(B)/config.mk: force
	@mkdir -p $(@D)
	@[ -n "$(CONF)" ] || scripts/deps build
	@scripts/config $@ $(CONFIG_OVERRIDES)
.PHONY: force
force:
.PHONY: config
config: $(B)/config.mk
	cp $(B)/dotconfig .config
	@echo ".config is written; edit it, then run make"

# ---- the module ------------------------------------------------------------------------------------------
KERNEL ?= 6.12
KERNELS := 6.1 6.12
.PHONY: kmod
kmod: $(B)/config.mk
ifdef KVER
	@scripts/kmod-build $(KVER)
else
	@scripts/deps build
	@set -e; for k in $(KERNELS); do scripts/kmod-build $$(scripts/kernel-version $$k); done
endif

# ---- tests -----------------------------------------------------------------------------------------------
.PHONY: all clean check test demo vm deps install uninstall help
all: kmod loader
deps:
	@scripts/deps test

# The inner loop: everything that runs in process, no VM.
check:
	@scripts/deps test
	@scripts/check

.PHONY: unit-tests
unit-tests: $(foreach d,$(UNIT_DIRS),$(call unit_bin,$(d)))

.PHONY: list-units
list-units:
	@echo $(UNIT_DIRS)

# Everything that CI checks.
test:
	@scripts/deps test
	@scripts/test

# Upstream's own BPF selftests, from Debian's source packages.
.PHONY: test-upstream
test-upstream: loader
	@selftests/upstream/test

.PHONY: test-kasan
test-kasan: loader progs
	@scripts/deps test
	@scripts/test-kasan

# Attaching and detaching, CYCLES times, while the probed functions run: KERNEL=6.12 or 6.1.
CYCLES ?= 10000
.PHONY: test-storm
test-storm: $(B)/config.mk
	@scripts/kmod-build $$(scripts/kernel-version $(KERNEL))
	@selftests/vm/suite --tests '77-storm*' --cycles $(CYCLES) $(KERNEL)

demo:
	@scripts/deps test
	@$(MAKE) --no-print-directory -s demo-build
	@selftests/vm/demo $(KERNEL)
.PHONY: demo-build progs
demo-build: $(B)/config.mk loader progs $(B)/vm/refused.bpf.o
	@scripts/kmod-build $$(scripts/kernel-version $(KERNEL))

vm: loader progs
	@scripts/deps test
	@scripts/kmod-build $$(scripts/kernel-version $(KERNEL))
	@selftests/vm/run --shell --add $(B)/progs:/progs $(KERNEL)

# BPF C programs of the tests and the demo.
PROGS := $(patsubst selftests/progs/%.bpf.c,$(B)/progs/%.bpf.o,$(wildcard selftests/progs/*.bpf.c))
progs: $(PROGS) $(PROGS:$(B)/progs/%=$(B)/progs/v4/%)
$(B)/progs/v4/%.bpf.o: selftests/progs/%.bpf.c $(wildcard selftests/progs/*.h)
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v4 -Wall -Werror -I/usr/include/x86_64-linux-gnu -Iselftests/progs -c $< -o $@
$(B)/progs/%.bpf.o: selftests/progs/%.bpf.c $(wildcard selftests/progs/*.h)
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -Iselftests/progs -c $< -o $@

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
PREFIX ?= /usr/local
DESTDIR ?=
DKMS_SRC := /usr/src/modbpf-$(VERSION)
.PHONY: install-tools install-module
install: install-module install-tools
	@echo "installed; as root on a test machine: modprobe modbpf, then modbpf features"
install-tools: loader
	install -D -m 755 $(B)/modbpf $(DESTDIR)$(PREFIX)/bin/modbpf
	install -D -m 644 $(B)/libmodbpf.so $(DESTDIR)$(PREFIX)/lib/modbpf/libmodbpf.so
	install -D -m 644 uapi/modbpf.h $(DESTDIR)$(PREFIX)/include/modbpf.h
# For the running kernel, or for those of KVER="A B". DKMS builds it again for each kernel that comes later.
install-module:
	@[ "$$(id -u)" -eq 0 ] || { echo "make install needs root, for DKMS; make install-tools PREFIX=... does not" >&2; exit 1; }
	@command -v dkms >/dev/null || { echo "dkms is missing: apt-get install dkms" >&2; exit 1; }
	@for k in $(or $(KVER),$(shell uname -r)); do [ -d /lib/modules/$$k/build ] || { \
		echo "no headers for kernel $$k: apt-get install linux-headers-$$k, or name kernels that have them: make install KVER=..." >&2; exit 1; }; done
	-@dkms remove modbpf/$(VERSION) --all >/dev/null 2>&1
	rm -rf $(DKMS_SRC) && mkdir -p $(DKMS_SRC)
	cp -r Makefile Kconfig.example LICENSE dkms.conf kmod uapi loader scripts $(wildcard .config) $(DKMS_SRC)/
	dkms add modbpf/$(VERSION)
	@set -e; for k in $(or $(KVER),$(shell uname -r)); do dkms build modbpf/$(VERSION) -k $$k; dkms install modbpf/$(VERSION) -k $$k; done
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/modbpf $(DESTDIR)$(PREFIX)/include/modbpf.h
	rm -rf $(DESTDIR)$(PREFIX)/lib/modbpf
	@if [ "$$(id -u)" -eq 0 ] && [ -d $(DKMS_SRC) ]; then dkms remove modbpf/$(VERSION) --all || true; rm -rf $(DKMS_SRC); fi

clean:
	rm -rf $(B)

help:
	@echo "make            modbpf.ko for both kernels, libmodbpf.so and the modbpf command, under build/"
	@echo "make demo       boot a VM (KERNEL=6.12 or 6.1), load the module, trace live events"
	@echo "make test       everything that CI checks: in process, and in a VM on both kernels"
	@echo "make check      what runs in process only; make unit D=FOLDER [FILTER=...] for one folder of kmod/"
	@echo "make fuzz       random programs through the verifier for SECONDS=60: runs must lie in what it explored (SEED=n JOBS=n)"
	@echo "make prove      z3 proofs that the verifier's arithmetic loses no number (PROVE=\"--json --filter=TEXT --limit=SECONDS\")"
	@echo "make bench      everything beside the kernel's own BPF, against the bars; GROUP=jit|calls|load|verifier|events|memory for one (docs/benchmarks.md)"
	@echo "make bench-GROUP   the same with ARGS=... for the group's options (--json: to the output; KERNEL=... for those in a VM)"
	@echo "make test-storm     CYCLES=10000 of attaching and detaching all kinds of event while they happen (KERNEL=...)"
	@echo "make test-upstream  upstream's selftests (test_verifier, test_progs, test_maps, veristat) in process and in VMs"
	@echo "make test-tools libbpf-tools, bpftrace and BCC through modbpf and on the kernel's own BPF, compared (TOOLS='opensnoop*', KERNEL=...)"
	@echo "make test-kasan the VM suite on a debug kernel (KASAN, lockdep), built once from linux-source"
	@echo "make vm         a shell in a VM with the module loaded (KERNEL=...)"
	@echo "make kmod       the module for both kernels; KVER=\$$(uname -r) for one"
	@echo "make loader     libmodbpf.so and the modbpf command only: needs no kernel headers"
	@echo "make install    the tools under PREFIX (/usr/local), the module through DKMS for the running kernel (or KVER=...)"
	@echo "make install-tools   the tools only; make uninstall takes all back"
	@echo "make config     write .config from Kconfig.example; CONFIG_MODBPF_*=y also on the command line"
	@echo "make deps       install what building and testing need from Debian's packages"
	@echo "make clean      remove build/"

-include $(shell find $(B) -path $(B)/debug-kernel -prune -o -name '*.d' -type f -print 2>/dev/null)
