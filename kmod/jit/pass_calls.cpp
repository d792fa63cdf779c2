// SPDX-License-Identifier: GPL-2.0-only
// maps, hashes, helpers, direct, tails: what stands in the program for calls of helpers.
//
// maps: a look-up in an ARRAY or PERCPU_ARRAY that is known becomes the index check and the address as operations; with an index that was just
//     stored, the address alone. The branch on NULL behind it belongs to the check.
// hashes: one in a hash table, per CPU or not, with keys of 4, 8 or 16 bytes becomes one operation that walks the chain (lower_hash.cpp).
// helpers: this CPU's number, the current task and its ids become loads of per-CPU memory, where the machine says where that is.
// direct: other operations on a known map call the type's function, not the helper that looks it up.
// tails: a tail call through a known array, out of the function that was entered, reads the slot itself (lower.cpp). Out of other functions
//     it stays the helper's, which asks whether the stack holds one more program.
//
// A call may destroy r0-r5, and so may what stands for it. Maps that are known (code::maps) are the same on every path, and the program holds
// them. Programs that may not leak have none: their look-ups clamp the index. This CPU's number is read where nothing migrates: not in
// programs that sleep, whose calls are made in sections of their own.
//
// Inside a block is known which registers are the frame pointer moved by a constant, and which constants were stored to the frame since the
// last write that may have hit them.
#include "helpers/helper.h"
#include "jit/liveness.h"
#include "jit/passes.h"
#include "maps/lookup.h"

namespace modbpf {

namespace {

/// What a block knows of the frame.
struct frame_facts {
    static constexpr u32 max_stores = 8;
    struct stored {
        s32 off;
        u8 width;
        s64 value;
    };
    u16 frame = reg_bit(BPF_REG_10), constants = 0; ///< registers of which `value` is known: distance from r10, or number
    s64 value[jit_reg_count] = {};
    stored stores[max_stores];
    u32 count = 0;

    void forget() { frame = reg_bit(BPF_REG_10), constants = 0, count = 0, value[BPF_REG_10] = 0; }
    bool in_frame(u8 r) const { return frame & reg_bit(r); }
    void set(u8 r, u16 &kind, s64 v) {
        drop(reg_bit(r));
        kind |= reg_bit(r);
        value[r] = v;
    }
    void drop(u16 regs) { frame &= static_cast<u16>(~regs), constants &= static_cast<u16>(~regs); }
    /// The number that was stored as the `width` bytes at `off`, or null.
    const s64 *constant_at(s64 off, u8 width) const {
        for (u32 i = 0; i < count; i++)
            if (stores[i].off == off && stores[i].width == width)
                return &stores[i].value;
        return nullptr;
    }

    void store(const jit_op &d) {
        if (!in_frame(d.dst)) {
            count = 0; // it may point into the frame
            return;
        }
        s64 off = value[d.dst] + d.off;
        u32 left = 0;
        for (u32 i = 0; i < count; i++)
            if (stores[i].off + stores[i].width <= off || off + d.width <= stores[i].off)
                stores[left++] = stores[i];
        count = left;
        bool known = !d.reg || (constants & reg_bit(d.src));
        if (known && count < max_stores && off == static_cast<s32>(off))
            stores[count++] = {static_cast<s32>(off), d.width, d.reg ? value[d.src] : d.imm};
    }
    void move(const jit_op &d) {
        if (d.reg && !d.sx_bytes && d.width == 8 && in_frame(d.src))
            return set(d.dst, frame, value[d.src]);
        if (d.reg && !d.sx_bytes && (constants & reg_bit(d.src)))
            return set(d.dst, constants, d.width == 8 ? value[d.src] : static_cast<s64>(static_cast<u32>(value[d.src])));
        if (!d.reg)
            return set(d.dst, constants, d.width == 8 ? d.imm : static_cast<s64>(static_cast<u32>(d.imm)));
        drop(reg_bit(d.dst));
    }
    /// What `d` changes.
    void pass(const jit_op &d) {
        if (d.dead)
            return;
        if (d.is(insn_kind::mov))
            return move(d);
        if (d.is(insn_kind::store))
            return store(d);
        if (d.is_alu(BPF_ADD) && !d.reg && d.width == 8 && in_frame(d.dst) && d.dst != BPF_REG_10) {
            value[d.dst] += d.imm;
            return;
        }
        if (!d.is_pure() && !d.jumps)
            count = 0;
        drop(d.defs);
    }
};

/// The branch on NULL behind a look-up, which belongs to it: where either outcome goes, as operations of the old list.
struct null_branch {
    bool there = false;
    u32 on_null = 0, on_value = 0;
};

class call_expander {
public:
    call_expander(jit_facts &facts, const jit_context &ctx) : facts_(facts), ctx_(ctx) {}

