// SPDX-License-Identifier: GPL-2.0-only
#include "interp/interp.h"

#include "interp/alu.h"
#include "isa/opcode.h"

namespace modbpf {

namespace {

u64 call_back_here(void *engine, u64 fn, const u64 (&args)[5]);
u64 run(const code &c, u32 at, const u64 (&args)[5], const interp_env &env, struct thrown *outer);

/// An exception on its way through machines that call each other.
struct thrown {
    bool flies = false;
    u64 cookie = 0;
};

/// The machine: what one instruction changes.
struct machine {
    const interp_env &env;
    const code *program;
    u64 regs[16] = {};  // 11 are BPF's; a register field has 4 bits
    u32 pc = 0;
    u32 frame = 0;
    u32 tail_calls = 0;
    bool running = true;
    thrown *exception = nullptr;
    lock_state lock{};  // where no run context has one

    machine(const interp_env &e, const code &c) : env(e), program(&c) {}

    /// The code or the environment is wrong: end the run.
    void stop() {
        regs[0] = 0;
        running = false;
    }
    u64 operand(const insn_desc &d) const { return d.reg ? regs[d.src] : static_cast<u64>(d.imm); }
    void enter(u32 at) {
        set_frame_pointer();
        env.frames[frame].turns = max_may_goto_turns;
        pc = at;
    }
    void set_frame_pointer() { regs[BPF_REG_10] = addr_of(env.frames[frame].stack + max_bpf_stack); }

