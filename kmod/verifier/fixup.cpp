// SPDX-License-Identifier: GPL-2.0-only
// From the verified instructions to the code that runs: branches that go one way only become jumps, dead code goes, context
// accesses get the layout of the run-time context, map loads get addresses. Every change is one instruction for one, but for the calls that
// expand.h replaces; then instructions are dropped. One table of new positions moves jumps, calls, subprograms and debug information.
#include "maps/arena.h"
#include "helpers/kfuncs.h"
#include "verifier/arena.h"
#include "verifier/context.h"
#include "verifier/env.h"
#include "verifier/expand.h"
#include "verifier/kfunc.h"

namespace modbpf {

namespace {

struct fixer {
    env &e;
    vec<bpf_insn> run;    ///< what runs
    vec<bpf_insn> shown;  ///< what OBJ_GET_INFO shows: map ids instead of addresses
    scratch_vec<u8> keep;
    scratch_vec<u32> position;    ///< of each loaded instruction in the result; [count]: their number
    bool expands = true;  ///< also what is only faster so
    bool grown = false;   ///< something is expanded

    status start();
    expansion expansion_of(u32 i) const { return e.insns[i].code == (BPF_JMP | BPF_CALL) ? expansion_of_call(i) : expansion::none; }
    expansion expansion_of_call(u32 i) const;
    bool jumps_reach() const;
    status check_reach();
    u32 frame_bytes(u32 sub);
    status check_kfuncs();
    void straighten_branches();
    void count_positions();
    void drop_nops();
    status convert_ctx(u32 i);
    status convert_map(u32 i);
    result<code_kfunc> placed_function(u32 i);
    status convert_kfunc(u32 i);
    void convert_probe(u32 i);
    void convert_arena(u32 i);
    status move_targets(u32 i);
    status emit_guard(u32 i);
    status emit_map(u32 i);
    status emit_expansion(u32 i, expansion x);
    status emit();
    status emit_info();
};

u8 flags_of_func(const env &e, u32 sub) {
    const subprog_info &p = e.subs[sub];
    bool catches = sub && sub == e.exception_callback;
    return static_cast<u8>((p.unreliable ? func_unreliable : 0) | (p.uncompared ? func_uncompared : 0) | (p.changes_pkt_data ? func_changes_packet : 0) |
                           (catches ? func_exception_cb : 0));
}

bpf_insn jump_by(s16 off) { return make_insn(BPF_JMP | BPF_JA, 0, 0, off, 0); }
bool is_long_jump(const bpf_insn &i) { return i.code == (BPF_JMP32 | BPF_JA); }
/// Where the jump at `i`, one that was loaded or one that it was straightened to, goes to.
u32 jump_target(const bpf_insn &in, u32 i) { return i + 1 + static_cast<u32>(is_long_jump(in) ? in.imm : in.off); }

status fixer::start() {
    TRY(run.copy_from(e.insns));
    TRY(keep.resize_zeroed(e.count()));
    TRY(position.resize_zeroed(e.count() + 1));
    for (u32 i = 0; i < e.count(); i++)
        keep[i] = e.aux[i].seen;
    for (u32 i = 0; i + 1 < e.count(); i++) // the second word of a 64-bit immediate is never visited by itself
        if (run[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
            keep[i + 1] = keep[i];
            i++;
        }
    return {};
}

/// A call of function 0 stands for one that the loader did not find; it must be dead code.
status fixer::check_kfuncs() {
    for (u32 i = 0; i < e.count(); i++)
        if (keep[i] && run[i].code == (BPF_JMP | BPF_CALL) && run[i].src_reg == BPF_PSEUDO_KFUNC_CALL && !run[i].imm) {
            verbose(e, "invalid kernel function call not eliminated in verifier pass\n");
            return fail(EINVAL);
        }
    return {};
}

/// A branch with one arm that no path took.
void fixer::straighten_branches() {
    for (u32 i = 0; i < e.count(); i++) {
        const insn_desc &d = e.desc(i);
        if (d.kind == insn_kind::branch && keep[i]) {
            if (!keep[i + 1])
                run[i] = jump_by(run[i].off);
            else if (!keep[static_cast<u32>(d.target)])
                run[i] = jump_by(0);
        }
        i += d.words - 1u;
    }
}

void fixer::count_positions() {
    u32 n = 0;
    grown = false;
    for (u32 i = 0; i < e.count(); i++) {
        position[i] = n;
        if (!keep[i])
            continue;
        expansion x = expansion_of(i);
        n += x == expansion::none ? 1 : expanded_size(x);
        grown |= x != expansion::none;
    }
    position[e.count()] = n;
    if (grown && expands && !jumps_reach()) { // Linux gives up on such a program; calls as they are do
        expands = false;
        count_positions();
    }
}

/// What cannot be left out, the checks of tail calls, may still be too much between a jump and where it goes.
status fixer::check_reach() {
    if (expands || jumps_reach())
        return {};
    u32 i = 0;
    while (expansion_of(i) == expansion::none)
        i++;
    verbose(e, "insn %u cannot be patched due to 16-bit range\n", i);
    return fail(ENOMEM);
}

/// How the call at `i` is made.
expansion fixer::expansion_of_call(u32 i) const {
    expansion x = keep[i] ? find_expansion(e, i) : expansion::none;
    if (!expands && x != expansion::tail_check)
        return expansion::none;
    return x == expansion::loop && !keep[e.subs[e.aux[i].loop_sub].start] ? expansion::none : x;
}

/// Whether every jump still has room for its distance.
bool fixer::jumps_reach() const {
    for (u32 i = 0; i < e.count(); i++) {
        const insn_desc &d = e.desc(i);
        s64 off = d.jumps ? static_cast<s64>(position[jump_target(run[i], i)]) - position[i] - 1 : 0;
        if (keep[i] && d.jumps && !is_long_jump(run[i]) && off != static_cast<s16>(off))
            return false;
        i += d.words - 1u;
    }
    return true;
}

/// Bytes of the subprogram's frame: what the program uses and, once, what its loops keep.
u32 fixer::frame_bytes(u32 sub) {
    subprog_info &p = e.subs[sub];
    for (u32 i = p.start; i < p.end; i++)
        if (expansion_of(i) == expansion::loop)
            return p.stack_depth + loop_vars_bytes;
    return p.stack_depth;
}

/// Jumps to the next instruction that is left. One pass, as Linux.
void fixer::drop_nops() {
    for (u32 i = 0; i < e.count(); i++) {
        if (keep[i] && run[i].code == (BPF_JMP | BPF_JA) && position[jump_target(run[i], i)] == position[i] + 1)
            keep[i] = 2; // counted out below, when all were found
        i += e.desc(i).words - 1u;
    }
    for (auto &k : keep)
        k = k == 1;
    count_positions();
}

status fixer::convert_ctx(u32 i) {
    if (!e.aux[i].ctx_access || e.out->absent[0] || e.req.type->raw_ctx)
        return {}; // what cannot run is not rewritten
    const insn_desc &d = e.desc(i);
    const ctx_field *f = find_ctx_field(e.req, d.off, d.width, d.kind == insn_kind::store ? access::write : access::read);
    if (MODBPF_BUG_ON(!f || !f->runs || (d.kind != insn_kind::load && d.kind != insn_kind::store)))
        return error(EFAULT);
    bpf_insn &in = run[i];
    in.off = static_cast<s16>(f->run_off + (d.off - f->off));
    if (f->run_size) {
        if (MODBPF_BUG_ON(d.kind != insn_kind::load || f->run_size != 8))
            return error(EFAULT);
        in.code = BPF_LDX | BPF_MEM | BPF_DW;
    } else if (d.kind == insn_kind::store && f->store_size) {
        u8 size = f->store_size == 1 ? BPF_B : f->store_size == 2 ? BPF_H : BPF_W;
        in.code = static_cast<u8>((in.code & ~0x18) | size);
    }
    return {};
}

/// A 64-bit immediate becomes a plain number.
void set_wide(bpf_insn *w, u64 value) {
    w[0].src_reg = 0;
    w[0].imm = static_cast<s32>(value);
    w[1].imm = static_cast<s32>(value >> 32);
}

status fixer::convert_map(u32 i) {
    bpf_insn *w = &run[i];
    if (w->code != (BPF_LD | BPF_IMM | BPF_DW) || !w->src_reg || w->src_reg == BPF_PSEUDO_FUNC)
        return {};
    if (w->src_reg == BPF_PSEUDO_BTF_ID) { // shown as it was loaded: the address is the kernel's
        set_wide(w, e.ksyms[e.aux[i].map_index].addr);
        return {};
    }
    map *m = e.maps[e.aux[i].map_index].get();
    bool value = w->src_reg == BPF_PSEUDO_MAP_VALUE || w->src_reg == BPF_PSEUDO_MAP_IDX_VALUE;
    shown[i].src_reg = value ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
    shown[i].imm = static_cast<s32>(m->id);
    shown[i + 1].imm = value ? static_cast<s32>(e.aux[i].map_off) : 0;
    u64 addr = value ? TRY(m->ops->value_address(m, e.aux[i].map_off)) : addr_of(m);
    set_wide(w, addr);
    return {};
}

void fixer::convert_probe(u32 i) {
    bpf_insn &in = run[i];
    if (e.aux[i].probes && bpf_class(in.code) == BPF_LDX)
        in.code = static_cast<u8>((in.code & ~0xe0) | (bpf_mode(in.code) == BPF_MEMSX ? BPF_PROBE_MEMSX : BPF_PROBE_MEM));
}

/// Accesses to the arena, and casts: to what programs see of it always, to user addresses where those are not wanted, by dropping the upper half.
void fixer::convert_arena(u32 i) {
    bpf_insn &in = run[i];
    if (e.desc(i).is_addr_space_cast()) {
        map *m = find_arena(e);
        if (in.imm != 1 && !(m->params.flags & BPF_F_NO_USER_CONV))
            return;
        in.code = BPF_ALU | BPF_MOV | BPF_X;
        in.off = 0, in.imm = 0;
        shown[i] = in;
        return;
    }
    if (!e.aux[i].has_ptr_type || base_of(e.aux[i].ptr_type) != reg_type::arena)
        return;
    bool atomic = bpf_mode(in.code) == BPF_ATOMIC;
    in.code = static_cast<u8>((in.code & ~0xe0) | (atomic ? BPF_PROBE_ATOMIC : BPF_PROBE_MEM32));
    if (atomic)
        shown[i].code = in.code;
}

/// The function of a call that the image names by its place: of a kernel function, or of a helper with a hidden argument. Null: neither.
result<code_kfunc> fixer::placed_function(u32 i) {
    code_kfunc k{};
    if (run[i].code != (BPF_JMP | BPF_CALL) || e.out->absent[0])
        return k;
    if (run[i].src_reg == BPF_PSEUDO_KFUNC_CALL) {
        kfunc_call c = find_kfunc_call(e, i);
        if (MODBPF_BUG_ON(!c.row || !c.row->fn))
            return error(EFAULT);
        k.fn = c.row->effect == kfunc_effect::dynptr_slice && !e.req.perfmon ? kfunc_dynptr_slice_in_place : c.row->fn;
        k.in_section = e.out->image.sleepable && kfunc_runs_in_section(*c.row);
        TRY(hide_argument(e, i, c, k));
    } else if (const helper_proto *p = run[i].src_reg ? nullptr : find_helper(static_cast<u32>(run[i].imm)); p && (p->flags & helper_calls_later)) {
        k.fn = p->fn;
        k.in_section = e.out->image.sleepable && runs_in_section(*p);
        k.hidden_reg = BPF_REG_3, k.hidden = addr_of(e.req.program);
    }
    return k;
}

/// Calls of one function with the same hidden argument share its place.
status fixer::convert_kfunc(u32 i) {
    code_kfunc k = TRY(placed_function(i));
    if (!k.fn)
        return {};
    vec<code_kfunc> &all = e.out->image.kfuncs;
    u32 at = 0;
    while (at < all.size() && !(all[at].fn == k.fn && all[at].hidden_reg == k.hidden_reg && all[at].hidden == k.hidden &&
                                all[at].in_section == k.in_section && all[at].throws == k.throws))
        at++;
    if (at == all.size())
        TRY(all.push(k));
    run[i].src_reg = BPF_PSEUDO_KFUNC_CALL;
    run[i].imm = static_cast<s32>(at);
    run[i].off = 0;
    return {};
}

/// Jumps and calls over what was dropped.
status fixer::move_targets(u32 i) {
    const insn_desc &d = e.desc(i);
    if (!d.jumps && d.kind != insn_kind::call_sub && !d.is_pseudo_func())
        return {};
    u32 target = d.jumps ? jump_target(run[i], i) : static_cast<u32>(d.target);
    if (MODBPF_BUG_ON(target >= e.count()))
        return error(EFAULT);
    if (d.is_pseudo_func() && !keep[target]) { // a callback that is never called, bpf_loop(0, ...): there is none
        run[i].src_reg = 0, run[i].imm = run[i + 1].imm = 0;
        return {};
    }
    s64 off = static_cast<s64>(position[target]) - position[i] - 1;
    if (d.kind == insn_kind::call_sub || d.is_pseudo_func() || is_long_jump(run[i])) {
        run[i].imm = static_cast<s32>(off);
        return {};
    }
    if (MODBPF_BUG_ON(off != static_cast<s16>(off)))
        return error(EFAULT);
    run[i].off = static_cast<s16>(off);
    return {};
}

/// The instructions that stand for the call at `i`.
status fixer::emit_expansion(u32 i, expansion x) {
    bpf_insn code[max_expanded];
    u32 n = expand(e, x, i, code);
    if (MODBPF_BUG_ON(n != expanded_size(x)))
        return error(EFAULT);
    if (x == expansion::loop)
        code[loop_call_at].imm = static_cast<s32>(position[e.subs[e.aux[i].loop_sub].start]) - static_cast<s32>(position[i] + loop_call_at + 1);
    for (u32 k = 0; k < n; k++) {
        TRY(e.out->image.insns.push(code[k]));
        TRY(e.out->xlated.push(code[k]));
    }
    // The registers are stored to the stack and loaded again behind the program's back: no load may be faster than the stores.
    if (x == expansion::loop && e.req.guarded())
        TRY(e.out->image.guards.push({position[i] + loop_stored_at, 0, guard_kind::barrier}));
    return {};
}

/// A call whose map is known. What stands for the maps inside a map is none that the program has.
status fixer::emit_map(u32 i) {
    if (!e.aux[i].call_map || e.req.guarded())
        return {};
    for (const ref<map> &m : e.maps)
        if (m.get() == e.aux[i].call_map)
            return e.out->image.maps.push({position[i], m.get()});
    return {};
}

/// What keeps a mispredicting CPU from doing harm at this instruction.
status fixer::emit_guard(u32 i) {
    const insn_aux &a = e.aux[i];
    if (is_mask(a.guard))
        TRY(e.out->image.guards.push({position[i], a.guard_limit, a.guard}));
    if (a.barrier)
        TRY(e.out->image.guards.push({position[i], 0, guard_kind::barrier}));
    return {};
}

status fixer::emit() {
    bool same = position[e.count()] == e.count() && !grown;
    if (!same) {
        TRY(e.out->image.insns.reserve(position[e.count()]));
        TRY(e.out->xlated.reserve(position[e.count()]));
    }
    if (u32 sub = e.exception_callback; sub && keep[e.subs[sub].start])
        e.out->image.catcher = position[e.subs[sub].start];
    for (u32 i = 0; i < e.count(); i++) {
        if (!keep[i])
            continue;
        if (expansion x = expansion_of(i); x != expansion::none) {
            TRY(emit_expansion(i, x));
            continue;
        }
        if (!same) {
            e.out->image.insns.append(run[i]);
            e.out->xlated.append(shown[i]);
        }
        TRY(emit_guard(i));
        TRY(emit_map(i));
    }
    if (same) {
        e.out->image.insns = move(run);
        e.out->xlated = move(shown);
    }
    for (u32 s = 0; s < e.subs.size(); s++) {
        subprog_info &p = e.subs[s];
        if (position[p.start] == position[p.end])
            continue;
        u32 bytes = frame_bytes(s);
        p.stack_extra += bytes - p.stack_depth;
        TRY(e.out->image.subprogs.push({position[p.start], position[p.end], static_cast<u16>(bytes), p.has_tail_call, p.tail_call_reachable}));
        if (s < e.req.funcs.size()) {
            TRY(e.out->funcs.push({position[p.start], e.req.funcs[s].type_id}));
            TRY(e.out->func_flags.push(flags_of_func(e, s)));
        }
    }
    return {};
}

/// A source line whose instructions are gone is kept only if nothing says where the next instruction comes from.
status fixer::emit_info() {
    vec<line_info> &out = e.out->lines;
    TRY(out.reserve(e.req.lines.size()));
    for (line_info l : e.req.lines) {
        if (MODBPF_BUG_ON(l.insn_off >= e.count()))
            return error(EFAULT);
        u32 at = position[l.insn_off];
        if (at >= position[e.sub_of(l.insn_off).end])
            continue; // nothing is left behind it in its function
        l.insn_off = at;
        if (!out.empty() && out.back().insn_off == at)
            out.back() = l;
        else
            TRY(out.push(l));
    }
    return {};
}

}  // namespace

status fix_up(env &e) {
    fixer f{e, {}, {}, {}, {}};
    e.out->image.sleepable |= (e.req.prog_flags & BPF_F_SLEEPABLE) != 0;
    e.out->image.prog_type = e.req.type->type;
    e.out->image.attach_type = e.req.expected_attach_type;
    if (map *arena = find_arena(e)) {
        e.out->image.arena_base = arena_kernel_base(arena);
        e.out->image.arena_user = arena_user_start(arena);
    }
    TRY(f.start());
    TRY(f.check_kfuncs());
    TRY(check_arena_loads(e));
    f.straighten_branches();
    f.count_positions();
    f.drop_nops();
    TRY(f.check_reach());
    if (e.req.observer)
        e.req.observer->moved(e.req.observer->priv, f.position.view(), f.keep.view());
    TRY(f.shown.resize_zeroed(e.count()));
    for (u32 i = 0; i < e.count(); i++) {
        if (!f.keep[i])
            continue;
        TRY(f.convert_ctx(i));
        TRY(f.move_targets(i));
        bool wide = f.run[i].code == (BPF_LD | BPF_IMM | BPF_DW);
        f.shown[i] = f.run[i];
        TRY(f.convert_kfunc(i));
        f.convert_probe(i);
        f.convert_arena(i);
        if (wide) {
            f.shown[i + 1] = f.run[i + 1];
            TRY(f.convert_map(i));
            i++;
        }
    }
    TRY(f.emit());
    return f.emit_info();
}

}  // namespace modbpf
