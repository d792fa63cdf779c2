// SPDX-License-Identifier: GPL-2.0-only
#include "jit/frame.h"

namespace modbpf {

namespace {

/// What one instruction says about its subprogram.
void note(jit_frame &f, const insn_desc &d) {
    f.regs |= d.uses | d.defs;
    switch (d.kind) {
        case insn_kind::call_helper:
            f.calls = true;
            if (d.imm == BPF_FUNC_tail_call)
                f.tail_calls = f.reaches_tail_call = true;
            break;
        case insn_kind::call_sub:
        case insn_kind::call_kfunc:
            f.calls = true;
            break;
        case insn_kind::may_goto:
            f.may_goto = true;
            break;
        case insn_kind::ld_packet:
            f.calls = f.loads_packet = true;
            break;
        case insn_kind::alu:
            f.divides |= d.op == BPF_DIV || d.op == BPF_MOD;
            break;
        default:
            break;
    }
}

/// Registers, kinds and operands that the engines cannot run.
bool runnable_insn(const code &c, const insn_desc &d) {
    if (d.dst >= bpf_reg_count || (d.reg && d.src >= bpf_reg_count))
        return false;
    if ((d.defs & reg_bit(BPF_REG_10)) != 0)
        return false;
    switch (d.kind) {
        case insn_kind::unknown:
            return false;
        case insn_kind::call_kfunc:
            return d.imm >= 0 && static_cast<u64>(d.imm) < c.kfuncs.size() && c.kfuncs[static_cast<u32>(d.imm)].fn &&
                   c.kfuncs[static_cast<u32>(d.imm)].hidden_reg <= BPF_REG_5;
        case insn_kind::load:
            return d.src < bpf_reg_count;
        case insn_kind::ld_imm64:
            return d.src == 0 || d.src == BPF_PSEUDO_FUNC;
        default:
            return true;
    }
}

/// Where an instruction leads must be an instruction of the same subprogram, or a subprogram.
bool sound_target(const jit_facts &facts, const jit_frame &f, const insn_desc &d) {
    if (d.jumps)
        return d.target >= f.start && d.target < f.end && facts.starts[static_cast<u32>(d.target)];
    if (d.kind == insn_kind::call_sub || d.is_pseudo_func())  // the entry is not a subprogram that can be called
        return d.target != 0 && facts.frame_at(d.target) < facts.frames.size();
    return true;
}

/// First pass over a subprogram: instruction starts and facts. False: the code is not sound.
bool scan(const code &c, jit_facts &facts, jit_frame &f) {
    bool open = true;  // the end can be fallen off
    for (u32 i = f.start; i < f.end;) {
        if (opcode(c.insns[i].code).kind == insn_kind::unknown || check_encoding(c.insns[i]))
            return false;
        insn_desc d = decode(c.insns.view(), i);
        if (!runnable_insn(c, d) || i + d.words > f.end)
            return false;
        facts.starts[i] = 1;
        note(f, d);
        open = d.falls_through;
        i += d.words;
    }
    return !open;
}

/// Second pass, once all starts are known.
bool link(const code &c, jit_facts &facts, jit_frame &f) {
    for (u32 i = f.start; i < f.end; i++) {
        if (!facts.starts[i])
            continue;
        insn_desc d = decode(c.insns.view(), i);
        if (!sound_target(facts, f, d))
            return false;
        if (d.jumps)
            facts.targets[static_cast<u32>(d.target)] = 1;
        if (d.is_pseudo_func())
            facts.frames[facts.frame_at(d.target)].address_taken = true;
    }
    return true;
}

/// Callers of subprograms that reach a tail call reach it too. At most frames.size() rounds.
void spread_tail_calls(const code &c, jit_facts &facts) {
    for (bool changed = true; changed;) {
        changed = false;
        for (jit_frame &f : facts.frames) {
            for (u32 i = f.start; i < f.end && !f.reaches_tail_call; i++) {
                if (!facts.starts[i] || opcode(c.insns[i].code).kind != insn_kind::call_helper)
                    continue;
                insn_desc d = decode(c.insns.view(), i);
                if (d.kind == insn_kind::call_sub && facts.frames[facts.frame_at(d.target)].reaches_tail_call)
                    f.reaches_tail_call = changed = true;
            }
        }
    }
}

/// Native registers, and which of them must be saved.
void assign_registers(jit_frame &f) {
    memcpy(f.native, calling_registers, sizeof(f.native));
    f.saved = f.regs & callee_saved_regs;
    if (f.calls)
        return;
    // Registers of unused arguments, and r9, which divisions need. rcx last: shifts by a register want it.
    struct {
        x86::reg reg;
        bool free;
    } pool[] = {
        {x86::reg::rsi, !(f.regs & reg_bit(BPF_REG_2))},
        {x86::reg::rdx, !(f.regs & reg_bit(BPF_REG_3))},
        {x86::reg::rdi, !(f.regs & reg_bit(BPF_REG_1))},
        {x86::reg::r8, !(f.regs & reg_bit(BPF_REG_5))},
        {x86::reg::r9, !f.divides},
        {x86::reg::rcx, !(f.regs & reg_bit(BPF_REG_4))},
    };
    for (u32 r = BPF_REG_6; r <= BPF_REG_9; r++) {
        if (!(f.saved & reg_bit(r)))
            continue;
        for (auto &candidate : pool) {
            if (!candidate.free)
                continue;
            candidate.free = false;
            f.native[r] = candidate.reg;
            f.saved &= static_cast<u16>(~reg_bit(r));
            break;
        }
    }
}

void lay_out(jit_frame &f, u32 stack_depth) {
    assign_registers(f);
    f.present = f.calls || f.saved || f.reaches_tail_call || f.may_goto || stack_depth || (f.regs & reg_bit(BPF_REG_10));
    if (!f.present)
        return;
    f.below_rbp = f.reaches_tail_call ? tail_words : 0;
    if (f.may_goto)
        f.turns_slot = -static_cast<s32>(f.below_rbp += 8);
    f.below_rbp += f.tail_calls || f.loads_packet ? 8 : 0;
    u32 saved_bytes = 0;
    for (u32 r = BPF_REG_6; r <= BPF_REG_9; r++)
        saved_bytes += f.saved & reg_bit(r) ? 8 : 0;
    f.size = static_cast<u32>(align_up(f.below_rbp + align_up(stack_depth, 8) + saved_bytes, 16)) - saved_bytes;
}

}  // namespace

u32 jit_facts::frame_at(s64 insn) const {
    size_t low = 0, high = frames.size();
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (frames[mid].start < insn)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < frames.size() && frames[low].start == insn)
        return static_cast<u32>(low);
    return static_cast<u32>(frames.size());
}

