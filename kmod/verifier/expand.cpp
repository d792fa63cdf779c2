// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/expand.h"

#include "port/port.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

constexpr s32 max_loops = 8 << 20; // BPF_MAX_LOOPS

constexpr bpf_insn move_reg(u8 dst, u8 src) { return make_insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0); }
constexpr bpf_insn move_imm32(u8 dst, s32 v) { return make_insn(BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, v); }
constexpr bpf_insn spill(u8 r, s16 off) { return make_insn(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, r, off, 0); }
constexpr bpf_insn fill(u8 r, s16 off) { return make_insn(BPF_LDX | BPF_MEM | BPF_DW, r, BPF_REG_10, off, 0); }

u32 expand_loop(s16 vars, bpf_insn (&out)[max_expanded]) {
    constexpr u8 bound = BPF_REG_6, turn = BPF_REG_7, context = BPF_REG_8;
    const bpf_insn code[] = {
        make_insn(BPF_JMP | BPF_JLE | BPF_K, BPF_REG_1, 0, 2, max_loops),
        move_imm32(BPF_REG_0, -E2BIG),
        make_insn(BPF_JMP | BPF_JA, 0, 0, 16, 0), // behind all of this
        spill(bound, vars),
        spill(turn, static_cast<s16>(vars + 8)),
        spill(context, static_cast<s16>(vars + 16)),
        move_reg(bound, BPF_REG_1),
        move_imm32(turn, 0),
        move_reg(context, BPF_REG_3),
        make_insn(BPF_JMP | BPF_JGE | BPF_X, turn, bound, 5, 0),
        move_reg(BPF_REG_1, turn),
        move_reg(BPF_REG_2, context),
        make_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0),
        make_insn(BPF_ALU64 | BPF_ADD | BPF_K, turn, 0, 0, 1),
        make_insn(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, -6, 0), // the callback wants another turn
        move_reg(BPF_REG_0, turn),
        fill(bound, vars),
        fill(turn, static_cast<s16>(vars + 8)),
        fill(context, static_cast<s16>(vars + 16)),
    };
    static_assert(count_of(code) == max_expanded);
    memcpy(out, code, sizeof(code));
    return max_expanded;
}

u32 expand_jiffies(bpf_insn (&out)[max_expanded]) {
    u64 at = addr_of(port_jiffies_word());
    out[0] = make_insn(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_0, 0, 0, static_cast<s32>(at));
    out[1] = make_insn(0, 0, 0, 0, static_cast<s32>(at >> 32));
    out[2] = fill(BPF_REG_0, 0);
    out[2].src_reg = BPF_REG_0;
    return 3;
}

u32 expand_tail_check(const map &programs, const bpf_insn &call, bpf_insn (&out)[max_expanded]) {
    u32 max = programs.params.max_entries, mask = max > 1 ? ~0u >> __builtin_clz(max - 1) : 0;
    out[0] = make_insn(BPF_JMP | BPF_JGE | BPF_K, BPF_REG_3, 0, 2, static_cast<s32>(max)); // over the call
    out[1] = make_insn(BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0, 0, static_cast<s32>(mask));
    out[2] = call;
    return 3;
}

}  // namespace

status note_loop(env &e, u32 sub) {
    insn_aux &a = e.aux[e.insn];
    if (a.loop_seen && !a.loop_fits)
        return {};
    a.loop_fits = e.reg(BPF_REG_4).is_null() && (!a.loop_seen || a.loop_sub == sub);
    a.loop_seen = true;
    a.loop_sub = sub;
    return e.reg(BPF_REG_4).is_null() ? demand_reg(e, BPF_REG_4) : status();
}

expansion find_expansion(const env &e, u32 i) {
    const bpf_insn &in = e.insns[i];
    if (in.code != (BPF_JMP | BPF_CALL) || in.src_reg)
        return expansion::none;
    if (in.imm == BPF_FUNC_loop && e.aux[i].loop_fits)
        return expansion::loop;
    if (in.imm == BPF_FUNC_jiffies64 && port_jiffies_word())
        return expansion::jiffies;
    if (in.imm == BPF_FUNC_tail_call && e.req.guarded() && e.aux[i].call_map)
        return expansion::tail_check;
    return expansion::none;
}

u32 expanded_size(expansion x) { return x == expansion::loop ? max_expanded : x == expansion::none ? 1 : 3; }

u32 expand(const env &e, expansion x, u32 i, bpf_insn (&out)[max_expanded]) {
    if (x == expansion::loop)
        return expand_loop(static_cast<s16>(-static_cast<s32>(e.sub_of(i).stack_depth + loop_vars_bytes)), out);
    if (x == expansion::tail_check)
        return expand_tail_check(*e.aux[i].call_map, e.insns[i], out);
    return x == expansion::jiffies ? expand_jiffies(out) : 0;
}

}  // namespace modbpf
