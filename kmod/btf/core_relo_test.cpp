// SPDX-License-Identifier: GPL-2.0-only
// CO-RE on two small BTFs: what a program thinks of some types, and what the kernel has.
#include "btf/btf_builder_test.h"
#include "btf/core_relo.h"
#include "isa/opcode.h"

#include <gtest/gtest.h>

#include <map>

namespace modbpf {

namespace {

constexpr u32 alu = BPF_ALU64 | BPF_MOV | BPF_K, load4 = BPF_LDX | BPF_MEM | BPF_W, load8 = BPF_LDX | BPF_MEM | BPF_DW;

struct two_sides {
    ref<btf> local, kernel;
    u32 task, gone, flavor, state, state64, count, anon, callback, pair_local, pair_other, bits, flexible;
    u32 kernel_task, kernel_pair;
    u32 at(const std::string &path) const { return paths.at(path); }
    std::map<std::string, u32> paths;

    two_sides() {
        using K = btf_kind;
        {
            btf_builder b;
            u32 i = b.int32(), w = b.integer("u64", 8, 64), u = b.integer("unsigned int", 4, 32);
            for (const char *p : {"0", "0:0", "0:1", "0:2", "0:3", "0:4", "0:1:2", "0:9", "1", "2", "9", "", ":0", "0:x", "0:-1", "1:0", "0:1:200", "0:0:0"})
                paths[p] = b.str(p);
            u32 in = b.composite(K::structure, "inner", 4, {{"x", i, 0}});
            task = b.composite(K::structure, "task", 40, {{"pid", i, 0}, {"comm", b.array(b.integer("char", 1, 8), i, 16), 32}, {"deep", i, 160},
                                                          {"in", in, 192}, {"number", u, 224}});
            gone = b.composite(K::structure, "gone", 4, {{"x", i, 0}});
            flavor = b.composite(K::structure, "task___old", 4, {{"tgid", i, 0}, {"absent", i, 0}});
            state = b.type("state", b.info(K::enum_, 3), 4, {b.str("OFF"), 0, b.str("ON"), 1, b.str("LOST"), 2});
            state64 = b.type("state64", b.info(K::enum64, 1), 8, {b.str("BIG"), 1, 0});
            count = b.refer(K::typedef_, i, "count");
            anon = b.composite(K::structure, "", 4, {{"x", i, 0}});
            callback = b.refer(K::typedef_, b.refer(K::pointer, b.proto(i, {{"a", i, 0}})), "callback");
            pair_local = b.composite(K::structure, "pair", 8, {{"a", i, 0}, {"b", i, 32}});
            pair_other = b.composite(K::structure, "pair___other", 8, {{"a", w, 0}});
            bits = b.composite(K::structure, "bits", 4, {{"x", i, 3u << 24}, {"y", i, 5u << 24 | 3}}, true);
            flexible = b.composite(K::structure, "flexible", 8, {{"n", w, 0}, {"rest", b.array(i, i, 0), 64}});
            auto a = load_btf(b.bytes());
            EXPECT_EQ(a.err, 0) << a.log;
            local = a.types;
        }
        btf_builder b;
        u32 i = b.int32(), w = b.integer("u64", 8, 64), u = b.integer("unsigned long", 8, 64);
        u32 inner = b.composite(K::structure, "inner", 8, {{"pad", i, 0}, {"x", i, 32}});
        u32 hidden = b.composite(K::structure, "", 8, {{"pad", i, 0}, {"deep", i, 32}});
        kernel_task = b.composite(K::structure, "task", 72, {{"state", w, 0}, {"pid", i, 64}, {"tgid", i, 96},
                                               {"", b.composite(K::union_, "", 8, {{"", hidden, 0}, {"raw", w, 0}}), 128},
                                               {"comm", b.array(b.integer("char", 1, 8), i, 28), 192}, {"in", inner, 416}, {"number", u, 512}});
        b.type("state", b.info(K::enum_, 2), 4, {b.str("ON___v2"), 5, b.str("OFF"), 7});
        b.type("state64", b.info(K::enum64, 1), 8, {b.str("BIG"), 2, 3});
        b.refer(K::typedef_, w, "count");
        b.refer(K::typedef_, b.refer(K::pointer, b.proto(i, {{"x", w, 0}})), "callback");
        kernel_pair = b.composite(K::structure, "pair", 12, {{"c", i, 0}, {"b", i, 32}, {"a", i, 64}});
        b.composite(K::structure, "bits", 8, {{"w", i, 32u << 24}, {"x", i, 4u << 24 | 32}, {"y", i, 7u << 24 | 36}}, true);
        b.composite(K::structure, "flexible", 16, {{"a", w, 0}, {"n", w, 64}, {"rest", b.array(i, i, 0), 128}});
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        kernel = a.types;
    }
};

const two_sides &lib() {
    static two_sides s;
    return s;
}

struct core_row {
    const char *name;
    u32 type;
    const char *path;
    core_kind kind;
    u32 code;
    s32 before; ///< imm, or off of a load
    int err;    ///< or 0
    s64 after;  ///< or poisoned
    const char *text = "";
    u32 code_after = 0;
};
constexpr s64 poisoned = poisoned_call;

std::vector<core_row> rows() {
    const two_sides &l = lib();
    using K = core_kind;
    return {
        {"offset of a field", l.task, "0:0", K::field_byte_offset, load4, 0, 0, 8},
        {"as a number", l.task, "0:0", K::field_byte_offset, alu, 0, 0, 8},
        {"the compiler's value must be there", l.task, "0:0", K::field_byte_offset, alu, 3, EINVAL, 0, "unexpected insn #0 (ALU/ALU64) value: got 3, exp 0 -> 8"},
        {"in a load, too", l.task, "0:0", K::field_byte_offset, load4, 3, EINVAL, 0, "unexpected insn #0 (LDX/ST/STX) value: got 3, exp 0 -> 8"},
        {"behind structures without name", l.task, "0:2", K::field_byte_offset, load4, 20, 0, 20},
        {"an element", l.task, "0:1:2", K::field_byte_offset, alu, 6, 0, 26},
        {"size of an element", l.task, "0:1:2", K::field_byte_size, alu, 1, 0, 1},
        {"an element has no sign", l.task, "0:1:2", K::field_signed, alu, 1, EINVAL, 0, "can't be applied to array access"},
        {"size of a field", l.task, "0:1", K::field_byte_size, alu, 16, 0, 28},
        {"a whole object behind", l.task, "1:0", K::field_byte_offset, alu, 40, 0, 80},
        {"a number that grew", l.task, "0:4", K::field_byte_offset, load4, 28, 0, 64, "", load8},
        {"is there", l.task, "0:0", K::field_exists, alu, 1, 0, 1},
        {"a flavor's field", l.flavor, "0:0", K::field_byte_offset, load4, 0, 0, 12},
        {"a field that is gone", l.flavor, "0:1", K::field_byte_offset, load4, 0, 0, poisoned},
        {"is not there", l.flavor, "0:1", K::field_exists, alu, 1, 0, 0},
        {"a type that is gone", l.gone, "0:0", K::field_byte_offset, alu, 0, 0, poisoned},
        {"sign", l.task, "0:0", K::field_signed, alu, 1, 0, 1},
        {"shifts of a field", l.task, "0:0", K::field_lshift, alu, 32, 0, 32},
        {"right shift", l.task, "0:0", K::field_rshift, alu, 32, 0, 32},
        {"offset of a bit-field", l.bits, "0:0", K::field_byte_offset, alu, 0, 0, 4},
        {"left shift of a bit-field", l.bits, "0:1", K::field_lshift, alu, 56, 0, 53},
        {"right shift of a bit-field", l.bits, "0:1", K::field_rshift, alu, 59, 0, 57},
        {"an array without bounds", l.flexible, "0:1:200", K::field_byte_offset, alu, 8 + 800, 0, 16 + 800},
        {"id of the program's type", l.task, "0", K::type_id_local, alu, 77, 0, l.task},
        {"id of the kernel's type", l.task, "0", K::type_id_target, alu, 77, 0, l.kernel_task},
        {"of a type that is gone", l.gone, "0", K::type_id_target, alu, 77, 0, 0},
        {"type is there", l.task, "0", K::type_exists, alu, 1, 0, 1},
        {"type is not there", l.gone, "0", K::type_exists, alu, 1, 0, 0},
        {"size of a type", l.task, "0", K::type_size, alu, 40, 0, 72},
        {"typedef of another size", l.count, "0", K::type_size, alu, 4, 0, 8},
        {"functions are compatible", l.callback, "0", K::type_exists, alu, 1, 0, 1},
        {"but do not match", l.callback, "0", K::type_matches, alu, 1, 0, 0},
        {"members in another order match", l.pair_local, "0", K::type_matches, alu, 1, 0, 1},
        {"of another size they do not", l.pair_other, "0", K::type_matches, alu, 1, 0, 0},
        {"enumerator", l.state, "1", K::enumval_value, alu, 1, 0, 5},
        {"another place", l.state, "0", K::enumval_value, alu, 0, 0, 7},
        {"enumerator that is gone", l.state, "2", K::enumval_value, alu, 2, 0, poisoned},
        {"enumerator is there", l.state, "1", K::enumval_exists, alu, 1, 0, 1},
        {"enumerator is not there", l.state, "2", K::enumval_exists, alu, 1, 0, 0},
        {"large enumerator", l.state64, "0", K::enumval_value, BPF_LD | BPF_IMM | BPF_DW, 1, 0, 3ll << 32 | 2},
        {"no such enumerator", l.state, "9", K::enumval_value, alu, 0, EINVAL, 0, "failed: -22"},
        {"no such member", l.task, "0:9", K::field_byte_offset, alu, 0, EINVAL, 0, "prog '': relo #3: parsing ["},
        {"a member of a number", l.task, "0:0:0", K::field_byte_offset, alu, 0, EINVAL, 0, "failed: -22"},
        {"no path", l.task, "", K::field_byte_offset, alu, 0, EINVAL, 0, "failed: -22"},
        {"a path that starts with a colon", l.task, ":0", K::field_byte_offset, alu, 0, EINVAL, 0, "failed: -22"},
        {"a path with letters", l.task, "0:x", K::field_byte_offset, alu, 0, EINVAL, 0, "failed: -22"},
        {"a negative index", l.task, "0:-1", K::field_byte_offset, alu, 0, EINVAL, 0, "failed: -22"},
        {"a path of a type", l.task, "0:1", K::type_size, alu, 0, EINVAL, 0, "failed: -22"},
        {"an element behind the array", l.task, "0:1:200", K::field_byte_offset, alu, 0, EINVAL, 0, "failed: -22"},
        {"a type without name", l.anon, "0:0", K::field_byte_offset, alu, 0, EINVAL, 0, "target candidate search failed"},
        {"no type", 9999, "0:0", K::field_byte_offset, alu, 0, EINVAL, 0, "relo #3: bad type id 9999"},
        {"no relocation", l.task, "0:0", K{77}, alu, 0, EINVAL, 0, "failed: -22"},
        {"no place for a number", l.task, "0:0", K::field_byte_offset, BPF_JMP | BPF_JA, 0, EINVAL, 0, "trying to relocate unrecognized insn #0"},
        {"arithmetic on a register", l.task, "0:0", K::field_byte_offset, BPF_ALU64 | BPF_ADD | BPF_X, 0, EINVAL, 0, "trying to relocate unrecognized insn #0"},
    };
}

}  // namespace

TEST(CoreRelo, Rows) {
    for (const auto &r : rows()) {
        static char text[4096];
        text[0] = 0;
        verifier_log log;
        ASSERT_TRUE(log.init(BPF_LOG_LEVEL1, addr_of(text), sizeof(text)).ok());
        bpf_insn insns[2] = {make_insn(static_cast<u8>(r.code), 1, 0, 0, 0), make_insn(0, 0, 0, 0, 0)};
        bool load = bpf_class(insns[0].code) == BPF_LDX, wide = bpf_class(insns[0].code) == BPF_LD;
        if (load)
            insns[0].off = static_cast<s16>(r.before);
        else
            insns[0].imm = r.before;
        core_relo relo{0, r.type, lib().at(r.path), static_cast<u32>(r.kind)};
        status st = core_apply(relo, 3, *lib().local, {&*lib().kernel, nullptr}, {insns, 2}, log);
        u32 n;
        ASSERT_TRUE(log.finalize(&n).ok());
        EXPECT_EQ(st.ok() ? 0 : st.err().code(), r.err) << r.name << "\n" << text;
        EXPECT_NE(std::string(text).find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in " << text;
        if (!st.ok() || r.err)
            continue;
        if (r.after == poisoned) {
            EXPECT_EQ(insns[0].code, BPF_JMP | BPF_CALL) << r.name;
            EXPECT_EQ(insns[0].imm, poisoned_call) << r.name;
            continue;
        }
        s64 got = wide ? static_cast<s64>(static_cast<u64>(static_cast<u32>(insns[1].imm)) << 32 | static_cast<u32>(insns[0].imm))
                       : load ? insns[0].off : insns[0].imm;
        EXPECT_EQ(got, r.after) << r.name << "\n" << text;
        EXPECT_EQ(insns[0].code, r.code_after ? r.code_after : r.code) << r.name;
    }
}

TEST(CoreRelo, EssentialNames) {
    EXPECT_EQ(essential_length("task_struct"), 11u);
    EXPECT_EQ(essential_length("task_struct___old"), 11u);
    EXPECT_EQ(essential_length("a___b___c"), 5u);
    EXPECT_EQ(essential_length("a____b"), 6u);
    EXPECT_EQ(essential_length("___b"), 4u);
    EXPECT_EQ(essential_length("a___"), 4u);
    EXPECT_EQ(essential_length(""), 0u);
}

// Two kernel types of one name must agree.
TEST(CoreRelo, AmbiguousCandidates) {
    btf_builder b;
    u32 i = b.int32();
    b.composite(btf_kind::structure, "pair", 12, {{"x", i, 0}, {"a", i, 32}});
    b.composite(btf_kind::structure, "pair", 12, {{"a", i, 0}});
    auto k = load_btf(b.bytes());
    ASSERT_EQ(k.err, 0);
    static char text[4096];
    verifier_log log;
    ASSERT_TRUE(log.init(BPF_LOG_LEVEL1, addr_of(text), sizeof(text)).ok());
    bpf_insn in = make_insn(alu, 1, 0, 0, 0);
    status st = core_apply({0, lib().pair_local, lib().at("0:0"), 0}, 0, *lib().local, {&*k.types, nullptr}, {&in, 1}, log);
    u32 n;
    ASSERT_TRUE(log.finalize(&n).ok());
    EXPECT_EQ(st.ok() ? 0 : st.err().code(), EINVAL);
    EXPECT_NE(std::string(text).find("relo #0: field offset ambiguity: 0 != 32"), std::string::npos) << text;
}

std::vector<ref<btf>> loaded_modules;
u32 times_asked = 0;
result<vec<ref<btf>>> ask_modules() {
    times_asked++;
    vec<ref<btf>> all;
    for (auto &m : loaded_modules)
        EXPECT_TRUE(all.push(ref<btf>(m)).ok());
    return all;
}

/// Names that the kernel does not have are looked for in all modules, which must agree; others are not.
TEST(CoreRelo, TypesOfModules) {
    auto module = [](u32 offset) {
        btf_builder b;
        u32 i = b.int32();
        b.composite(btf_kind::structure, "gone", 16, {{"x", i, offset}});
        b.composite(btf_kind::structure, "task", 16, {{"pid", i, offset}});
        auto m = load_btf(b.bytes());
        EXPECT_EQ(m.err, 0);
        return m.types;
    };
    ref<btf> at4 = module(32), at8 = module(64);
    const struct {
        std::vector<ref<btf>> modules;
        u32 type;
        s32 after; ///< poisoned: nothing fits; -1: EINVAL
        u32 asked;
    } rows[] = {
        {{}, lib().gone, poisoned, 1},        {{at4}, lib().gone, 4, 1},         {{at4, at4}, lib().gone, 4, 1},
        {{at4, at8}, lib().gone, -1, 1},      {{at4, at8}, lib().task, 8, 0}, // where the kernel has it
    };
    for (const auto &r : rows) {
        loaded_modules = r.modules, times_asked = 0;
        static char text[4096];
        verifier_log log;
        ASSERT_TRUE(log.init(BPF_LOG_LEVEL1, addr_of(text), sizeof(text)).ok());
        bpf_insn in = make_insn(alu, 1, 0, 0, 0);
        status st = core_apply({0, r.type, lib().at("0:0"), 0}, 0, *lib().local, {&*lib().kernel, ask_modules}, {&in, 1}, log);
        u32 n;
        ASSERT_TRUE(log.finalize(&n).ok());
        EXPECT_EQ(st.ok() ? 0 : st.err().code(), r.after == -1 ? EINVAL : 0) << text;
        EXPECT_EQ(times_asked, r.asked);
        if (r.after == -1)
            EXPECT_NE(std::string(text).find("field offset ambiguity: 64 != 32"), std::string::npos) << text;
        else
            EXPECT_EQ(in.imm, r.after == poisoned ? poisoned_call : r.after) << text;
    }
    loaded_modules.clear();
}

}  // namespace modbpf
