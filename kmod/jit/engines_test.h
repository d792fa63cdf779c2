// SPDX-License-Identifier: GPL-2.0-only
// For tests of the engines: build programs in a line each, run them by interpreter and by JIT, check an image with
// an independent disassembler. Not part of the module.
#pragma once

#include "interp/interp.h"
#include "isa/opcode.h"
#include "jit/jit.h"
#include "jit/machine_test.h"

#include <capstone/capstone.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace modbpf::testing {

// Instructions, named after what they do. R: register operand, K: immediate.
inline bpf_insn alu64_k(u8 op, u8 dst, s32 imm, s16 off = 0) {
    return make_insn(BPF_ALU64 | op | BPF_K, dst, 0, off, imm);
}
inline bpf_insn alu64_r(u8 op, u8 dst, u8 src, s16 off = 0) {
    return make_insn(BPF_ALU64 | op | BPF_X, dst, src, off, 0);
}
inline bpf_insn alu32_k(u8 op, u8 dst, s32 imm, s16 off = 0) {
    return make_insn(BPF_ALU | op | BPF_K, dst, 0, off, imm);
}
inline bpf_insn alu32_r(u8 op, u8 dst, u8 src, s16 off = 0) {
    return make_insn(BPF_ALU | op | BPF_X, dst, src, off, 0);
}
inline bpf_insn mov_k(u8 dst, s32 imm) {
    return alu64_k(BPF_MOV, dst, imm);
}
inline bpf_insn mov_r(u8 dst, u8 src) {
    return alu64_r(BPF_MOV, dst, src);
}
inline bpf_insn jmp_k(u8 op, u8 dst, s32 imm, s16 off) {
    return make_insn(BPF_JMP | op | BPF_K, dst, 0, off, imm);
}
inline bpf_insn jmp_r(u8 op, u8 dst, u8 src, s16 off) {
    return make_insn(BPF_JMP | op | BPF_X, dst, src, off, 0);
}
inline bpf_insn jmp32_k(u8 op, u8 dst, s32 imm, s16 off) {
    return make_insn(BPF_JMP32 | op | BPF_K, dst, 0, off, imm);
}
inline bpf_insn jmp32_r(u8 op, u8 dst, u8 src, s16 off) {
    return make_insn(BPF_JMP32 | op | BPF_X, dst, src, off, 0);
}
inline bpf_insn jump_to(s16 off) {
    return make_insn(BPF_JMP | BPF_JA, 0, 0, off, 0);
}
inline bpf_insn jump_long(s32 off) {
    return make_insn(BPF_JMP32 | BPF_JA, 0, 0, 0, off);
}
inline bpf_insn call_id(u32 id) {
    return make_insn(BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<s32>(id));
}
inline bpf_insn call_off(s32 off) {
    return make_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, off);
}
inline bpf_insn exit_insn() {
    return make_insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}