    void step();
    void compute(const insn_desc &d);
    void load(const insn_desc &d);
    void store(const insn_desc &d);
    void atomic(const insn_desc &d);
    void arena(const insn_desc &d);
    void packet(const insn_desc &d);
    void call_helper(const insn_desc &d);
    void call_kfunc(const insn_desc &d);
    u64 call_function(helper_fn fn, bool in_section);
    void may_goto(const insn_desc &d);
    void call_sub(const insn_desc &d);
    const code_around *around(u32 at) const;
    void enter_function(u32 at);
    void leave_function();
    void tail_call();
    void unwind();
    void load_imm64(const insn_desc &d);
    void leave();
};

template <class T> T read_as(u64 addr) {
    T v;
    memcpy(&v, ptr_of<>(addr), sizeof(v));
    return v;
}

void machine::compute(const insn_desc &d) {
    u64 &dst = regs[d.dst];
    switch (d.kind) {
        case insn_kind::alu:
            dst = alu_value(d.op, d.width, d.is_signed, dst, operand(d));
            break;
        case insn_kind::mov:
            if (d.is_addr_space_cast()) { // to user space; the null pointer stays one
                u64 low = static_cast<u32>(regs[d.src]);
                dst = low ? (program->arena_user >> 32 << 32) | low : 0;
                break;
            }
            dst = truncate(d.sx_bytes ? sign_extend(regs[d.src], d.sx_bytes) : operand(d), d.width);
            break;
        case insn_kind::neg:
            dst = truncate(0 - dst, d.width);
            break;
        case insn_kind::to_le:
            dst = truncate(dst, d.width);
            break;
        default:  // to_be, bswap
            dst = byte_swap(dst, d.width);
            break;
    }
}

void machine::load(const insn_desc &d) {
    u64 addr = regs[d.src] + static_cast<u64>(static_cast<s64>(d.off)), v;
    switch (d.kind == insn_kind::probe_load ? 0 : d.width) {
        case 0:
            v = probe_load(addr, d.width);
            break;
        case 1:
            v = read_as<u8>(addr);
            break;
        case 2:
            v = read_as<u16>(addr);
            break;
        case 4:
            v = read_as<u32>(addr);
            break;
        default:
            v = read_as<u64>(addr);
            break;
    }
    regs[d.dst] = d.is_signed ? sign_extend(v, d.width) : v;
}

void machine::store(const insn_desc &d) {
    u64 addr = regs[d.dst] + static_cast<u64>(static_cast<s64>(d.off)), v = operand(d);
    memcpy(ptr_of<>(addr), &v, d.width);  // little-endian: the low bytes
}

template <class U> U atomic_apply(U *p, s32 op, U v, U expected) {
    switch (op) {
        case BPF_ADD:
        case BPF_ADD | BPF_FETCH:
            return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
        case BPF_AND:
        case BPF_AND | BPF_FETCH:
            return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
        case BPF_OR:
        case BPF_OR | BPF_FETCH:
            return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
        case BPF_XOR:
        case BPF_XOR | BPF_FETCH:
            return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);
        case BPF_XCHG:
            return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
        default:  // BPF_CMPXCHG
            __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
            return expected;
    }
}

void machine::atomic(const insn_desc &d) {
    u64 addr = regs[d.dst] + static_cast<u64>(static_cast<s64>(d.off)), old;
    s32 op = static_cast<s32>(d.imm);
    if (d.width == 4)
        old = atomic_apply(ptr_of<u32>(addr), op, static_cast<u32>(regs[d.src]), static_cast<u32>(regs[0]));
    else
        old = atomic_apply(ptr_of<u64>(addr), op, regs[d.src], regs[0]);
    if (op == BPF_CMPXCHG)
        regs[0] = old;
    else if (op & BPF_FETCH)
        regs[d.src] = old;
}

void machine::arena(const insn_desc &d) {
    bool loads = d.kind == insn_kind::arena_load;
    u64 addr = program->arena_base + static_cast<u32>(regs[loads ? d.src : d.dst]) + static_cast<u64>(static_cast<s64>(d.off));
    u64 v = port_arena_access(arena_op_of(d), d.width, addr, loads ? 0 : operand(d), &regs[0]);
    if (loads)
        regs[d.dst] = v;
    else if (d.kind == insn_kind::arena_atomic && (d.imm & BPF_FETCH) && d.imm != BPF_CMPXCHG)
        regs[d.src] = v;
}

void machine::packet(const insn_desc &d) {
    auto off = static_cast<s32>((d.reg ? regs[d.src] : 0) + static_cast<u64>(d.imm));
    auto *fetch = env.packet ? env.packet : load_packet_bytes;
    u64 v = 0;
    if (fetch(ptr_of<>(regs[BPF_REG_6]), off, d.width, &v)) {
        regs[0] = v;
    } else {
        regs[0] = 0;
        leave();
    }
}

void machine::tail_call() {
    const code *next = env.tail ? env.tail(ptr_of<>(regs[BPF_REG_2]), static_cast<u32>(regs[BPF_REG_3])) : nullptr;
    if (!next || tail_calls >= max_tail_calls)
        return;
    tail_calls++;
    program = next;
    env.frames[frame].entered = true;
    enter(0);
}

/// Calls C code, which may call functions of the program back: they are interpreted, too, in the frames that are free.
u64 machine::call_function(helper_fn fn, bool in_section) {
    run_ctx *outer = current_run();
    run_ctx run = outer ? *outer : run_ctx{};
    run.engine = this;
    run.call_engine = call_back_here;
    run.outer_lock = outer ? outer->outer_lock ? outer->outer_lock : &outer->lock : &lock; // held over calls
    run_scope scope(run);
    return in_section ? call_in_section(regs[1], regs[2], regs[3], regs[4], regs[5], fn)
                       : fn(regs[1], regs[2], regs[3], regs[4], regs[5]);
}

void machine::call_kfunc(const insn_desc &d) {
    if (MODBPF_BUG_ON(d.imm < 0 || static_cast<u64>(d.imm) >= program->kfuncs.size()))
        return stop();
    const code_kfunc &k = program->kfuncs[static_cast<u32>(d.imm)];
    if (k.hidden_reg)
        regs[k.hidden_reg] = k.hidden;
    if (k.throws) {
        *exception = {true, regs[BPF_REG_1]};
        return unwind();
    }
    regs[0] = call_function(k.fn, k.in_section);
}

/// Leaves all frames up to the program's first, which the exception callback stands in for, or up to the C code that called back.
void machine::unwind() {
    while (frame && !env.frames[frame].entered)
        frame--;
    if (!env.frames[frame].entered) { // the helper in between ends its calls for this
        regs[0] = 1;
        running = false;
        return;
    }
    exception->flies = false;
    regs[0] = regs[BPF_REG_1] = exception->cookie;
    if (program->catcher)
        enter(program->catcher);
    else
        leave();
}

void machine::may_goto(const insn_desc &d) {
    u32 &turns = env.frames[frame].turns;
    if (turns)
        turns--;
    else
        pc = static_cast<u32>(d.target);
}

void machine::call_helper(const insn_desc &d) {
    auto id = static_cast<u32>(d.imm);
    if (id == BPF_FUNC_tail_call)
        return tail_call();
    const helper_proto *p = env.helper ? env.helper(id) : helper_of(*program, id);
    if (MODBPF_BUG_ON(!p || (p->flags & helper_tail_call)))
        return stop();
    regs[0] = call_function(function_of(*program, *p), program->sleepable && runs_in_section(*p));
    if (exception->flies)
        unwind();
}

void machine::call_sub(const insn_desc &d) {
    if (MODBPF_BUG_ON(frame + 1 >= env.frame_count))
        return stop();
    interp_frame &f = env.frames[++frame];
    f.entered = false;
    memcpy(f.saved, &regs[BPF_REG_6], sizeof(f.saved));
    f.return_code = program;
    f.return_insn = pc;
    enter_function(static_cast<u32>(d.target));
}

/// What stands at the function that starts there.
const code_around *machine::around(u32 at) const {
    const code_hook *hooks = __atomic_load_n(&program->hooks, __ATOMIC_ACQUIRE);
    for (u32 s = 0; hooks && s < program->subprogs.size(); s++)
        if (program->subprogs[s].start == at)
            return __atomic_load_n(&hooks[s].around, __ATOMIC_ACQUIRE);
    return nullptr;
}

/// A call, in a frame of its own; a tail call does not come by.
void machine::enter_function(u32 at) {
    interp_frame &f = env.frames[frame];
    f.replaces = false;
    f.around = around(at);
    if (f.around && f.around->instead) {
        program = f.around->instead;
        f.entered = f.replaces = true;
        f.outer_tail_calls = tail_calls;
        tail_calls = at = 0;
        f.around = around(at);
    }
    if (f.around) {
        memcpy(f.traced + traced_words, &regs[BPF_REG_1], 5 * sizeof(u64));
        f.around->before(f.around, f.traced + traced_words);
    }
    enter(at);
}

void machine::leave_function() {
    interp_frame &f = env.frames[frame];
    if (f.around) {
        f.traced[traced_words + f.around->args] = regs[0];
        f.around->after(f.around, f.traced + traced_words);
    }
    if (f.replaces)
        tail_calls = f.outer_tail_calls;
}

void machine::leave() {
    leave_function();
    if (frame == 0) {
        running = false;
        return;
    }
    const interp_frame &f = env.frames[frame--];
    memcpy(&regs[BPF_REG_6], f.saved, sizeof(f.saved));
    program = f.return_code;
    pc = f.return_insn;
    set_frame_pointer();
}

void machine::load_imm64(const insn_desc &d) {
    if (d.is_pseudo_func() && !MODBPF_BUG_ON(d.target < 0 || d.target >= static_cast<s64>(program->insns.size())))
        regs[d.dst] = addr_of(&program->insns[static_cast<u32>(d.target)]); // stands for the function
    else if (MODBPF_BUG_ON(d.src != 0))
        return stop();
    else
        regs[d.dst] = static_cast<u64>(d.imm);
}

void machine::step() {
    if (MODBPF_BUG_ON(pc >= program->insns.size()))
        return stop();
    if (env.trace)
        env.trace->step(env.trace->priv, pc, regs, frame, env.frames[frame].stack);
    insn_desc d = decode(program->insns.view(), pc);
    pc += d.words;
    switch (d.kind) {
        case insn_kind::alu:
        case insn_kind::mov:
        case insn_kind::neg:
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
            return compute(d);
        case insn_kind::load:
        case insn_kind::probe_load:
            return load(d);
        case insn_kind::store:
            return store(d);
        case insn_kind::atomic:
            return atomic(d);
        case insn_kind::arena_load:
        case insn_kind::arena_store:
        case insn_kind::arena_atomic:
            return arena(d);
        case insn_kind::jump:
            pc = static_cast<u32>(d.target);
            return;
        case insn_kind::branch:
            if (branch_taken(d.op, d.width, regs[d.dst], operand(d)))
                pc = static_cast<u32>(d.target);
            return;
        case insn_kind::call_helper:
            return call_helper(d);
        case insn_kind::call_sub:
            return call_sub(d);
        case insn_kind::exit:
            return leave();
        case insn_kind::ld_imm64:
            return load_imm64(d);
        case insn_kind::ld_packet:
            return packet(d);
        case insn_kind::may_goto:
            return may_goto(d);
        case insn_kind::call_kfunc:
            return call_kfunc(d);
        case insn_kind::unknown:
            break;
    }
    static_cast<void>(MODBPF_BUG_ON(true));
    stop();
}

/// A function of the program that `engine` interprets, called by C code that it called. The C stack bounds the depth: each level uses up
/// a BPF frame.
u64 call_back_here(void *engine, u64 fn, const u64 (&args)[5]) {
    machine &caller = *static_cast<machine *>(engine);
    span<const bpf_insn> insns = caller.program->insns.view();
    u64 first = addr_of(insns.data()), at = (fn - first) / sizeof(bpf_insn);
    u32 used = caller.frame + 1;
    if (MODBPF_BUG_ON(fn < first || at >= insns.size() || used >= caller.env.frame_count))
        return 0;
    interp_env env = caller.env;
    env.frames += used;
    env.frame_count -= used;
    return run(*caller.program, static_cast<u32>(at), args, env, caller.exception);
}

/// outer: of the machine that called this one back, or null.
u64 run(const code &c, u32 at, const u64 (&args)[5], const interp_env &env, thrown *outer) {
    if (MODBPF_BUG_ON(env.frame_count == 0))
        return 0;
    thrown mine;
    machine m(env, c);
    m.exception = outer ? outer : &mine;
    env.frames[0].entered = !outer;
    memcpy(&m.regs[BPF_REG_1], args, sizeof(args));
    m.enter_function(at);
    while (m.running)
        m.step();
    return m.regs[0];
}

}  // namespace

u64 interpret(const code &c, const void *ctx, const interp_env &env) {
    u64 args[5] = {addr_of(ctx)};
    return run(c, 0, args, env, nullptr);
}

u64 interpret_function(const code &c, u64 fn, const u64 (&args)[5], const interp_env &env) {
    u64 first = addr_of(c.insns.data()), at = (fn - first) / sizeof(bpf_insn);
    if (MODBPF_BUG_ON(fn < first || at >= c.insns.size()))
        return 0;
    return run(c, static_cast<u32>(at), args, env, nullptr);
}

}  // namespace modbpf