    bool wanted() const {
        for (const jit_op &d : facts_.ops)
            if (d.is(insn_kind::call_helper) && (is_machine_helper(d) || map_of(d)))
                return true;
        return false;
    }
    status run() {
        TRY(out_.reserve(facts_.ops.size() + facts_.ops.size() / 2));
        TRY(position_.resize(facts_.ops.size() + 1));
        for (jit_frame &f : facts_.frames)
            TRY(copy(f));
        position_[facts_.ops.size()] = static_cast<u32>(out_.size());
        for (u32 i : late_)
            out_[i].target = position_[static_cast<u32>(out_[i].target)];
        for (u32 &at : facts_.op_of)
            at = position_[at];
        facts_.ops = move(out_);
        TRY(facts_.targets.resize(facts_.ops.size()));
        for (jit_frame &f : facts_.frames) {
            scratch_vec<u16> after;
            TRY(kill_unread(facts_, f, after)); // what the arguments were made from
            summarise(facts_, f);
        }
        return {};
    }

private:
    bool on(jit_pass p) const { return ctx_.passes & pass_bit(p); }
    bool here_for_good() const { return ctx_.env.per_cpu.known && !ctx_.c.sleepable; }
    /// The map of a call, when it is known.
    map *map_of(const jit_op &d) const {
        const vec<code_map> &all = ctx_.c.maps;
        size_t low = 0, high = all.size();
        while (low < high) {
            size_t mid = (low + high) / 2;
            if (all[mid].insn < d.origin)
                low = mid + 1;
            else
                high = mid;
        }
        return low < all.size() && all[low].insn == d.origin ? all[low].m : nullptr;
    }
    bool is_machine_helper(const jit_op &d) const {
        if (!on(jit_pass::helpers) || !ctx_.env.per_cpu.known)
            return false;
        switch (d.imm) {
            case BPF_FUNC_get_smp_processor_id:
                return here_for_good();
            case BPF_FUNC_get_current_task:
            case BPF_FUNC_get_current_task_btf:
            case BPF_FUNC_get_current_pid_tgid:
                return true;
            default:
                return false;
        }
    }

    /// A jump to an operation of the old list.
    status push_jump(jit_op d, u32 target) {
        d.target = target;
        TRY(late_.push(static_cast<u32>(out_.size())));
        return out_.push(d);
    }
    status push(const jit_op &d) { return out_.push(d); }

    status copy(jit_frame &f) {
        auto first = static_cast<u32>(out_.size());
        known_.forget();
        for (u32 i = f.first; i < f.last;) {
            if (facts_.targets[i])
                known_.forget();
            position_[i] = static_cast<u32>(out_.size());
            const jit_op &d = facts_.ops[i];
            u32 end = TRY(expand(f, i));
            if (end == i) {
                known_.pass(d);
                TRY(d.jumps ? push_jump(d, static_cast<u32>(d.target)) : push(d));
                end++;
            }
            for (i++; i < end; i++)
                position_[i] = static_cast<u32>(out_.size());
        }
        f.first = first, f.last = static_cast<u32>(out_.size());
        return {};
    }

    /// -> the operation behind those that were replaced; `i` when none was.
    result<u32> expand(const jit_frame &f, u32 i) {
        const jit_op &d = facts_.ops[i];
        if (!d.is(insn_kind::call_helper))
            return i;
        u32 end = i;
        if (is_machine_helper(d)) {
            TRY(read_machine(d));
            end++;
        } else if (map *m = map_of(d)) {
            if (d.imm == BPF_FUNC_map_lookup_elem && m->ops->describe)
                end = TRY(look_up(f, i, m->ops->describe(m)));
            else if (d.imm == BPF_FUNC_tail_call && on(jit_pass::tails) && &f == &facts_.frames[0])
                end = TRY(tail_call(i, m->ops->describe(m)));
            if (end == i)
                return TRY(direct_call(d, m)) ? i + 1 : i;
        }
        if (end != i)
            known_.drop(caller_saved_regs);
        return end;
    }

