// SPDX-License-Identifier: GPL-2.0-only
// Control: subprograms, frames, calls, jumps. Computation and memory are in lower_alu.cpp and lower_mem.cpp.
#include "jit/lower.h"

#include "jit/conventions.h"

namespace modbpf {

using x86::reg;

x86::reg lowering::use(u8 r, reg scratch) {
    if (r != BPF_REG_10 || frame_->below_rbp == 0)
        return frame_->native[r];
    out_.e.lea(true, scratch, {reg::rbp, -static_cast<s32>(frame_->below_rbp)});
    return scratch;
}

x86::mem lowering::at(u8 base, s32 off) const {
    return {frame_->native[base], base == BPF_REG_10 ? off - static_cast<s32>(frame_->below_rbp) : off};
}

x86::mem lowering::address(const jit_op &d, u8 base) const {
    x86::mem m = at(base, d.off);
    if (d.indexed) {
        m.index = frame_->native[d.index], m.has_index = true;
        m.shift = d.shift;
    }
    return m;
}

namespace {
constexpr reg caught[caught_registers] = {reg::rbx, reg::r12, reg::r13, reg::r14, reg::r15};
}

void lowering::ret() {
    emit_return(out_, env_);
}

void lowering::jump_register(reg r) {
    if (u64 thunk = env_.indirect_thunk[x86::num(r)])
        out_.jmp_addr(thunk);
    else
        out_.e.jmp_reg(r);
    if (env_.sls)
        out_.e.int3();
}

void lowering::call_address(u64 addr) {
    emit_call(out_, env_, addr);
}

/// Arguments and rax stay as they are: what is there gets them all. A tail call does not come by.
void lowering::look_at_hook(u32 sub) {
    x86::encoder &e = out_.e;
    e.mov_imm(reg::r11, addr_of(&options_.hooks[sub].text));
    e.load(8, false, reg::r11, {reg::r11, 0});
    e.test(true, reg::r11, reg::r11);
    u8 *none = e.jcc_ahead(x86::cond::e);
    jump_register(reg::r11);
    e.land(none);
}

void lowering::prologue(u32 sub) {
    x86::encoder &e = out_.e;
    if (env_.endbr && (sub == 0 || frame_->address_taken))
        e.endbr64();
    if (options_.hooks)
        look_at_hook(sub);
    out_.bind(start_label(sub));
    if (env_.endbr && options_.hooks)
        e.endbr64();
    if (frame_->present) {
        u32 size = frame_->size;
        e.push(reg::rbp);
        e.mov(true, reg::rbp, reg::rsp);
        if (frame_->reaches_tail_call && sub == 0) {
            e.lea(true, reg::rax, {reg::rbp, tail_counter_slot});
            e.push(reg::rax);
            e.push_imm8(0);
            size -= 16;
        } else if (frame_->reaches_tail_call) {
            e.push(reg::rax);
            size -= 8;
        }
        if (sub == 0 && tail_enters_prologue()) {
            out_.bind(tail_label());
            e.lea(true, reg::rsp, {reg::rbp, -static_cast<s32>(frame_->size)});
        } else if (size) {
            e.op(x86::alu::sub, true, reg::rsp, static_cast<s32>(size));
        }
    }
    if (sub == 0)
        out_.bind(body_label());
    if (frame_->may_goto)
        e.store_imm(8, {reg::rbp, frame_->turns_slot}, max_may_goto_turns);
    push_saved();
    if (frame_->catches)
        set_anchor();
}

void lowering::push_saved() {
    if (frame_->catches)
        for (reg r : caught)
            out_.e.push(r);
    for (u32 r = 0; r < jit_reg_count && !frame_->catches; r++)
        if (frame_->saved & reg_bit(r))
            out_.e.push(frame_->native[r]);
}

/// What push_saved() pushed; the run's anchor as it was.
void lowering::restore_saved() {
    if (frame_->catches) {
        restore_anchor();
        for (u32 i = caught_registers; i--;)
            out_.e.pop(caught[i]);
        return;
    }
    for (u32 r = jit_reg_count; r-- > 0;)
        if (frame_->saved & reg_bit(r))
            out_.e.pop(frame_->native[r]);
}

void lowering::epilogue(u32 sub) {
    if (!epilogue_done_)
        out_.bind(epilogue_label(sub));
    epilogue_done_ = true;
    restore_saved();
    if (frame_->present)
        out_.e.leave();
    ret();
}

/// A tail call comes here with the frame pointer of the function that it replaces and r1 = ctx; rsp is below the tail
/// words.
void lowering::tail_entry() {
    frame_ = &facts_.frames[0];
    if (tail_enters_prologue())
        return;
    out_.bind(tail_label());
    if (env_.endbr)
        out_.e.endbr64();
    if (frame_->present)
        out_.e.lea(true, reg::rsp, {reg::rbp, -static_cast<s32>(frame_->size)});
    else
        out_.e.leave();
    out_.jump(body_label());
}

/// The exit at `at`: the first long epilogue is shared by jumps, short ones are repeated.
void lowering::exit(u32 at) {
    bool short_one = !frame_->saved && !frame_->catches && !env_.return_thunk;
    if (!epilogue_done_ || short_one)
        return epilogue(sub_);
    out_.jump(epilogue_label(sub_));
}

/// Does a tail call enter where the prologue sets rsp? Whoever is entered from outside pays an instruction for that where rsp is right by
/// then or the landing must be marked, which programs of which none makes tail calls do not gain by.
bool lowering::tail_enters_prologue() const {
    const jit_frame &f = facts_.frames[0];
    return f.present && !env_.endbr && (f.reaches_tail_call || f.size);
}

/// Leaves the native frame for the runnable at rax, with rdi = ctx, unless it has no tail entry or the run has made all its tail calls:
/// then execution goes on.
void lowering::enter() {
    x86::encoder &e = out_.e;
    e.load(8, false, reg::rax, {reg::rax, __builtin_offsetof(runnable, tail_entry)});
    e.test(true, reg::rax, reg::rax);
    u8 *no_entry = e.jcc_ahead(x86::cond::e);
    e.load(8, false, reg::rcx, {reg::rbp, tail_pointer_slot});
    e.op(x86::alu::cmp, false, x86::mem{reg::rcx}, static_cast<s32>(max_tail_calls));
    u8 *too_many = e.jcc_ahead(x86::cond::ae);
    e.op(x86::alu::add, false, x86::mem{reg::rcx}, 1);
    restore_saved();
    jump_register(reg::rax);
    e.land(no_entry);
    e.land(too_many);
}

/// The same as tail_call() through an array that is known, out of the function that was entered: no frame stays behind, so the stack holds
/// the target when it holds this program.
void lowering::tail_call_in_place(const jit_op &d) {
    x86::encoder &e = out_.e;
    const map_lookup &programs = facts_.lookups[static_cast<u32>(d.imm)];
    u8 *outside = nullptr;
    x86::mem slot{reg::rax};
    if (d.reg) {
        e.mov(false, reg::rcx, reg::rdx);
        op_constant(x86::alu::cmp, false, reg::rcx, static_cast<s32>(programs.max_entries));
        outside = e.jcc_ahead(x86::cond::ae);
        slot = {reg::rax, 0, reg::rcx, true, 3};
    }
    e.mov_imm(reg::rax, programs.base);
    e.load(8, false, reg::rax, slot);
    enter();
    if (outside)
        e.land(outside);
}

/// tail_call(ctx, map, index): on success the native frame is left and the target entered; on failure execution goes
/// on.
void lowering::tail_call() {
    x86::encoder &e = out_.e;
    x86::mem scratch{reg::rbp, -static_cast<s32>(frame_->below_rbp)};
    auto *slot = options_.slot ? options_.slot : tail_call_target;
    e.store(8, scratch, reg::rdi);
    e.mov(true, reg::rdi, reg::rsi);
    e.mov(false, reg::rsi, reg::rdx);
    call_address(reinterpret_cast<uptr>(slot));
    e.test(true, reg::rax, reg::rax);
    u8 *empty = e.jcc_ahead(x86::cond::e);
    e.load(8, false, reg::rdi, scratch);
    enter();
    e.land(empty);
}

status lowering::helper(const jit_op &d) {
    auto id = static_cast<u32>(d.imm);
    if (id == BPF_FUNC_tail_call) {
        tail_call();
        return {};
    }
    const helper_proto *p = options_.helper ? options_.helper(id) : helper_of(code_, id);
    if (MODBPF_BUG_ON(!p || (p->flags & helper_tail_call)))
        return error(EFAULT);
    bool in_section = code_.sleepable && runs_in_section(*p);
    if (auto plain = reinterpret_cast<uptr>(p->plain); plain && !in_section)
        call_address(options_.near ? options_.near(plain) : plain);
    else
        call_c(function_of(code_, *p), in_section);
    return {};
}

void lowering::kfunc(const jit_op &d) {
    const code_kfunc &k = code_.kfuncs[static_cast<u32>(d.imm)];
    if (k.throws)
        return throw_cookie(k);
    if (k.hidden_reg)
        constant(frame_->native[k.hidden_reg], k.hidden); // maybe an offset in a structure of the program's
    auto fn = reinterpret_cast<uptr>(k.fn);
    if (k.in_section || !options_.near)
        call_c(k.fn, k.in_section);
    else
        call_address(options_.near(fn));
}

/// A C function with the five arguments that are in place.
void lowering::call_c(helper_fn fn, bool in_section) {
    auto at = reinterpret_cast<uptr>(fn);
    if (!in_section)
        return call_address(at);
    out_.e.mov_imm(reg::r9, at); // the sixth argument
    at = reinterpret_cast<uptr>(call_in_section);
    call_address(options_.near ? options_.near(at) : at);
}

/// A load that may fault: made by a C function, around which everything but the destination is kept.
void lowering::probe(const jit_op &d) {
    constexpr reg kept[] = {reg::rax, reg::rdi, reg::rsi, reg::rdx, reg::rcx, reg::r8}; // an even number: the stack stays aligned
    x86::encoder &e = out_.e;
    x86::mem m = this->at(d.src, d.off);
    reg dst = frame_->native[d.dst];
    for (reg r : kept)
        e.push(r);
    e.lea(true, reg::rdi, m);
    e.mov_imm(reg::rsi, d.width);
    auto fn = reinterpret_cast<uptr>(probe_load);
    call_address(options_.near ? options_.near(fn) : fn);
    if (d.is_signed)
        e.extend(true, true, d.width, reg::r11, reg::rax);
    else
        e.mov(true, reg::r11, reg::rax);
    for (u32 i = count_of(kept); i--;)
        e.pop(kept[i]);
    e.mov(true, dst, reg::r11);
}

/// No turn is left for good once the counter is 0.
void lowering::may_goto(const jit_op &d) {
    x86::mem turns{reg::rbp, frame_->turns_slot};
    out_.e.op(x86::alu::cmp, true, turns, 0);
    out_.branch(x86::cond::e, static_cast<u32>(d.target));
    out_.e.op(x86::alu::sub, true, turns, 1);
}

status lowering::control(u32 at, const jit_op &d) {
    switch (d.kind) {
        case insn_kind::jump:
            if (!comes_next(static_cast<u32>(d.target)))
                out_.jump(static_cast<u32>(d.target));
            return {};
        case insn_kind::branch:
            branch(compare(d), d);
            return {};
        case insn_kind::call_helper:
            return helper(d);
        case insn_kind::call_kfunc:
            kfunc(d);
            return {};
        case insn_kind::may_goto:
            may_goto(d);
            return {};
        case insn_kind::call_sub: {
            u32 callee = facts_.frame_at(d.target);
            if (facts_.frames[callee].reaches_tail_call)
                out_.e.load(8, false, reg::rax, {reg::rbp, tail_pointer_slot});
            out_.call(entry_label(callee));
            return {};
        }
        case insn_kind::exit:
            exit(at);
            return {};
        default:
            static_cast<void>(MODBPF_BUG_ON(true));
            return error(EFAULT);
    }
}

const code_guard *lowering::guard(u32 at, bool mask) const {
    u32 lo = 0, hi = static_cast<u32>(code_.guards.size());
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        if (code_.guards[mid].insn < at)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < code_.guards.size() && code_.guards[lo].insn == at; lo++)
        if (is_mask(code_.guards[lo].kind) == mask)
            return &code_.guards[lo];
    return nullptr;
}

