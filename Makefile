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

include loader/loader.mk

.PHONY: all clean
all: $(B)/rel/libcore.a
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
