// SPDX-License-Identifier: GPL-2.0-only
// func_info, line_info and map key and value types: accepted and refused with Linux's text.
#include "btf/prog_info.h"

#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "btf/btf_builder_test.h"

namespace modbpf {
namespace {

using B = btf_builder;
using K = btf_kind;

/// ids: 1 int, 2 int(void), 3 func main, 4 void(void), 5 func sub, 6 enum, 7 enum(void), 8 func, 9 var, 10 .data, 11 u64,
/// 12 struct of 16, 13 pointer, 14 typedef of int, 15 bit-field int.
ref<btf> library(u32 *name_off) {
    B b;
    u32 i = b.int32();
    b.func("main", b.proto(i, {}));
    b.func("sub", b.proto(0, {}));
    u32 e = b.type("e", B::info(K::enum_), 4);
    b.func("g", b.proto(e, {}));
    u32 v = b.type("v", B::info(K::var), i, {1});
    b.type(".data", B::info(K::datasec, 1), 4, {v, 0, 4});
    u32 w = b.integer("u64", 8, 64);
    b.composite(K::structure, "pair", 16, {{"a", w, 0}, {"b", w, 64}});
    b.refer(K::pointer, 0), b.refer(K::typedef_, i, "i32"), b.integer("bits", 4, 31);
    *name_off = b.str("file.c");
    auto a = load_btf(b.bytes());
    EXPECT_EQ(a.err, 0) << a.log;
    return a.types;
}

class prog_info : public testing::Test {
protected:
    u32 text_off = 0;
    ref<btf> types = library(&text_off);
    char buf[4096]{};
    verifier_log log;