u32 lowering::next_of(u32 at) const {
    u32 i = facts_.next_in_block(at, frame_->last);
    return i < frame_->last ? i : static_cast<u32>(facts_.ops.size());
}

result<u32> lowering::operation(u32 at) {
    const jit_op &d = facts_.ops[at];
    if (d.dead)
        return at + 1;
    if (d.form != jit_form::plain) {
        special(d);
        return at + 1;
    }
    if (d.kind == insn_kind::mov || d.kind == insn_kind::alu)
        if (u32 next = next_of(at); code_.guards.empty() && next < facts_.ops.size())
            if (u32 behind = TRY(fuse(d, next)))
                return behind;
    switch (d.kind) {
        case insn_kind::alu:
            if (const code_guard *g = guard(d.origin, true))
                masked_alu(d, *g);
            else
                alu(d);
            break;
        case insn_kind::mov:
            mov(d);
            break;
        case insn_kind::neg:
            out_.e.op(x86::unary::neg, d.width == 8, frame_->native[d.dst]);
            break;
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
            byte_order(d);
            break;
        case insn_kind::load:
            out_.e.load(d.width, d.is_signed, frame_->native[d.dst], address(d, d.src));
            break;
        case insn_kind::probe_load:
            probe(d);
            break;
        case insn_kind::arena_load:
        case insn_kind::arena_store:
        case insn_kind::arena_atomic:
            arena(d);
            break;
        case insn_kind::store:
            store(d);
            if (guard(d.origin, false))
                out_.e.lfence();
            break;
        case insn_kind::atomic:
            atomic(d);
            break;
        case insn_kind::ld_imm64:
            if (d.is_pseudo_func())
                out_.lea(frame_->native[d.dst], entry_label(facts_.frame_at(d.target)));
            else if (d.imm == 0)
                out_.e.zero(frame_->native[d.dst]);
            else
                constant(frame_->native[d.dst], static_cast<u64>(d.imm));
            break;
        case insn_kind::ld_packet:
            packet(d);
            break;
        default:
            TRY(control(at, d));
            break;
    }
    return at + 1;
}

