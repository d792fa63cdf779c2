// SPDX-License-Identifier: GPL-2.0-only
// Blinding: no constant of a program stands in its image, whatever class of instruction has it and whichever pass made it.
//
// Two ways to look. Bytes: those of a constant are in the image when it is not blinded, and not when it is. Immediates: of two images of one
// program, made with different random numbers, no instruction has the same one; what does has not been hidden.
#include "helpers/packet.h"
#include "jit/divide.h"
#include "jit/passes.h"
#include "jit/random_program_test.h"
#include "maps/map_test.h"

#include <cstring>

namespace modbpf::testing {
namespace {

constexpr s32 plus = 0x3c9a71e5, minus = static_cast<s32>(0xbad0c0d5); ///< constants that nothing else has
constexpr s32 farthest_offset = 0x8000 + static_cast<s32>(max_frame_bytes) + 64; ///< of an access: 16 bits, and where the frame is

jit_options blind_with(u32 passes) {
    jit_options o;
    o.passes = passes;
    o.blind = true;
    return o;
}

/// With all passes, on this machine.
jit_image image_of(const code &c, bool blind) {
    jit_options o;
    o.blind = blind;
    auto image = jit_compile(c, o);
    EXPECT_TRUE(image.ok());
    return image.ok() ? move(*image) : jit_image();
}

/// The immediate operands of an image in their order, each with its instruction. Left out: what is no choice of a program's author, or has 6
/// bits: jumps, counts of shifts, the sizes of frames, 0, and the -1 that a signed division compares its divisor with.
struct immediates {
    csh cs = 0;
    cs_insn *insn = nullptr;
    immediates() {
        EXPECT_EQ(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
        cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
        insn = cs_malloc(cs);
    }
    ~immediates() {
        cs_free(insn, 1);
        cs_close(&cs);
    }
    static bool is_count(unsigned id) {
        return id == X86_INS_SHL || id == X86_INS_SHR || id == X86_INS_SAR || id == X86_INS_SAL || id == X86_INS_ROL || id == X86_INS_ROR;
    }
    std::vector<std::pair<s64, std::string>> of(const jit_image &image) {
        std::vector<std::pair<s64, std::string>> all;
        const u8 *p = image.text().data();
        size_t left = image.text().size();
        uint64_t at = 0;
        while (left && cs_disasm_iter(cs, &p, &left, &at, insn)) {
            const cs_x86 &x = insn->detail->x86;
            for (u32 i = 0; i < x.op_count; i++) {
                if (x.operands[i].type == X86_OP_MEM && x.operands[i].mem.base != X86_REG_RIP && x.operands[i].mem.segment == X86_REG_INVALID) {
                    EXPECT_LE(std::abs(x.operands[i].mem.disp), farthest_offset) << insn->mnemonic << " " << insn->op_str;
                }
                if (x.operands[i].type != X86_OP_IMM || is_jump_or_call(insn->id) || is_count(insn->id) || x.operands[i].imm == 0)
                    continue;
                bool frame = x.operands[0].type == X86_OP_REG && x.operands[0].reg == X86_REG_RSP;
                bool divisor = insn->id == X86_INS_CMP && x.operands[i].imm == -1 &&
                               (x.operands[0].reg == X86_REG_R11 || x.operands[0].reg == X86_REG_R11D);
                if (!frame && !divisor)
                    all.push_back({x.operands[i].imm, std::string(insn->mnemonic) + " " + insn->op_str});
            }
        }
        return all;
    }
};

/// The instructions whose immediates the images of `c` have in common; of blinded ones: none.
std::string shown(const code &c, const jit_options &options, const machine &m = machines()[0]) {
    static immediates reader;
    for (u32 attempt = 0; attempt < 3; attempt++) {
        auto one = compile_for(m, c, options), other = compile_for(m, c, options);
        EXPECT_TRUE(one.ok() && other.ok());
        if (!one.ok() || !other.ok())
            return "no image";
        auto a = reader.of(*one), b = reader.of(*other);
        if (a.size() != b.size()) // a random number fitted a shorter form
            continue;
        std::string same;
        for (size_t i = 0; i < a.size(); i++)
            if (a[i].first == b[i].first)
                same += a[i].second + "\n";
        return same;
    }
    return "the images differ in more than numbers";
}

bool has_bytes(const jit_image &image, const std::string &bytes) {
    return memmem(image.text().data(), image.text().size(), bytes.data(), bytes.size()) != nullptr;
}
std::string bytes_of(u64 v, u32 n) { return std::string(reinterpret_cast<const char *>(&v), n); }

/// `needles`: what an image with these passes shows when nothing is blinded.
void expect_hidden(const code &c, const std::vector<std::string> &needles, u32 passes, const std::string &what, bool numbers_too = true) {
    jit_options open;
    open.passes = passes;
    for (const machine &m : machines()) {
        auto clear = compile_for(m, c, open), blind = compile_for(m, c, blind_with(passes));
        ASSERT_TRUE(clear.ok() && blind.ok()) << what;
        check_image(*blind, &m.env);
        for (const std::string &n : needles) {
            EXPECT_TRUE(has_bytes(*clear, n)) << what << ": the constant is not where it is looked for\n" << listing(*clear);
            EXPECT_FALSE(has_bytes(*blind, n)) << what << "\n" << listing(*blind);
        }
    }
    if (numbers_too) {
        EXPECT_EQ(shown(c, blind_with(passes)), "") << what;
        if (!needles.empty()) {
            EXPECT_NE(shown(c, open), "") << what;
        }
    }
}

/// The same, and the image returns and leaves at ctx what the interpreter does.
void expect_blind(const program_text &p, const std::vector<std::string> &needles, u32 passes, const std::string &what) {
    code c = make_code(p, {}, 16);
    expect_hidden(c, needles, passes, what);
    for (const machine &m : machines()) {
        u64 ours[2] = {0x123456789abcdef, 5}, theirs[2] = {0x123456789abcdef, 5};
        auto image = compile_for(m, c, blind_with(passes));
        ASSERT_TRUE(image.ok());
        EXPECT_EQ(image->entry()(ours), run_interp(c, theirs)) << what << "\n" << listing(*image);
        EXPECT_EQ(memcmp(ours, theirs, sizeof(ours)), 0) << what;
    }
}

constexpr u32 pass_choices[] = {all_passes, 0};

TEST(jit_blind, arithmetic) {
    for (u32 passes : pass_choices)
        for (u8 op : {BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_XOR, BPF_MOV})
            for (bool wide : {true, false})
                for (s32 v : {plus, minus}) {
                    program_text p = {ldx(BPF_DW, 0, 1, 0), wide ? alu64_k(op, 0, v) : alu32_k(op, 0, v), exit_insn()};
                    expect_blind(p, {bytes_of(static_cast<u32>(v), 4)}, passes, "op " + std::to_string(op) + (wide ? " 64" : " 32"));
                }
}

/// Numbers of any size: a byte here and there is enough to begin with.
TEST(jit_blind, small_numbers) {
    for (u32 passes : pass_choices)
        for (s32 v : {1, 2, 3, 0x7f, -1, 0xc3, 0xff, 0xffff, 0x8000, 0x12345})
            for (u8 op : {BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_XOR, BPF_MOV, BPF_DIV, BPF_MOD})
                for (u32 form = 0; form < 4; form++) {
                    bool divides = op == BPF_DIV || op == BPF_MOD;
                    s16 off = form / 2 && divides;
                    program_text p = {ldx(BPF_DW, 0, 1, 0), form % 2 ? alu64_k(op, 0, v, off) : alu32_k(op, 0, v, off),
                                      jmp_k(BPF_JSGT, 0, v, 1), st(BPF_DW, 1, 8, v), exit_insn()};
                    expect_blind(p, {}, passes, "op " + std::to_string(op) + " number " + std::to_string(v));
                }
}

/// The multiplier that stands for a divisor is the program's choice as much as the divisor.
TEST(jit_blind, division) {
    for (u8 op : {BPF_DIV, BPF_MOD})
        for (bool wide : {true, false})
            for (s16 is_signed : {0, 1})
                for (s32 v : {plus, minus}) {
                    program_text p = {ldx(BPF_DW, 0, 1, 0), wide ? alu64_k(op, 0, v, is_signed) : alu32_k(op, 0, v, is_signed), exit_insn()};
                    u64 by = wide ? static_cast<u64>(static_cast<s64>(v)) : static_cast<u32>(v);
                    expect_blind(p, {bytes_of(by, 4)}, 0, "divisor");
                    if (is_signed && v < 0)
                        by = wide ? 0 - by : static_cast<u32>(0 - by);
                    std::string multiplier = wide ? bytes_of(inverse64(by).multiplier, 8) : bytes_of(inverse32(static_cast<u32>(by)).multiplier, 4);
                    expect_blind(p, {multiplier}, all_passes, "multiplier");
                    if (op == BPF_MOD)
                        expect_blind(p, {bytes_of(by, 4)}, all_passes, "divisor of a remainder");
                }
    for (u32 bits = 1; bits < 31; bits++)
        for (s16 is_signed : {0, 1})
            expect_blind({ldx(BPF_DW, 0, 1, 0), alu64_k(BPF_MOD, 0, 1 << bits, is_signed), exit_insn()}, {}, all_passes, "power of two");
}

TEST(jit_blind, branches) {
    for (u32 passes : pass_choices)
        for (u8 op : {BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE, BPF_JSET})
            for (bool wide : {true, false})
                for (s32 v : {plus, minus}) {
                    program_text p = {ldx(BPF_DW, 2, 1, 0), ldx(BPF_DW, 0, 1, 8), wide ? jmp_k(op, 2, v, 1) : jmp32_k(op, 2, v, 1),
                                      alu64_r(BPF_ADD, 0, 0), exit_insn()};
                    expect_blind(p, {bytes_of(static_cast<u32>(v), 4)}, passes, "branch " + std::to_string(op));
                }
    // The frame pointer, which is computed for it where it has no register of its own.
    code c = make_code({ldx(BPF_DW, 0, 1, 0), make_insn(BPF_JMP | BPF_JCOND, 0, BPF_MAY_GOTO, 1, 0), jmp_k(BPF_JEQ, 10, plus, 1),
                        alu64_r(BPF_ADD, 0, 0), exit_insn()});
    expect_hidden(c, {bytes_of(plus, 4)}, 0, "branch on the frame pointer", false); // beside it, the counter of turns
    u64 ctx = 7;
    EXPECT_EQ(run_jit_for(machines()[0], c, &ctx, blind_with(0)), 14u);
}

/// To memory of the program's (which becomes a move where the slot is a register) and to other memory; with an operation between, in one.
TEST(jit_blind, stores) {
    for (u32 passes : pass_choices)
        for (u8 size : {BPF_B, BPF_H, BPF_W, BPF_DW})
            for (u8 base : {1, 10})
                for (s32 v : {plus, minus}) {
                    auto off = static_cast<s16>(base == 10 ? -8 : 8);
                    program_text p = {ldx(BPF_DW, 0, 1, 0), st(size, base, off, v), ldx(size, 2, base, off), alu64_r(BPF_ADD, 0, 2), exit_insn()};
                    u32 bytes = size == BPF_B ? 1 : size == BPF_H ? 2 : 4;
                    std::vector<std::string> needles;
                    if (bytes == 4)
                        needles.push_back(bytes_of(static_cast<u32>(v), bytes));
                    expect_blind(p, needles, passes, "store");
                }
    for (u8 op : {BPF_ADD, BPF_SUB, BPF_OR, BPF_AND, BPF_XOR})
        for (u8 size : {BPF_W, BPF_DW}) {
            program_text p = {ldx(size, 2, 1, 0), alu64_k(op, 2, plus), stx(size, 1, 2, 0), mov_k(0, 0), exit_insn()};
            expect_blind(p, {bytes_of(plus, 4)}, all_passes, "arithmetic on memory");
        }
}

TEST(jit_blind, loads_of_constants) {
    for (u32 passes : pass_choices)
        for (u64 v : {0x3c9a71e5bad0c0d5ull, 0xbad0c0d53c9a71e5ull, 0x3c9a71e5ull, 0xbad0c0d5ull, 0xffffffff3c9a71e5ull, 0xffffffffbad0c0d5ull,
                      0x3c9a71e500000000ull, 0x8000000000000000ull})
            for (u8 dst : {0, 2, 6, 9}) {
                program_text p;
                p.ld64(dst, v).add(mov_r(0, dst)).add(exit_insn());
                std::vector<std::string> needles;
                for (u64 half : {v & 0xffffffff, v >> 32})
                    if (half != 0 && half != 0xffffffff && half != 0x80000000)
                        needles.push_back(bytes_of(half, 4));
                expect_blind(p, needles, passes, "ld_imm64");
            }
    program_text halves = {alu32_k(BPF_MOV, 0, plus), alu64_k(BPF_LSH, 0, 32), alu64_k(BPF_OR, 0, 0x1234567), exit_insn()};
    for (u32 passes : pass_choices)
        expect_blind(halves, {bytes_of(plus, 4), bytes_of(0x1234567, 4)}, passes, "two halves");
}

/// A number that would be a displacement.
TEST(jit_blind, address_computation) {
    for (s32 v : {plus, minus, 0x1234, 8}) {
        std::vector<std::string> needles;
        if (v == plus || v == minus)
            needles.push_back(bytes_of(static_cast<u32>(v), 4));
        code c = make_code({mov_r(2, 1), alu64_k(BPF_ADD, 2, v), mov_r(0, 2), exit_insn()}, {}, 0);
        EXPECT_NE(listing(image_of(c, false)).find("lea r"), std::string::npos) << "the pass does not do what is tested here";
        EXPECT_EQ(listing(image_of(c, true)).find("lea r"), std::string::npos);
        for (const std::string &n : needles) {
            EXPECT_TRUE(has_bytes(image_of(c, false), n));
            EXPECT_FALSE(has_bytes(image_of(c, true), n));
        }
        EXPECT_EQ(shown(c, blind_with(all_passes)), "");
    }
}

TEST(jit_blind, legacy_packet_loads) {
    for (u8 mode : {BPF_ABS, BPF_IND}) {
        bpf_insn load = make_insn(static_cast<u8>(BPF_LD | mode | BPF_W), 0, mode == BPF_IND ? 2 : 0, 0, plus);
        code c = make_code({mov_r(6, 1), ldx(BPF_W, 2, 1, 8), load, exit_insn()});
        for (u32 passes : pass_choices)
            expect_hidden(c, {bytes_of(plus, 4)}, passes, "packet load", false); // the functions' addresses stay what they are
    }
}

TEST(jit_blind, limits_of_masks) {
    code c = make_code({ldx(BPF_DW, 2, 1, 0), ldx(BPF_DW, 3, 1, 8), alu64_r(BPF_ADD, 2, 3), mov_r(0, 2), exit_insn()}, {}, 0);
    ASSERT_TRUE(c.guards.push({2, plus, make_mask(false, false, true)}).ok());
    expect_hidden(c, {bytes_of(plus, 4)}, all_passes, "mask");
    u64 ctx[2] = {1000, plus};
    EXPECT_EQ(image_of(c, true).entry()(ctx), 1000ull + plus);
    ctx[1] = static_cast<u64>(plus) + 1;
    EXPECT_EQ(image_of(c, true).entry()(ctx), 1000ull);
}

/// What a kernel function is told beside its arguments may be an offset that the program chose.
TEST(jit_blind, hidden_arguments) {
    code c = make_code({make_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, 0), exit_insn()});
    ASSERT_TRUE(c.kfuncs.push({[](u64, u64, u64, u64 r4, u64) { return r4; }, BPF_REG_4, plus}).ok());
    expect_hidden(c, {bytes_of(plus, 4)}, all_passes, "hidden argument", false);
    EXPECT_EQ(image_of(c, true).entry()(nullptr), static_cast<u64>(plus));
}

/// The sizes of a map are its author's.
TEST(jit_blind, sizes_of_maps) {
    constexpr u32 entries = 0x4321, value = 0x1238;
    for (u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_HASH}) {
        test_map m(params_of(type, 4, value, type == BPF_MAP_TYPE_HASH ? 16 : entries));
        ASSERT_EQ(m.error, 0);
        code c = make_code({ldx(BPF_W, 2, 1, 0), stx(BPF_W, 10, 2, -8), mov_r(2, 10), alu64_k(BPF_ADD, 2, -8), call_id(BPF_FUNC_map_lookup_elem),
                            exit_insn()},
                           {}, 8);
        ASSERT_TRUE(c.maps.push({4, m.m}).ok());
        u64 size = m.m->ops->describe(m.m).elem_size;
        std::vector<std::string> needles = {bytes_of(size, 4)};
        if (type != BPF_MAP_TYPE_HASH)
            needles.push_back(bytes_of(entries, 4));
        expect_hidden(c, needles, all_passes, "type " + std::to_string(type), false);
    }
}

TEST(jit_blind, random_programs_show_nothing) {
    for (u64 i = 0; i < 250 && !HasFailure(); i++) {
        generator g{std::mt19937_64(i + 930000000), {}};
        code c = make_code(g.make(5 + g.below(60)), {}, static_cast<u16>(stack_bytes));
        u32 passes = i % 2 ? all_passes : static_cast<u32>(g.rng()) & all_passes;
        EXPECT_EQ(shown(c, blind_with(passes), machines()[i % machines().size()]), "") << i << " passes " << passes;
    }
}

} // namespace
} // namespace modbpf::testing