    void SetUp() override { ASSERT_TRUE(log.init(BPF_LOG_LEVEL1, addr_of(buf), sizeof(buf)).ok()); }
    static raw_records raw(const std::vector<u32> &words, u32 rec_size) {
        u32 bytes = static_cast<u32>(words.size() * 4);
        return {span<const u8>(reinterpret_cast<const u8 *>(words.data()), bytes), bytes / rec_size, rec_size};
    }
    int funcs(const std::vector<u32> &words, u32 rec_size = 8) {
        buf[0] = 0, log.reset(0);
        return -func_info_parse(raw(words, rec_size), *types, log).code();
    }
    int lines(const std::vector<u32> &words, u32 rec_size = 16) {
        static const bpf_insn insns[6] = {{0x18}, {}, {0xb7}, {0x95}, {0xb7}, {0x95}}; // ld_imm64 takes 0 and 1
        buf[0] = 0, log.reset(0);
        return -line_info_parse(raw(words, rec_size), *types, insns, log).code();
    }
    template <class F> int check(F f) {
        buf[0] = 0, log.reset(0);
        return -f().code();
    }
    std::string text() {
        u32 size;
        EXPECT_TRUE(log.finalize(&size).ok());
        return buf;
    }
};

TEST_F(prog_info, func_records) {
    EXPECT_EQ(funcs({0, 3, 4, 5}), 0);
    EXPECT_EQ(text(), "");
    EXPECT_EQ(funcs({0, 3, 0, 4, 5, 0}, 12), 0) << "longer records with zeros";
    EXPECT_EQ(funcs({0, 3, 7}, 12), E2BIG);
    EXPECT_EQ(text(), "nonzero tailing record in func info");
    EXPECT_EQ(funcs({1, 3}), EINVAL);
    EXPECT_EQ(text(), "nonzero insn_off 1 for the first func info record");
    EXPECT_EQ(funcs({0, 3, 0, 5}), EINVAL);
    EXPECT_EQ(text(), "same or smaller insn offset (0) than previous func info record (0)");
    EXPECT_EQ(funcs({0, 1}), EINVAL);
    EXPECT_EQ(text(), "invalid type id 1 in func info");
    EXPECT_EQ(funcs({0, ~0u}), EINVAL);
    EXPECT_EQ(text(), "invalid type id -1 in func info");
    for (u32 size : {0u, 4u, 10u, 256u}) {
        EXPECT_EQ(check([&] { return func_info_rec_size_check(size, log); }), EINVAL);
        EXPECT_EQ(text(), "invalid func info rec size " + std::to_string(size) + "\n");
    }
    EXPECT_EQ(check([&] { return func_info_rec_size_check(252, log); }), 0);
}

TEST_F(prog_info, funcs_against_subprograms) {
    const func_info two[] = {{0, 3}, {4, 5}}, enumerated[] = {{0, 3}, {4, 8}};
    auto run = [&](span<const func_info> f, std::vector<subprog_facts> s) {
        return check([&] { return func_info_check(f, *types, {s.data(), s.size()}, log); });
    };
    EXPECT_EQ(run(two, {{0, true, true}, {4, false, false}}), 0) << "main may";
    EXPECT_EQ(run(enumerated, {{0, false, false}, {4, true, true}}), 0);
    EXPECT_EQ(run(two, {{0, false, false}}), EINVAL);
    EXPECT_EQ(text(), "number of funcs in func_info doesn't match number of subprogs\n");
    EXPECT_EQ(run(two, {{0, false, false}, {5, false, false}}), EINVAL);
    EXPECT_EQ(text(), "func_info BTF section doesn't match subprog layout in BPF program\n");
    EXPECT_EQ(run(two, {{0, false, false}, {4, true, false}}), EINVAL);
    EXPECT_EQ(text(), "LD_ABS is only allowed in functions that return 'int'.\n");
    EXPECT_EQ(run(two, {{0, false, false}, {4, false, true}}), EINVAL);
    EXPECT_EQ(text(), "tail_call is only allowed in functions that return 'int'.\n");

    auto absent = [&](std::vector<subprog_facts> s) {
        return check([&] { return func_info_absent_check({s.data(), s.size()}, log); });
    };
    EXPECT_EQ(absent({{0, true, true}, {3, false, false}}), 0);
    EXPECT_EQ(absent({{0, false, false}, {3, true, false}}), EINVAL);
    EXPECT_EQ(text(), "LD_ABS is not allowed in subprogs without BTF\n");
    EXPECT_EQ(absent({{0, false, false}, {3, false, true}}), EINVAL);
    EXPECT_EQ(text(), "tail_call is not allowed in subprogs without BTF\n");
}

TEST_F(prog_info, line_records) {
    const u32 n = text_off;
    EXPECT_EQ(lines({}), 0);
    EXPECT_EQ(lines({0, n, n, 1 << 10, 2, n, n, 2 << 10}), 0);
    EXPECT_EQ(lines({0, n, n, 1, 0, n, n, 2}), EINVAL);
    EXPECT_EQ(text(), "Invalid line_info[1].insn_off:0 (prev_offset:0 prog->len:6)\n");
    EXPECT_EQ(lines({6, n, n, 1}), EINVAL);
    EXPECT_EQ(text(), "Invalid line_info[0].insn_off:6 (prev_offset:0 prog->len:6)\n");
    EXPECT_EQ(lines({0, n, n, 1, 1, n, n, 1}), EINVAL);
    EXPECT_EQ(text(), "Invalid insn code at line_info[1].insn_off\n");
    EXPECT_EQ(lines({0, 100000, n, 1}), EINVAL);
    EXPECT_EQ(text(), "Invalid line_info[0].line_off or .file_name_off\n");
    EXPECT_EQ(lines({0, n, 100000, 1}), EINVAL);
    EXPECT_EQ(lines({0, n, n, 1, 9}, 20), E2BIG);
    EXPECT_EQ(text(), "nonzero tailing record in line_info");
    EXPECT_EQ(lines({0, n, n, 1, 0}, 20), 0);
    EXPECT_EQ(line_info_rec_size_check(1, 12).code(), -EINVAL);
    EXPECT_EQ(line_info_rec_size_check(1, 18).code(), -EINVAL);
    EXPECT_EQ(line_info_rec_size_check(1, 256).code(), -EINVAL);
    EXPECT_EQ(line_info_rec_size_check(1u << 27, 16).code(), -EINVAL);
    EXPECT_EQ(line_info_rec_size_check((1u << 27) - 1, 16).code(), 0);
}

TEST_F(prog_info, lines_against_subprograms) {
    const line_info l[] = {{0, 0, 0, 1}, {2, 0, 0, 2}, {4, 0, 0, 3}};
    auto run = [&](std::vector<subprog_facts> s) {
        return check([&] { return line_info_check(l, {s.data(), s.size()}, log); });
    };
    EXPECT_EQ(run({{0, false, false}}), 0);
    EXPECT_EQ(run({{0, false, false}, {4, false, false}}), 0);
    EXPECT_EQ(run({{0, false, false}, {3, false, false}}), EINVAL);
    EXPECT_EQ(text(), "missing bpf_line_info for func#1\n");
    EXPECT_EQ(run({{0, false, false}, {5, false, false}}), EINVAL);
    EXPECT_EQ(text(), "missing bpf_line_info for 1 funcs starting from func#1\n");
    EXPECT_EQ(line_info_find(l, 0), &l[0]);
    EXPECT_EQ(line_info_find(l, 1), &l[0]);
    EXPECT_EQ(line_info_find(l, 2), &l[1]);
    EXPECT_EQ(line_info_find(l, 100), &l[2]);
    EXPECT_EQ(line_info_find({l + 1, 2}, 1), nullptr);
    EXPECT_EQ(line_info_find({}, 1), nullptr);
    EXPECT_EQ((line_info{0, 0, 0, 7 << 10 | 3}).line(), 7u);
}

TEST_F(prog_info, map_types) {
    auto run = [&](u32 key, u32 value, u32 type, u32 key_size, u32 value_size, u32 entries = 1) {
        return -btf_check_key_value(*types, key, value, {type, entries, key_size, value_size}).code();
    };
    EXPECT_EQ(run(1, 12, BPF_MAP_TYPE_HASH, 4, 16), 0);
    EXPECT_EQ(run(14, 12, BPF_MAP_TYPE_ARRAY, 4, 16), 0);
    EXPECT_EQ(run(12, 1, BPF_MAP_TYPE_HASH, 16, 4), 0);
    EXPECT_EQ(run(0, 12, BPF_MAP_TYPE_HASH, 4, 16), 0);
    EXPECT_EQ(run(0, 10, BPF_MAP_TYPE_ARRAY, 4, 4), 0) << "global data";
    EXPECT_EQ(run(0, 10, BPF_MAP_TYPE_ARRAY, 4, 4, 2), EINVAL);
    EXPECT_EQ(run(0, 12, BPF_MAP_TYPE_ARRAY, 4, 16), EINVAL);
    EXPECT_EQ(run(0, 10, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4), EINVAL);
    EXPECT_EQ(run(13, 12, BPF_MAP_TYPE_ARRAY, 8, 16), EINVAL);
    EXPECT_EQ(run(6, 12, BPF_MAP_TYPE_ARRAY, 4, 16), EINVAL) << "an enumeration is no integer";
    EXPECT_EQ(run(15, 12, BPF_MAP_TYPE_ARRAY, 4, 16), EINVAL) << "31 bits";
    EXPECT_EQ(run(1, 12, BPF_MAP_TYPE_HASH, 8, 16), EINVAL);
    EXPECT_EQ(run(1, 12, BPF_MAP_TYPE_HASH, 4, 8), EINVAL);
    EXPECT_EQ(run(1, 99, BPF_MAP_TYPE_HASH, 4, 16), EINVAL);
    EXPECT_EQ(run(99, 12, BPF_MAP_TYPE_HASH, 4, 16), EINVAL);
    EXPECT_EQ(run(1, 2, BPF_MAP_TYPE_HASH, 4, 0), EINVAL) << "a prototype has no size";
    EXPECT_EQ(run(1, 1, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4), ENOTSUPP);
    EXPECT_EQ(run(1, 1, BPF_MAP_TYPE_PROG_ARRAY, 4, 4), 0);
    EXPECT_EQ(run(0, 1, BPF_MAP_TYPE_PROG_ARRAY, 4, 4), EINVAL);
}

TEST_F(prog_info, each_allocation_fails_once) {
    const std::vector<u32> f = {0, 3, 4, 5};
    port_fail_nth_set(1);
    EXPECT_EQ(func_info_parse(raw(f, 8), *types, log).code(), -ENOMEM);
    port_fail_nth_set(1);
    const bpf_insn insn{0x95};
    const std::vector<u32> l = {0, text_off, text_off, 1};
    EXPECT_EQ(line_info_parse(raw(l, 16), *types, {&insn, 1}, log).code(), -ENOMEM);
    port_fail_nth_set(0);
}

}  // namespace
}  // namespace modbpf