inline bpf_insn ldx(u8 size, u8 dst, u8 src, s16 off) {
    return make_insn(BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}
inline bpf_insn ldsx(u8 size, u8 dst, u8 src, s16 off) {
    return make_insn(BPF_LDX | BPF_MEMSX | size, dst, src, off, 0);
}
inline bpf_insn stx(u8 size, u8 dst, u8 src, s16 off) {
    return make_insn(BPF_STX | BPF_MEM | size, dst, src, off, 0);
}
inline bpf_insn st(u8 size, u8 dst, s16 off, s32 imm) {
    return make_insn(BPF_ST | BPF_MEM | size, dst, 0, off, imm);
}
inline bpf_insn atomic_op(u8 size, s32 op, u8 dst, u8 src, s16 off) {
    return make_insn(BPF_STX | BPF_ATOMIC | size, dst, src, off, op);
}
inline bpf_insn endian(u8 order, u8 dst, s32 bits) {
    return make_insn(BPF_ALU | BPF_END | order, dst, 0, 0, bits);
}
inline bpf_insn swap_bytes(u8 dst, s32 bits) {
    return make_insn(BPF_ALU64 | BPF_END, dst, 0, 0, bits);
}

/// A sequence that also takes 64-bit immediate loads.
struct program_text : std::vector<bpf_insn> {
    using std::vector<bpf_insn>::vector;
    program_text &add(bpf_insn i) { return push_back(i), *this; }
    program_text &ld64(u8 dst, u64 v, u8 pseudo = 0) {
        push_back(make_insn(BPF_LD | BPF_IMM | BPF_DW, dst, pseudo, 0, static_cast<s32>(v)));
        push_back(make_insn(0, 0, 0, 0, static_cast<s32>(v >> 32)));
        return *this;
    }
};

/// Subprograms start at 0 and at `starts`.
inline code make_code(const std::vector<bpf_insn> &insns, std::vector<u32> starts = {}, u16 stack = max_bpf_stack) {
    code c;
    for (bpf_insn i : insns)
        EXPECT_TRUE(c.insns.push(i).ok());
    starts.insert(starts.begin(), 0);
    for (size_t i = 0; i < starts.size(); i++) {
        u32 end = i + 1 < starts.size() ? starts[i + 1] : static_cast<u32>(insns.size());
        EXPECT_TRUE(c.subprogs.push({starts[i], end, stack, false, false}).ok());
    }
    return c;
}

inline u64 run_interp(const code &c, const void *ctx = nullptr, interp_env env = {}) {
    std::vector<interp_frame> frames(env.tail ? interp_frames_with_tail_calls : max_call_frames);
    env.frames = frames.data();
    env.frame_count = static_cast<u32>(frames.size());
    return interpret(c, ctx, env);
}

/// The disassembler, opened once: opening it costs more than an image.
struct disassembler {
    csh cs = 0;
    cs_insn *insn = nullptr;
    disassembler() {
        EXPECT_EQ(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
        insn = cs_malloc(cs);
    }
    ~disassembler() {
        cs_free(insn, 1);
        cs_close(&cs);
    }
    static disassembler &instance() {
        static disassembler d;
        return d;
    }
};
inline bool is_jump_or_call(unsigned id) {
    return id == X86_INS_CALL || id == X86_INS_JMP || id == X86_INS_JE || id == X86_INS_JNE || id == X86_INS_JA ||
           id == X86_INS_JAE || id == X86_INS_JB || id == X86_INS_JBE || id == X86_INS_JG || id == X86_INS_JGE ||
           id == X86_INS_JL || id == X86_INS_JLE;
}

/// X2: the text decodes without a gap, direct jumps land on instruction starts (or leave the image), padding is int3.
/// X5 where the machine has thunks: no bare indirect jump or call, no bare ret.
inline void check_image(const jit_image &image, const jit_machine *env = nullptr) {
    disassembler &dis = disassembler::instance();
    span<const u8> text = image.text();
    u64 base = addr_of(text.data());
    const u8 *p = text.data();
    size_t left = text.size();
    uint64_t at = base;
    std::vector<u8> starts(text.size() + 1);
    starts[text.size()] = 1;
    std::vector<std::pair<u64, u64>> jumps;
    while (left) {
        if (!cs_disasm_iter(dis.cs, &p, &left, &at, dis.insn)) {
            ADD_FAILURE() << "undecodable byte at " << at - base << " of " << text.size();
            break;
        }
        const cs_insn &insn = *dis.insn;
        starts[insn.address - base] = 1;
        if (is_jump_or_call(insn.id)) {
            if (strncmp(insn.op_str, "0x", 2) == 0)
                jumps.push_back({insn.address, strtoull(insn.op_str, nullptr, 16)});
            else
                EXPECT_FALSE(env && env->indirect_thunk[0]) << insn.mnemonic << " " << insn.op_str;
        }
        EXPECT_FALSE(insn.id == X86_INS_RET && env && env->return_thunk);
    }
    for (auto [from, to] : jumps)
        if (to >= base && to <= base + text.size()) {
            EXPECT_TRUE(starts[to - base]) << "jump at " << from - base << " lands inside an instruction: " << to - base;
        }
    for (u32 off : image.insn_offsets())
        EXPECT_TRUE(off <= text.size() && starts[off]);
    for (size_t i = 0; i < image.funcs().size(); i++) {  // alignment in front of each subprogram
        size_t from = i ? image.funcs()[i - 1].offset + image.funcs()[i - 1].size : 0;
        for (size_t k = from; k < image.funcs()[i].offset; k++)
            EXPECT_EQ(text[k], 0xcc);
    }
    if (env && env->endbr) {
        EXPECT_EQ(memcmp(reinterpret_cast<const void *>(image.entry()), "\xf3\x0f\x1e\xfa", 4), 0);
        EXPECT_EQ(memcmp(image.tail_entry(), "\xf3\x0f\x1e\xfa", 4), 0);
    }
}

/// Translates for one machine. Where it has rel32, the image calls its functions through stubs within reach (machine_test.h).
inline result<jit_image> compile_for(const machine &m, const code &c, jit_options options = {}) {
    options.env = &m.env;
    if (m.env.rel32)
        options = nearby(options);
    return jit_compile(c, options);
}

/// Translates for one machine, checks the image and runs it.
inline u64 run_jit_for(const machine &m, const code &c, const void *ctx, const jit_options &options) {
    result<jit_image> r = compile_for(m, c, options);
    if (!r.ok()) {
        ADD_FAILURE() << "jit_compile: " << r.code() << " for " << m.name;
        return ~0ull;
    }
    check_image(*r, &m.env);
    return r->entry()(ctx);
}

/// The same for every machine, and, of a third of what is asked, blinded for one of them: all return the same.
inline u64 run_jit(const code &c, const void *ctx = nullptr, jit_options options = {}) {
    static u32 turn;
    u64 first = run_jit_for(machines()[0], c, ctx, options);
    for (size_t i = 1; i < machines().size(); i++)
        EXPECT_EQ(run_jit_for(machines()[i], c, ctx, options), first) << machines()[i].name;
    u32 choice = ++turn * 2654435761u >> 16; // in step with no loop around
    if (choice % 3)
        return first;
    options.blind = true;
    const machine &m = machines()[choice / 3 % machines().size()];
    EXPECT_EQ(run_jit_for(m, c, ctx, options), first) << "blinded, " << m.name;
    return first;
}

/// The image's disassembly, for messages.
inline std::string listing(const jit_image &image) {
    csh cs;
    std::string out;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
        return out;
    cs_insn *insns;
    size_t n = cs_disasm(cs, image.text().data(), image.text().size(), 0, 0, &insns);
    for (size_t i = 0; i < n; i++)
        out += std::to_string(insns[i].address) + ": " + insns[i].mnemonic + " " + insns[i].op_str + "\n";
    cs_free(insns, n);
    cs_close(&cs);
    return out;
}

}  // namespace modbpf::testing