    status read_machine(const jit_op &d) {
        const auto &cpu = ctx_.env.per_cpu;
        if (d.imm == BPF_FUNC_get_smp_processor_id)
            return push(make_per_cpu(d, 4, BPF_REG_0, cpu.cpu));
        TRY(push(make_per_cpu(d, 8, BPF_REG_0, cpu.current_task)));
        if (d.imm != BPF_FUNC_get_current_pid_tgid)
            return {};
        TRY(push(make_load(d, 4, BPF_REG_1, BPF_REG_0, cpu.pid)));
        TRY(push(make_load(d, 4, BPF_REG_0, BPF_REG_0, cpu.tgid)));
        TRY(push(make_alu_imm(d, BPF_LSH, 8, BPF_REG_0, 32)));
        return push(make_alu(d, BPF_OR, 8, BPF_REG_0, BPF_REG_1));
    }

    result<u32> look_up(const jit_frame &f, u32 i, const map_lookup &how) {
        switch (how.kind) {
            case lookup_kind::percpu_array:
                if (!here_for_good())
                    return i;
                [[fallthrough]];
            case lookup_kind::array:
                return on(jit_pass::maps) && x86::fits_s32(static_cast<s64>(how.elem_size)) ? index_array(f, i, how) : result<u32>(i);
            case lookup_kind::percpu_hash:
                if (!here_for_good())
                    return i;
                [[fallthrough]];
            case lookup_kind::hash: {
                if (!on(jit_pass::hashes) || !x86::fits_s32(static_cast<s64>(how.elem_size)) || !x86::fits_s32(static_cast<s64>(how.cpu_stride)))
                    return i;
                jit_op d = facts_.ops[i];
                d.form = jit_form::hash;
                d.imm = static_cast<s64>(facts_.lookups.size());
                d.uses = reg_bit(BPF_REG_2);
                TRY(facts_.lookups.push(how));
                TRY(push(d));
                return i + 1;
            }
            default:
                return i;
        }
    }

    /// A number beyond the slots is the helper's.
    result<u32> tail_call(u32 i, map_lookup programs) {
        jit_op d = facts_.ops[i];
        bool constant = known_.constants & reg_bit(BPF_REG_3);
        auto index = static_cast<u32>(known_.value[BPF_REG_3]);
        if (programs.kind != lookup_kind::programs || (constant && index >= programs.max_entries))
            return i;
        if (constant)
            programs.base += index * programs.elem_size;
        d.form = jit_form::tail;
        d.reg = !constant;
        d.imm = static_cast<s64>(facts_.lookups.size());
        d.uses = static_cast<u16>(reg_bit(BPF_REG_1) | (constant ? 0 : reg_bit(BPF_REG_3)));
        TRY(facts_.lookups.push(programs));
        TRY(push(d));
        return i + 1;
    }

    null_branch branch_behind(const jit_frame &f, u32 i) const {
        if (i + 1 >= f.last || facts_.targets[i + 1])
            return {};
        const jit_op &b = facts_.ops[i + 1];
        bool tests = b.is(insn_kind::branch) && !b.reg && !b.imm && b.dst == BPF_REG_0 && b.width == 8 && (b.op == BPF_JEQ || b.op == BPF_JNE);
        if (!tests)
            return {};
        auto taken = static_cast<u32>(b.target);
        return b.op == BPF_JEQ ? null_branch{true, taken, i + 2} : null_branch{true, i + 2, taken};
    }