status jit_analyse(const code &c, jit_facts &out) {
    TRY(out.starts.resize(c.insns.size()));
    TRY(out.targets.resize(c.insns.size()));
    u32 at = 0;
    for (const code_subprog &s : c.subprogs) {
        if (MODBPF_BUG_ON(s.start != at || s.end <= s.start || s.end > c.insns.size() || s.stack_depth > max_bpf_stack))
            return error(EFAULT);
        at = s.end;
        jit_frame f;
        f.start = s.start;
        f.end = s.end;
        TRY(out.frames.push(move(f)));
    }
    if (MODBPF_BUG_ON(at == 0 || at != c.insns.size()))
        return error(EFAULT);
    for (jit_frame &f : out.frames)
        if (MODBPF_BUG_ON(!scan(c, out, f)))
            return error(EFAULT);
    for (jit_frame &f : out.frames)
        if (MODBPF_BUG_ON(!link(c, out, f)))
            return error(EFAULT);
    spread_tail_calls(c, out);
    for (size_t i = 0; i < out.frames.size(); i++)
        lay_out(out.frames[i], c.subprogs[i].stack_depth);
    for (jit_frame &f : out.frames)  // a function that C code calls back gets no counter
        if (MODBPF_BUG_ON(f.address_taken && f.reaches_tail_call))
            return error(EFAULT);
    return {};
}

}  // namespace modbpf
