// SPDX-License-Identifier: GPL-2.0-only
#include "jit/trampoline.h"

#include "jit/conventions.h"

namespace modbpf {

namespace {

using x86::cond;
using x86::mem;
using x86::reg;

constexpr reg arg_registers[] = {reg::rdi, reg::rsi, reg::rdx, reg::rcx, reg::r8, reg::r9};
constexpr s32 word = 8;
constexpr s32 result_at = -word;        ///< from rbp
constexpr s32 stack_args_at = 3 * word; ///< from rbp: behind rbp and two return addresses
constexpr s32 traced_rax = -static_cast<s32>(traced_words) - 1; ///< from the context, in words

struct writer {
    const trampoline_plan &plan;
    const jit_machine &env;
    assembler out{};

    enum label : u32 { after_function, label_count };
    s32 word_at(u32 i) const { return result_at - static_cast<s32>(plan.args->count - i) * word; }
    s32 context_at() const { return word_at(0); }
    u32 frame_size() const;

    status write();
    void begin();
    void end();
    void call_with(u64 fn, void *arg);
    void run(void *program);
    void restore_registers();
    void call_function();
    void go_to_program(bool as_call);
    status run_all(span<void *const> programs);
    status run_modifiers();
};

/// Room below rbp, so that rsp is aligned to 16 behind it: it was so at the trampoline's start.
u32 writer::frame_size() const {
    u32 words = 1u + plan.args->count + traced_words + (plan.calls_function() ? plan.args->stack : 0);
    // One return address less, and rax.
    return plan.of_program ? static_cast<u32>(align_up((words + 1) * word, 16)) : (words | 1) * word;
}

void writer::call_with(u64 fn, void *arg) {
    out.e.mov_imm(reg::rdi, addr_of(arg));
    emit_call(out, env, fn);
}

void writer::begin() {
    if (env.endbr)
        out.e.endbr64();
    out.e.push(reg::rbp);
    out.e.mov(true, reg::rbp, reg::rsp);
    out.e.op(x86::alu::sub, true, reg::rsp, static_cast<s32>(frame_size()));
    for (u32 i = 0; i < plan.args->count; i++) {
        u8 at = plan.args->place[i];
        if (at & arg_words::on_stack) {
            out.e.load(8, false, reg::rax, {reg::rbp, stack_args_at + (at & ~arg_words::on_stack) * word});
            out.e.store(8, {reg::rbp, word_at(i)}, reg::rax);
        } else {
            out.e.store(8, {reg::rbp, word_at(i)}, arg_registers[at]);
        }
    }
    if (plan.of_program)
        out.e.store(8, {reg::rbp, context_at() + traced_rax * word}, reg::rax);
    out.e.store_imm(8, {reg::rbp, context_at() + traced_arg_count * word}, plan.args->count);
    out.e.mov_imm(reg::rax, plan.func);
    out.e.store(8, {reg::rbp, context_at() + traced_func * word}, reg::rax);
}

/// From the programs' context, which the verifier lets none of them write.
void writer::restore_registers() {
    for (u32 i = 0; i < plan.args->count; i++)
        if (!(plan.args->place[i] & arg_words::on_stack))
            out.e.load(8, false, arg_registers[plan.args->place[i]], {reg::rbp, word_at(i)});
    if (plan.of_program)
        out.e.load(8, false, reg::rax, {reg::rbp, context_at() + traced_rax * word});
}

void writer::run(void *program) {
    out.e.mov_imm(reg::rdi, addr_of(program));
    out.e.lea(true, reg::rsi, {reg::rbp, context_at()});
    emit_call(out, env, reinterpret_cast<uptr>(plan.run));
}

status writer::run_all(span<void *const> programs) {
    for (void *p : programs) {
        TRY(out.room());
        run(p);
    }
    return {};
}

/// The first that gives anything but 0 decides: that is the result, and the function does not run.
status writer::run_modifiers() {
    for (void *p : plan.modify) {
        TRY(out.room());
        out.e.store_imm(8, {reg::rbp, result_at}, 0);
        run(p);
        out.e.store(8, {reg::rbp, result_at}, reg::rax);
        out.e.test(true, reg::rax, reg::rax);
        out.branch(cond::ne, after_function);
    }
    return {};
}

void writer::call_function() {
    for (u32 i = 0; i < plan.args->stack; i++) {
        out.e.load(8, false, reg::rax, {reg::rbp, stack_args_at + static_cast<s32>(i) * word});
        out.e.store(8, {reg::rsp, static_cast<s32>(i) * word}, reg::rax);
    }
    restore_registers();
    if (plan.of_program)
        go_to_program(true);
    else
        emit_call(out, env, plan.body);
    out.e.store(8, {reg::rbp, result_at}, reg::rax);
}

/// All that holds arguments is in use, and rax.
void writer::go_to_program(bool as_call) {
    if (env.rel32)
        return as_call ? out.call_addr(plan.body) : out.jmp_addr(plan.body);
    out.e.mov_imm(reg::r11, plan.body);
    u64 thunk = env.indirect_thunk[x86::num(reg::r11)];
    if (thunk)
        as_call ? out.call_addr(thunk) : out.jmp_addr(thunk);
    else
        as_call ? out.e.call_reg(reg::r11) : out.e.jmp_reg(reg::r11);
    if (!as_call && env.sls)
        out.e.int3();
}

void writer::end() {
    if (plan.leave)
        call_with(reinterpret_cast<uptr>(plan.leave), plan.owner);
    if (plan.calls_function())
        out.e.load(8, false, reg::rax, {reg::rbp, result_at});
    else
        restore_registers();
    out.e.leave();
    if (plan.of_program && !plan.calls_function())
        return go_to_program(false);
    if (plan.calls_function() && !plan.of_program)
        out.e.op(x86::alu::add, true, reg::rsp, word); // over the return into the function
    emit_return(out, env);
}

status writer::write() {
    TRY(out.set_labels(label_count));
    TRY(out.room());
    begin();
    if (plan.enter)
        call_with(reinterpret_cast<uptr>(plan.enter), plan.owner);
    TRY(run_all(plan.entry));
    TRY(run_modifiers());
    TRY(out.room());
    if (plan.calls_function())
        call_function();
    out.bind(after_function);
    TRY(run_all(plan.exit));
    TRY(out.room());
    end();
    return {};
}

}  // namespace

bool arg_words::add(u32 bytes) {
    u32 words = (bytes + 7) / 8;
    if (!words || words > 2 || count + words > trampoline_words_max)
        return false;
    bool in_registers = regs_ + words <= count_of(arg_registers);
    for (u32 i = 0; i < words; i++)
        place[count++] = in_registers ? regs_++ : static_cast<u8>(on_stack | stack++);
    return true;
}

status trampoline_text::build(const trampoline_plan &plan, const jit_machine *machine) {
    jit_machine real{};
    if (!machine)
        port_jit_env(&real);
    writer w{plan, machine ? *machine : real};
    TRY(w.write());
    u32 size = TRY(w.out.resolve());
    text_ = port_text_alloc(size);
    if (!text_)
        return error(ENOMEM);
    size_ = size;
    TRY(w.out.emit(static_cast<u8 *>(text_), size));
    int err = port_text_seal(text_, size);
    return err ? error(-err) : status{};
}

trampoline_text::~trampoline_text() {
    port_text_free(text_, size_);
}

}  // namespace modbpf