    result<u32> index_array(const jit_frame &f, u32 i, const map_lookup &how) {
        const jit_op &d = facts_.ops[i];
        null_branch b = branch_behind(f, i);
        u32 end = b.there ? i + 2 : i + 1;
        bool in_frame = known_.in_frame(BPF_REG_2);
        s64 key = in_frame ? known_.value[BPF_REG_2] : 0;
        bool direct = in_frame && key == static_cast<s16>(key);
        const s64 *index = in_frame ? known_.constant_at(key, 4) : nullptr;
        if (index && static_cast<u32>(*index) >= how.max_entries) {
            TRY(push(make_move_imm(d, 8, BPF_REG_0, 0)));
            if (b.there && b.on_null != end)
                TRY(push_jump(make_jump(d), b.on_null));
            return end;
        }
        if (index) {
            TRY(push_address(d, how, static_cast<u32>(*index) * how.elem_size));
        } else {
            TRY(push(make_load(d, 4, BPF_REG_1, direct ? BPF_REG_10 : BPF_REG_2, static_cast<s32>(direct ? key : 0))));
            TRY(push(make_move_imm(d, 8, BPF_REG_0, 0)));
            TRY(push_jump(make_branch(d, BPF_JGE, 4, BPF_REG_1, static_cast<s32>(how.max_entries)), b.there ? b.on_null : end));
            facts_.checks_index = true;
            u64 size = how.elem_size;
            bool scales = size == 1 || size == 2 || size == 4 || size == 8;
            if (!scales)
                TRY(push(scale(d, size)));
            TRY(push_address(d, how, 0));
            TRY(push(make_scaled(d, BPF_REG_0, BPF_REG_1, scales ? static_cast<u8>(__builtin_ctzll(size)) : u8{})));
        }
        if (b.there && b.on_value != end)
            TRY(push_jump(make_jump(d), b.on_value));
        return end;
    }
    /// r1 *= size
    static jit_op scale(const jit_op &d, u64 size) {
        if (size & (size - 1))
            return make_alu_imm(d, BPF_MUL, 8, BPF_REG_1, static_cast<s64>(size));
        return make_alu_imm(d, BPF_LSH, 8, BPF_REG_1, __builtin_ctzll(size));
    }
    /// r0 = the address of the first element, this CPU's, moved by `off`; r1 stays.
    status push_address(const jit_op &d, const map_lookup &how, u64 off) {
        if (how.kind == lookup_kind::array)
            return push(make_imm64(d, BPF_REG_0, how.base + off));
        if (how.this_cpu) {
            TRY(push(make_imm64(d, BPF_REG_0, how.this_cpu + off)));
            return push(make_add_per_cpu(d, BPF_REG_0, ctx_.env.per_cpu.offset));
        }
        TRY(push(make_per_cpu(d, 4, BPF_REG_0, ctx_.env.per_cpu.cpu)));
        TRY(push(make_imm64(d, BPF_REG_2, how.base)));
        TRY(push(make_scaled(d, BPF_REG_2, BPF_REG_0, 3)));
        TRY(push(make_load(d, 8, BPF_REG_0, BPF_REG_2, 0)));
        return off ? push_add(d, off) : status();
    }
    status push_add(const jit_op &d, u64 off) {
        if (x86::fits_s32(static_cast<s64>(off)))
            return push(make_alu_imm(d, BPF_ADD, 8, BPF_REG_0, static_cast<s64>(off)));
        TRY(push(make_imm64(d, BPF_REG_2, off)));
        return push(make_alu(d, BPF_ADD, 8, BPF_REG_0, BPF_REG_2));
    }

    /// The type's function with the arguments that the helper has. -> whether there is one
    result<bool> direct_call(const jit_op &call, const map *m) {
        if (!on(jit_pass::direct) || ctx_.c.sleepable)
            return false;
        const map_ops &ops = *m->ops;
        const struct {
            u32 id;
            u64 fn;
            u16 args;
        } rows[] = {
            {BPF_FUNC_map_lookup_elem, addr_of_function(ops.lookup), 0x06}, {BPF_FUNC_map_update_elem, addr_of_function(ops.update), 0x1e},
            {BPF_FUNC_map_delete_elem, addr_of_function(ops.remove), 0x06}, {BPF_FUNC_map_push_elem, addr_of_function(ops.push), 0x0e},
            {BPF_FUNC_map_pop_elem, addr_of_function(ops.pop), 0x06},       {BPF_FUNC_map_peek_elem, addr_of_function(ops.peek), 0x06},
        };
        for (const auto &r : rows) {
            if (r.id != call.imm || !r.fn)
                continue;
            jit_op d = call;
            d.form = jit_form::direct;
            d.imm = static_cast<s64>(r.fn);
            d.uses = r.args;
            known_.pass(d);
            TRY(push(d));
            return true;
        }
        return false;
    }
    template <class F> static u64 addr_of_function(F fn) { return reinterpret_cast<u64>(fn); }

    jit_facts &facts_;
    const jit_context &ctx_;
    frame_facts known_;
    scratch_vec<jit_op> out_;
    scratch_vec<u32> position_, late_; ///< by old operation: where it or what stands for it begins; new operations whose target is an old one
};

} // namespace

status pass_calls(jit_facts &facts, const jit_context &ctx) {
    call_expander x(facts, ctx);
    return x.wanted() ? x.run() : status();
}

} // namespace modbpf
