# SPDX-License-Identifier: GPL-2.0-only
# The modbpf command and libmodbpf.so, included by the top Makefile.
LIB_SRC := $(wildcard loader/lib/*.cpp)
CLI_SRC := $(wildcard loader/cli/*.cpp)
LIB_REL := $(LIB_SRC:%.cpp=$(B)/rel/%.o) $(B)/rel/loader/lib/syscall.o
LIB_ASAN := $(LIB_SRC:%.cpp=$(B)/asan/%.o) $(B)/asan/loader/lib/syscall.o
CLI_FLAGS := -std=gnu++20 -g -I. -Iuapi -Wall -Wextra -Wno-missing-field-initializers -MMD -MP
LIBS := -lbpf -lelf -lz

$(B)/rel/loader/lib/%.o $(B)/asan/loader/lib/%.o: EXTRA += -I.
$(B)/%/loader/lib/syscall.o: loader/lib/syscall.S
	@mkdir -p $(@D)
	$(CXX) -c $< -o $@
$(B)/rel/loader/cli/%.o: loader/cli/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(CLI_FLAGS) $(REL) -c $< -o $@
$(B)/asan/loader/cli/%.o: loader/cli/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(CLI_FLAGS) $(ASAN) -c $< -o $@

CLI_PAGE := loader/cli/pages.o
$(B)/%/loader/cli/pages.o: loader/cli/pages.S loader/cli/explorer.html loader/cli/flame.svg
	@mkdir -p $(@D)
	$(CXX) -c $< -o $@

# Linked by the C driver: a library that is preloaded into everything does not bring libstdc++ along.
$(B)/libmodbpf.so: $(LIB_REL) $(B)/rel/libcore.a loader/lib/libmodbpf.map $(LIB_EXTRA)
	gcc -shared -pthread -Wl,-z,defs -Wl,-z,relro,-z,now -Wl,-Bsymbolic -Wl,-soname,libmodbpf.so \
		-Wl,--version-script=loader/lib/libmodbpf.map -o $@ $(LIB_REL) $(B)/rel/libcore.a $(LIB_EXTRA)

# libmodbpf.so stands first: libbpf's syscall() must find ours.
$(B)/modbpf: $(CLI_SRC:%.cpp=$(B)/rel/%.o) $(B)/rel/$(CLI_PAGE) $(B)/libmodbpf.so
	$(CXX) -pthread -o $@ $(filter %.o,$^) -Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed $(LIBS) \
		-Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib/modbpf'

# All in one program under the sanitizers: process back end only.
$(B)/asan/modbpf: $(CLI_SRC:%.cpp=$(B)/asan/%.o) $(B)/asan/$(CLI_PAGE) $(LIB_ASAN) $(B)/asan/libcore.a
	$(CXX) $(ASAN) -pthread -o $@ $(filter %.o,$^) $(B)/asan/libcore.a $(LIBS)

.PHONY: loader
loader: $(B)/modbpf


# The library with a double of the core, for the transport's own test.
$(B)/test/libmodbpf_double.so: $(filter-out %/watch.o,$(LIB_REL)) loader/test/core_double.cpp $(filter $(B)/rel/kmod/port/user/%,$(CORE_REL))
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_COMMON) $(REL) -c loader/test/core_double.cpp -o $(B)/test/core_double.o
	gcc -shared -pthread -Wl,-z,defs -Wl,-Bsymbolic -Wl,--version-script=loader/lib/libmodbpf.map -o $@ \
		$(filter %.o,$^) $(B)/test/core_double.o
$(B)/test/transport_test: loader/test/transport_test.c
	@mkdir -p $(@D)
	gcc -O1 -g -Wall -pthread -o $@ $<
$(B)/test/mutate: loader/test/mutate.c
	@mkdir -p $(@D)
	gcc -O1 -g -Wall -fno-strict-aliasing -o $@ $<
$(B)/test/cli_test: loader/test/cli_test.cpp loader/test/explain_test.cpp loader/test/stacks_test.cpp $(patsubst %.cpp,$(B)/asan/%.o,$(filter-out loader/cli/main.cpp,$(CLI_SRC))) $(B)/asan/$(CLI_PAGE) $(B)/libmodbpf.so
	@mkdir -p $(@D)
	$(CXX) $(CLI_FLAGS) $(ASAN) -pthread -o $@ $(filter %.cpp %.o,$^) -Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed \
		$(LIBS) -lgtest -lgtest_main -Wl,-rpath,'$$ORIGIN/..'
$(B)/test/process_test: loader/test/process_test.c $(B)/libmodbpf.so
	@mkdir -p $(@D)
	gcc -O1 -g -Wall -I. -o $@ $< -Wl,--no-as-needed -L$(B) -lmodbpf -Wl,--as-needed -lbpf -Wl,-rpath,'$$ORIGIN/..'
$(B)/test/ring.bpf.o: loader/test/ring.bpf.c
	@mkdir -p $(@D)
	clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c $< -o $@
