// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/call.h"
#include "verifier/fastcall.h"

#include "btf/btf.h"
#include "helpers/helper.h"
#include "verifier/kfunc.h"

namespace modbpf {

namespace {

/// What a call changes, if it keeps to its prototype.
struct call_effect {
    u32 changes = caller_saved_regs;
    bool inlined = false; ///< Linux 6.12 makes it without a call
};

call_effect effect_of_helper(const env &e, u32 id) {
    const helper_proto *p = helper_at(e, id);
    if (!p)
        return {};
    u32 changes = p->ret == ret_type::none ? 0 : 1;
    for (u32 i = 0; i < count_of(p->args); i++)
        changes |= p->args[i] == arg_type::none ? 0u : 2u << i;
    return {changes, (p->flags & helper_fastcall) != 0};
}

call_effect effect_of_kfunc(const env &e, u32 at) {
    kfunc_call c = find_kfunc_call(e, at);
    if (!c.row)
        return {};
    bool cast = c.row->effect == kfunc_effect::kernel_ctx || c.row->effect == kfunc_effect::rdonly_cast;
    return {((2u << kfunc_arg_count(e, at)) - 2) | (c.fn->proto->size_or_type ? 1u : 0u), cast};
}

call_effect effect_of(const env &e, u32 at) {
    const bpf_insn &in = e.insns[at];
    if (in.code != (BPF_JMP | BPF_CALL))
        return {};
    if (in.src_reg == BPF_PSEUDO_KFUNC_CALL)
        return effect_of_kfunc(e, at);
    return in.src_reg ? call_effect{} : effect_of_helper(e, static_cast<u32>(in.imm));
}

bool is_spill(const bpf_insn &in) { return in.code == (BPF_STX | BPF_MEM | BPF_DW) && in.dst_reg == BPF_REG_10; }
bool is_fill(const bpf_insn &in) { return in.code == (BPF_LDX | BPF_MEM | BPF_DW) && in.src_reg == BPF_REG_10; }

/// Pairs around the call at `at`, the innermost at `lowest`, each of a register that the call does not change.
void find_pattern(env &e, subprog_info &s, u32 at, s32 lowest) {
    call_effect call = effect_of(e, at);
    u32 kept = caller_saved_regs & ~call.changes;
    if (!kept)
        return;
    u32 n = 1;
    s32 off = lowest;
    for (; n <= max_fastcall_bytes / slot_bytes && n <= at && at + n < e.count(); n++, off += slot_bytes) {
        if (e.aux[at - n + 1].jump_target || e.aux[at + n].jump_target)
            break;
        const bpf_insn &spill = e.insns[at - n], &fill = e.insns[at + n];
        if (!is_spill(spill) || !is_fill(fill) || spill.src_reg != fill.dst_reg || !(kept & 1u << spill.src_reg) || spill.off != off || fill.off != off)
            break;
        kept &= ~(1u << spill.src_reg);
        e.aux[at - n].fastcall = e.aux[at + n].fastcall = true;
    }
    if (n == 1)
        return;
    (call.inlined ? s.fastcall_inlined : s.fastcall_called) = true;
    s.fastcall_off = min(s.fastcall_off, off);
}

}  // namespace

void find_fastcalls(env &e) {
    for (subprog_info &s : e.subs) {
        s32 lowest = 0;
        for (u32 i = s.start; i < s.end; i++)
            if (is_spill(e.insns[i]))
                lowest = min<s32>(lowest, e.insns[i].off);
        for (u32 i = s.start; lowest && i < s.end; i++)
            find_pattern(e, s, i, lowest);
    }
}

void note_stack_use(env &e, u32 sub, s64 lo) {
    subprog_info &s = e.subs[sub];
    if (lo < s.fastcall_off && !e.aux[e.insn].fastcall)
        s.fastcall_broken = true;
}

u32 counted_depth(const subprog_info &s) {
    bool without = s.fastcall_inlined && !s.fastcall_called && !s.fastcall_broken;
    return without ? static_cast<u32>(-s.fastcall_off) : s.stack_depth;
}

}  // namespace modbpf
