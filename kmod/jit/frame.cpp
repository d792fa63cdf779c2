// SPDX-License-Identifier: GPL-2.0-only
#include "jit/frame.h"

namespace modbpf {

namespace {

/// Scratch registers (bits 9, 10, 11) that lowering needs for an operation, beside those for reading r10.
u16 scratch_of(const jit_op &d) {
    constexpr u16 s9 = 1 << 9, s10 = 1 << 10, s11 = 1 << 11;
    if (d.form != jit_form::plain)
        return 0;
    switch (d.kind) {
        case insn_kind::alu:
            if (d.op == BPF_DIV || d.op == BPF_MOD)
                return s9 | s10 | s11;
            return d.reg && (d.op == BPF_LSH || d.op == BPF_RSH || d.op == BPF_ARSH) ? s11 : 0;
        case insn_kind::atomic:
            return s10 | s11;
        default:
            return 0;
    }
}

constexpr u64 kind_bit(insn_kind k) { return 1ull << static_cast<u32>(k); }
/// Most operations, of which nothing is to be said but their registers.
constexpr u64 quiet_kinds = kind_bit(insn_kind::mov) | kind_bit(insn_kind::neg) | kind_bit(insn_kind::load) | kind_bit(insn_kind::store) |
                            kind_bit(insn_kind::branch) | kind_bit(insn_kind::jump) | kind_bit(insn_kind::ld_imm64);

/// What one operation of another kind says about its subprogram.
void note(jit_frame &f, const jit_op &d) {
    f.scratch |= scratch_of(d);
    switch (d.kind) {
        case insn_kind::call_helper:
            f.calls = true;
            if (d.form == jit_form::plain && d.imm == BPF_FUNC_tail_call)
                f.tail_calls = f.reaches_tail_call = true;
            break;
        case insn_kind::call_sub:
        case insn_kind::call_kfunc:
            f.calls = true;
            break;
        case insn_kind::probe_load:
        case insn_kind::arena_load: // what they call keeps all registers, but r9-r11 are theirs
        case insn_kind::arena_store:
        case insn_kind::arena_atomic:
            f.calls = true;
            break;
        case insn_kind::may_goto:  // r10 is not rbp then: reading it needs a register
            f.may_goto = true;
            f.scratch |= 1 << 10 | 1 << 11;
            break;
        case insn_kind::ld_packet:
            f.calls = f.loads_packet = true;
            break;
        default:
            break;
    }
}

/// Registers, kinds and operands that the engines cannot run.
bool runnable_insn(const code &c, const jit_op &d) {
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
        case insn_kind::probe_load:
            return d.src < bpf_reg_count;
        case insn_kind::arena_load:
            return d.src < bpf_reg_count && c.arena_base;
        case insn_kind::arena_store:
            return c.arena_base;
        case insn_kind::arena_atomic:
            return c.arena_base && port_arena_code(arena_op_of(d), d.width);
        case insn_kind::mov: // no address of user space has more than 31 bits above the low 32
            return !d.is_addr_space_cast() || c.arena_user >> 63 == 0;
        case insn_kind::ld_imm64:
            return d.src == 0 || d.src == BPF_PSEUDO_FUNC;
        default:
            return true;
    }
}

/// Where an instruction leads must be an instruction of the same subprogram, or a subprogram.
bool sound_target(const jit_facts &facts, const jit_frame &f, const jit_op &d) {
    if (d.jumps)
        return d.target >= f.start && d.target < f.end &&
               facts.ops[facts.op_of[static_cast<u32>(d.target)]].origin == d.target;
    if (d.kind == insn_kind::call_sub || d.is_pseudo_func())  // the entry is not a subprogram that can be called
        return d.target != 0 && facts.frame_at(d.target) < facts.frames.size();
    return true;
}

bool has_throws(const code &c) {
    for (const code_kfunc &k : c.kfuncs)
        if (k.throws)
            return true;
    return false;
}

/// First pass over a subprogram: operations. False: the code is not sound.
result<bool> scan(const code &c, jit_facts &facts, jit_frame &f) {
    bool open = true;  // the end can be fallen off
    f.first = static_cast<u32>(facts.ops.size());
    for (u32 i = f.start; i < f.end;) {
#ifdef MODBPF_DEBUG // fields that decoding does not look at
        if (check_encoding(c.insns[i]))
            return false;
#endif
        auto at = static_cast<u32>(facts.ops.size());
        jit_op &d = facts.ops.append_new();
        decode_into(d, c.insns.view(), i);
        if (!runnable_insn(c, d) || i + d.words > f.end)
            return false;
        d.origin = i;
        if (d.is(insn_kind::mov) && d.is_addr_space_cast()) {
            d.form = jit_form::to_user;
            d.imm = static_cast<s64>(c.arena_user >> 32);
        }
        if (d.kind == insn_kind::call_helper || d.kind == insn_kind::call_kfunc)
            d.uses = 0x3e;
        if (d.kind == insn_kind::call_kfunc && c.kfuncs[static_cast<u32>(d.imm)].throws) {
            d.falls_through = false;
            facts.frames[0].catches = true;
        }
        facts.op_of[i] = at;
        if (d.words == 2)
            facts.op_of[i + 1] = at + 1;
        open = d.falls_through;
        i += d.words;
    }
    f.last = static_cast<u32>(facts.ops.size());
    if (open && f.last > f.first && facts.ops[f.last - 1].is(insn_kind::call_sub) && has_throws(c)) {
        f.dead_end = true; // what stood behind was never reached
        facts.ops[f.last - 1].falls_through = false;
        return true;
    }
    return !open;
}

/// Second pass, once all operations are known: targets become operations.
bool link(jit_facts &facts, jit_frame &f) {
    for (u32 i = f.first; i < f.last; i++) {
        jit_op &d = facts.ops[i];
        if (!sound_target(facts, f, d))
            return false;
        if (d.jumps)
            d.target = facts.op_of[static_cast<u32>(d.target)];
        if (d.is_pseudo_func())
            facts.frames[facts.frame_at(d.target)].address_taken = true;
    }
    return true;
}

/// Callers of subprograms that reach a tail call reach it too. At most frames.size() rounds.
void spread_tail_calls(jit_facts &facts) {
    for (bool changed = facts.frames.size() > 1; changed;) {
        changed = false;
        for (jit_frame &f : facts.frames) {
            for (u32 i = f.first; i < f.last && !f.reaches_tail_call; i++) {
                const jit_op &d = facts.ops[i];
                if (d.is(insn_kind::call_sub) && facts.frames[facts.frame_at(d.target)].reaches_tail_call)
                    f.reaches_tail_call = changed = true;
            }
        }
    }
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

void assign_registers(jit_frame &f, bool leaf) {
    memcpy(f.native, calling_registers, sizeof(calling_registers));
    f.saved = f.regs & callee_saved_regs;
    if (f.calls || !leaf)
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
        {x86::reg::r9, !(f.scratch & 1 << 9)},
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

u32 spare_registers(const jit_frame &f, x86::reg *out) {
    using x86::reg;
    u16 taken = 1 << num(reg::rsp) | 1 << num(reg::rbp);
    for (u32 r = 0; r < jit_reg_count; r++)
        if ((f.regs | f.extra) & reg_bit(r))
            taken |= static_cast<u16>(1 << num(f.native[r]));
    taken |= f.scratch;
    if (f.calls) // what C code does not keep is of no use
        taken |= 0x0fc7;
    constexpr reg order[] = {reg::rax, reg::rsi, reg::rdx, reg::rdi, reg::r8, reg::rcx, reg::r9, reg::r10, reg::r11,
                             reg::rbx, reg::r12, reg::r13, reg::r14, reg::r15};
    u32 n = 0;
    for (reg r : order)
        if (!(taken >> num(r) & 1))
            out[n++] = r;
    return n;
}

void lay_out(jit_frame &f) {
    f.saved &= f.regs;
    for (u32 r = bpf_reg_count; r < jit_reg_count; r++)
        if ((f.extra & f.regs & reg_bit(r)) && is_callee_saved(f.native[r]))
            f.saved |= reg_bit(r);
    f.present = f.catches || f.calls || f.saved || f.reaches_tail_call || f.may_goto || (f.regs & reg_bit(BPF_REG_10));
    if (!f.present)
        return;
    f.below_rbp = f.reaches_tail_call ? tail_words : 0;
    if (f.may_goto)
        f.turns_slot = -static_cast<s32>(f.below_rbp += 8);
    if (f.catches)
        f.anchor_slot = -static_cast<s32>((f.below_rbp += 16) - 8);
    f.below_rbp += f.tail_calls || f.loads_packet ? 8 : 0;
    u32 saved_bytes = f.catches ? caught_registers * 8 : 0;
    for (u32 left = f.catches ? 0 : f.saved; left; left &= left - 1)
        saved_bytes += 8;
    f.size = static_cast<u32>(align_up(f.below_rbp + align_up(f.regs & reg_bit(BPF_REG_10) ? f.stack_depth : 0u, 8) + saved_bytes, 16)) - saved_bytes;
}

void summarise(jit_facts &facts, jit_frame &f) {
    f.scratch = 0;
    f.calls = f.tail_calls = f.loads_packet = f.may_goto = false;
    u8 *targets = facts.targets.data();
    memset(targets + f.first, 0, f.last - f.first);
    const jit_op *end = facts.ops.data() + f.last;
    const bool blind = facts.blind;
    u32 regs = 0;
    for (const jit_op *d = facts.ops.data() + f.first; d < end; d++) {
        if (d->dead)
            continue;
        regs |= d->uses | d->defs;
        if (!(quiet_kinds >> static_cast<u32>(d->kind) & 1))
            note(f, *d);
        if (blind && d->has_constant())
            f.scratch |= 1 << 11;
        if (d->jumps)
            targets[static_cast<u32>(d->target)] = 1;
    }
    f.regs = static_cast<u16>(regs);
}

status jit_analyse(const code &c, jit_facts &out) {
    TRY(out.op_of.resize_zeroed(c.insns.size() + 1));
    TRY(out.ops.reserve(c.insns.size()));
    u32 at = 0;
    for (const code_subprog &s : c.subprogs) {
        if (MODBPF_BUG_ON(s.start != at || s.end <= s.start || s.end > c.insns.size() || s.stack_depth > max_frame_bytes))
            return error(EFAULT);
        at = s.end;
        jit_frame f;
        f.start = s.start;
        f.end = s.end;
        f.stack_depth = s.stack_depth;
        TRY(out.frames.push(move(f)));
    }
    if (MODBPF_BUG_ON(at == 0 || at != c.insns.size()))
        return error(EFAULT);
    for (jit_frame &f : out.frames) {
        port_cond_resched();
        if (bool sound = TRY(scan(c, out, f)); MODBPF_BUG_ON(!sound))
            return error(EFAULT);
    }
    out.op_of[c.insns.size()] = static_cast<u32>(out.ops.size());
    TRY(out.targets.resize_zeroed(out.ops.size()));
    for (jit_frame &f : out.frames)
        if (MODBPF_BUG_ON(!link(out, f)))
            return error(EFAULT);
    for (jit_frame &f : out.frames)
        summarise(out, f);
    spread_tail_calls(out);
    for (jit_frame &f : out.frames)  // a function that C code calls back gets no counter
        if (MODBPF_BUG_ON(f.address_taken && f.reaches_tail_call))
            return error(EFAULT);
    return {};
}

}  // namespace modbpf