status lowering::run(const op_run &r) {
    for (u32 i = r.from; i < r.to;) {
        TRY(out_.room());
        out_.bind(i);
        u32 open = out_.e.open_immediates(), next = TRY(operation(i));
        if (MODBPF_BUG_ON(shows_constant(i, next, open)))
            return error(EFAULT);
        for (u32 k = i + 1; k < next; k++)
            out_.bind(k);
        i = next;
    }
    return {};
}

/// The branch `d`, taken on `c`.
void lowering::branch(x86::cond c, const jit_op &d) {
    auto target = static_cast<u32>(d.target);
    if (&d != turned_)
        return out_.branch(c, target);
    out_.branch(x86::invert(c), static_cast<u32>(&d - facts_.ops.data()) + 1);
    if (!comes_next(target))
        out_.jump(target);
}

/// Does the run that is emitted next begin with operation `target`?
bool lowering::comes_next(u32 target) const {
    if (target < next_run_.from || target >= next_run_.to)
        return false;
    for (u32 i = next_run_.from; i < target; i++)
        if (!facts_.ops[i].dead)
            return false;
    return true;
}

status lowering::subprogram(u32 sub) {
    frame_ = &facts_.frames[sub];
    sub_ = sub;
    epilogue_done_ = false;
    TRY(out_.room());
    out_.align();
    out_.bind(entry_label(sub));
    prologue(sub);
    scratch_vec<op_run> runs;
    TRY(order_runs(facts_, *frame_, may(jit_pass::layout) && code_.guards.empty(), runs));
    for (size_t r = 0; r < runs.size(); r++) {
        next_run_ = r + 1 < runs.size() ? runs[r + 1] : op_run{0, 0};
        turned_ = runs[r].turned ? &facts_.ops[runs[r].to - 1] : nullptr;
        TRY(run(runs[r]));
    }
    TRY(out_.room());
    if (frame_->dead_end)
        out_.e.int3();
    if (!epilogue_done_)  // only packet loads lead there, or nothing does
        epilogue(sub);
    return {};
}

status lowering::run() {
    for (u32 sub = 0; sub < facts_.frames.size(); sub++) {
        port_cond_resched();
        TRY(subprogram(sub));
        out_.bind(end_label(sub));
    }
    out_.bind(static_cast<u32>(facts_.ops.size()));
    TRY(out_.room());
    if (facts_.frames[0].catches)
        catch_cookie();
    else
        out_.bind(catch_label());
    TRY(out_.room());
    tail_entry();
    TRY(out_.room());
    out_.align();
    return {};
}

}  // namespace modbpf
