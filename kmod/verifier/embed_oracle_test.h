// SPDX-License-Identifier: GPL-2.0-only
// For tests: does a concrete run lie in what the verifier explored? (LADDER V3, V6, memory bounds, X1.)
//
// An accepted program is explored again without pruning, and each state at each instruction is kept. It is then interpreted on
// random inputs. At each step some kept state with the same call chain must contain the registers, the stack slots and the links
// between them; the memory that a load or store touches must belong to the program; the step must be the one that the program
// as loaded takes next, so that what was dropped or straightened is what could not run. The JIT must give the same result and memory.
//
// A loop that no counter bounds (may_goto, iterators) is not followed to its end: a turn is left out whose state a turn before includes,
// registers that nobody reads apart. So with such loops only registers that are live are looked at.
#pragma once

#include "helpers/packet.h"
#include "interp/alu.h"
#include "interp/interp.h"
#include "isa/disasm.h"
#include "isa/opcode.h"
#include "jit/jit.h"
#include "verifier/embed_program_test.h"
#include "verifier/state.h"

#include <csetjmp>
#include <map>
#include <memory>

namespace modbpf::test {

struct embed_maps {
    static constexpr u32 ring_size = 4096;
    map *array = nullptr, *small = nullptr, *ring = nullptr;
    u8 *ring_base = nullptr; ///< its region: a page of the kernel's, the consumer's, the producer's, the data
    embed_maps() {
        auto make_array = [](u32 value) {
            map_params p{.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = value, .max_entries = 1};
            auto r = find_map_ops(BPF_MAP_TYPE_ARRAY)->create(p);
            if (!r)
                abort();
            (*r)->user_get();
            return *r;
        };
        array = make_array(embed_value_size);
        small = make_array(16);
        auto r = find_map_ops(BPF_MAP_TYPE_RINGBUF)->create({.type = BPF_MAP_TYPE_RINGBUF, .max_entries = ring_size});
        if (!r)
            abort();
        ring = *r;
        ring->user_get();
        // A record's header says how many pages behind the region's start it is.
        auto *record = static_cast<u8 *>(ringbuf_reserve(ring, 8));
        u32 pages;
        memcpy(&pages, record - 4, sizeof(pages));
        ring_base = record - 8 - addr_of(record - 8) % PORT_PAGE_SIZE - u64{pages} * PORT_PAGE_SIZE;
        reset_ring();
    }
    /// As new: what a run leaves, or leaves unfinished, does not show in the next one.
    void reset_ring() {
        memset(ring_base + PORT_PAGE_SIZE, 0, 2 * PORT_PAGE_SIZE + ring_size);
    }
    ~embed_maps() {
        for (map *m : {array, small, ring}) {
            m->user_put();
            m->put();
        }
        map_free_barrier();
    }
    static embed_maps &get() {
        static embed_maps m;
        return m;
    }
    static result<ref<map>> from_fd(int fd) {
        if (fd == embed_array_fd)
            return ref<map>(get().array);
        if (fd == embed_small_fd)
            return ref<map>(get().small);
        if (fd == embed_ring_fd)
            return ref<map>(get().ring);
        return error(EBADF);
    }
    static u8 *value(map *m) { return ptr_of<u8>(m->ops->value_address(m, 0).value()); }
};

struct embed_input {
    u64 args[12];
    u8 array[embed_value_size];
    u8 small[16];
    u8 packet[64];
    u32 packet_len;
};

class embed_oracle {
public:
    embed_oracle(const prog &p, bool packet) : p_(p), packet_(packet), states_(p.size()), hint_(p.size()) { find_live(); }

    int verdict(u32 flags = 0, bool no_pruning = false, bool other = false, const verify_observer *o = nullptr,
                own<verified_program> *out = nullptr) {
        return verdict_of(p_, flags, no_pruning, other, o, out);
    }
    int verdict_of(const prog &p, u32 flags, bool no_pruning, bool other, const verify_observer *o = nullptr,
                   own<verified_program> *out = nullptr, std::string *text = nullptr) {
        std::vector<char> buf(text ? 1 << 20 : 1);
        verifier_log log;
        (void)log.init(text ? BPF_LOG_LEVEL2 : 0u, text ? addr_of(buf.data()) : 0, text ? 1u << 20 : 0).ok();
        verify_request req{};
        req.insns = {p.data(), p.size()};
        req.type = find_prog_type(packet_ ? BPF_PROG_TYPE_SCHED_CLS : BPF_PROG_TYPE_RAW_TRACEPOINT);
        req.prog_flags = flags;
        req.gpl_compatible = true;
        req.perfmon = !guarded_;
        req.kernel = &*embed_types::get().types;
        req.map_from_fd = embed_maps::from_fd;
        req.no_pruning = no_pruning;
        req.other_arm_first = other;
        req.observer = o;
        auto r = verify(req, log);
        u32 size = 0;
        (void)log.finalize(&size).ok();
        if (text)
            *text = buf.data();
        if (!r.ok())
            return r.err().code();
        if (out)
            *out = move(r).value();
        return 0;
    }

    /// Explores every path. False: too many states.
    bool collect() {
        verify_observer o{this, [](void *self, u32 insn, const verifier_state &st) { return static_cast<embed_oracle *>(self)->keep(insn, st); },
                          [](void *self, span<const u32> pos, span<const u8> kept) { static_cast<embed_oracle *>(self)->moved(pos, kept); }};
        err_ = verdict(0, true, false, &o, &full_);
        return err_ != EAGAIN;
    }
    int full_verdict() const { return err_; }
    /// As a loader without CAP_PERFMON has it: with guards against what a CPU runs on a mispredicted path. EAGAIN: too many steps. Loops
    /// have no bound on mispredicted paths: one program of thirty is refused only where exploration ends, which takes a thousand others' time.
    int guarded_verdict(own<verified_program> *out) {
        guarded_ = true;
        guarded_steps_ = 0;
        verify_observer o{this, [](void *self, u32, const verifier_state &) { return ++static_cast<embed_oracle *>(self)->guarded_steps_ < 8000; },
                          [](void *, span<const u32>, span<const u8>) {}};
        int err = verdict(0, false, false, &o, out);
        guarded_ = false;
        return err;
    }
    /// Guards change nothing of what a program computes: compares with the last run.
    std::string run_guarded(const code &image) {
        if (reads_unwritten_ || cut_)
            return "";
        interp_env env{.frames = frames_, .frame_count = max_call_frames};
        load_input();
        u64 r = interpret(image, ctx(), env);
        return r == result_ && same_memory() ? "" : "the program with guards gives " + std::to_string(r) + ", without " + std::to_string(result_);
    }

    /// "" when the run of the image that pruned exploration gave is covered. Also remembers a random step for V5.
    std::string run(const embed_input &in, u64 seed) {
        own<verified_program> pruned;
        verify_observer o{this, [](void *, u32, const verifier_state &) { return true; },
                          [](void *self, span<const u32> pos, span<const u8> kept) { static_cast<embed_oracle *>(self)->moved(pos, kept); }};
        if (verdict(0, false, false, &o, &pruned))
            return "verdict changed between runs";
        return run_image(pruned->image, in, seed);
    }
    std::string run_image(const code &image, const embed_input &in, u64 seed) {
        in_ = in;
        seed_ = seed;
        fail_.clear();
        expected_ = -1;
        steps_ = 0;
        reads_unwritten_ = cut_ = false;
        records_.clear(), reserved_size_ = 0;
        memset(written_[0], 0, max_bpf_stack);
        load_input();
        interp_trace trace{[](void *self, u32 pc, const u64 *regs, u32 frame, const u8 *) { static_cast<embed_oracle *>(self)->step(pc, regs, frame); },
                           this};
        interp_env env{.frames = frames_, .frame_count = max_call_frames, .trace = &trace};
        memset(static_cast<void *>(frames_), 0xa5, sizeof(frames_));
        image_ = &image;
        if (setjmp(escape_))
            return fail_;
        result_ = interpret(image, ctx(), env);
        memcpy(after_.array, embed_maps::value(embed_maps::get().array), sizeof(after_.array));
        memcpy(after_.small, embed_maps::value(embed_maps::get().small), sizeof(after_.small));
        memcpy(after_.packet, packet_bytes(), sizeof(after_.packet));
        return "";
    }
    /// The same image by the JIT, on the input of the last run. Not compared: what read uninitialised stack, or depends on
    /// where the stack is, found by interpreting with other stacks.
    std::string run_native(const code &image, jit_image &native) {
        if (reads_unwritten_ || cut_)
            return "";
        std::vector<u64> room(sizeof(frames_) / 8 + 512);
        for (u32 shift : {1u, 2u, 259u, 510u}) {
            memset(room.data(), static_cast<int>(shift), room.size() * 8);
            interp_env env{.frames = reinterpret_cast<interp_frame *>(room.data() + shift), .frame_count = max_call_frames};
            load_input();
            if (interpret(image, ctx(), env) != result_ || !same_memory())
                return "";
        }
        load_input();
        u64 r = native.entry()(ctx());
        char text[128];
        snprintf(text, sizeof(text), "JIT gives %llx, interpreter %llx", static_cast<unsigned long long>(r),
                 static_cast<unsigned long long>(result_));
        if (r != result_)
            return text;
        return same_memory() ? "" : "JIT leaves other memory than the interpreter";
    }

    /// V5: the program refused to go where the last run went: it must be refused. At the remembered step, if all numbers are
    /// what they were, memory out of bounds is written.
    prog embedded() const {
        std::vector<bpf_insn> extra;
        u32 n = 0;
        for (u8 r = 0; r < 10; r++)
            n += seen_numbers_ >> r & 1;
        for (u8 r = 0; r < 10; r++)
            if (seen_numbers_ >> r & 1)
                extra.push_back(jmp32(BPF_JNE, r, static_cast<s32>(seen_regs_[r]), static_cast<s16>(n--)));
        extra.push_back(st(BPF_DW, r10, 0, 0));
        prog out = p_;
        auto at = static_cast<s64>(seen_insn_), len = static_cast<s64>(extra.size());
        auto moved_to = [&](s64 x, bool target) { return x + (target ? x > at : x >= at ? 1 : 0) * len; };
        for (u32 i = 0; i < p_.size();) {
            insn_desc d = decode({p_.data(), p_.size()}, i);
            s64 off = d.jumps || d.kind == insn_kind::call_sub ? moved_to(d.target, true) - moved_to(i, false) - 1 : 0;
            if (d.kind == insn_kind::call_sub || d.code == (BPF_JMP32 | BPF_JA))
                out[i].imm = static_cast<s32>(off);
            else if (d.jumps)
                out[i].off = static_cast<s16>(off);
            i += d.words;
        }
        out.insert(out.begin() + at, extra.begin(), extra.end());
        return out;
    }
    u32 steps() const { return steps_; }
    /// It has loops that no counter bounds.
    bool open() const { return open_; }
    size_t state_count() const { return state_count_; }

private:
    bool same_memory() const {
        return !memcmp(after_.array, embed_maps::value(embed_maps::get().array), sizeof(after_.array)) &&
               !memcmp(after_.small, embed_maps::value(embed_maps::get().small), sizeof(after_.small)) &&
               !memcmp(after_.packet, packet_room_ + 16, sizeof(after_.packet));
    }
    bool keep(u32 insn, const verifier_state &st) {
        auto copy = std::make_unique<verifier_state>();
        if (!copy->copy_from(st).ok())
            return false;
        states_[insn].push_back(std::move(copy));
        return ++state_count_ < 4000;
    }
    void moved(span<const u32> pos, span<const u8> kept) {
        kept_.assign(kept.data(), kept.data() + kept.size());
        origin_.clear();
        for (u32 i = 0; i < p_.size(); i++)
            if (kept[i]) {
                origin_.resize(pos[i] + 1);
                origin_[pos[i]] = i;
            }
    }
    void *ctx() { return packet_ ? static_cast<void *>(&run_) : static_cast<void *>(in_args_); }
    u8 *packet_bytes() { return packet_room_ + 16; }
    void load_input() {
        embed_maps::get().reset_ring();
        memcpy(embed_maps::value(embed_maps::get().array), in_.array, sizeof(in_.array));
        memcpy(embed_maps::value(embed_maps::get().small), in_.small, sizeof(in_.small));
        memcpy(in_args_, in_.args, sizeof(in_args_));
        memset(packet_room_, 0x5a, sizeof(packet_room_));
        memcpy(packet_bytes(), in_.packet, sizeof(in_.packet));
        memset(static_cast<void *>(&run_), 0, sizeof(run_));
        run_.data = addr_of(packet_bytes());
        run_.data_end = run_.data + in_.packet_len;
        run_.data_meta = run_.data;
        memcpy(run_.user + 48, in_.args, 20);
    }
    /// Leaves the interpreter. No object with a destructor may be alive in the frames that are jumped over.
    [[noreturn]] void fail(u32 insn, const char *why, const u64 *regs = nullptr, s64 other = -1) {
        describe(insn, why, regs, other);
        longjmp(escape_, 1);
    }
    void describe(u32 insn, const char *why, const u64 *regs, s64 other) {
        fail_ = "insn " + std::to_string(insn) + ": " + why;
        if (other >= 0)
            fail_ += " " + std::to_string(other);
        if (regs)
            fail_ += registers(regs);
    }
    static bool in(u64 addr, u64 size, u64 base, u64 room) { return addr >= base && addr - base <= room && size <= room - (addr - base); }

    // ---- one step -------------------------------------------------------------------------------------------------------

    void step(u32 pc, const u64 *regs, u32 frame) {
        u32 at = origin_[pc];
        if (++steps_ > 200000)
            fail(at, "does not end");
        if (open_ && steps_ > 5000) { // may_goto goes on for millions of turns
            cut_ = true;
            longjmp(escape_, 1);
        }
        follow(at, regs);
        if (reserved_size_ && regs[0])
            records_[regs[0]] = reserved_size_;
        reserved_size_ = 0;
        insn_desc ran = decode(image_->insns.view(), pc);
        if (ran.kind == insn_kind::load || ran.kind == insn_kind::store || ran.kind == insn_kind::atomic) {
            u64 addr = regs[ran.kind == insn_kind::load ? ran.src : ran.dst] + static_cast<u64>(static_cast<s64>(ran.off));
            if (!owned(addr, ran.width, frame))
                fail(at, "touches memory that is not the program's");
            if (ran.kind != insn_kind::store)
                stack_bytes(addr, ran.width, false);
            if (ran.kind != insn_kind::load)
                stack_bytes(addr, ran.width, true);
        }
        if (ran.kind == insn_kind::call_helper && ran.imm == BPF_FUNC_probe_read_kernel)
            stack_bytes(regs[1], regs[2], true);
        if (ran.kind == insn_kind::call_helper && ran.imm == BPF_FUNC_map_lookup_elem)
            stack_bytes(regs[2], 4, false);
        if (ran.kind == insn_kind::call_helper && ran.imm == BPF_FUNC_ringbuf_reserve)
            reserved_size_ = regs[2];
        if (ran.kind == insn_kind::call_kfunc)
            stack_bytes(regs[1], 8, true);
        if (ran.kind == insn_kind::call_sub)
            memset(written_[frame + 1], 0, max_bpf_stack);
        const verifier_state *st = find(at, regs, frame);
        if (!st)
            fail(at, "no state holds the values:", regs);
        if (ran.kind == insn_kind::call_helper && (ran.imm == BPF_FUNC_ringbuf_submit || ran.imm == BPF_FUNC_ringbuf_discard) && !records_.erase(regs[1]))
            fail(at, "gives back what is no record");
        if (ran.kind == insn_kind::exit && !frame && !records_.empty())
            fail(at, "leaves with a record");
        if (frame == 0 || rng(2))
            if (rng(steps_) == 0 && rng(2))
                remember(at, regs, *st);
        insn_desc d = decode({p_.data(), p_.size()}, at);
        expected_ = at + d.words;
        if (d.kind == insn_kind::jump || (d.kind == insn_kind::branch && branch_taken(d.op, d.width, regs[d.dst], d.reg ? regs[d.src] : static_cast<u64>(d.imm))))
            expected_ = d.target;
        if (d.kind == insn_kind::call_sub) {
            callsites_[frame + 1] = at;
            expected_ = d.target;
        }
        if (d.kind == insn_kind::exit)
            expected_ = frame ? callsites_[frame] + 1 : -1;
    }
    /// Through what is not in the image, with today's registers.
    void follow(u32 at, const u64 *regs) {
        if (steps_ == 1)
            expected_ = 0;
        for (u32 n = 0; expected_ >= 0 && n < p_.size() && !kept_[static_cast<u32>(expected_)]; n++) {
            insn_desc d = decode({p_.data(), p_.size()}, static_cast<u32>(expected_));
            if (d.kind == insn_kind::jump ||
                (d.kind == insn_kind::branch && branch_taken(d.op, d.width, regs[d.dst], d.reg ? regs[d.src] : static_cast<u64>(d.imm))))
                expected_ = d.target;
            else if (d.kind == insn_kind::branch || d.kind == insn_kind::may_goto) // whose turns are not used up
                expected_++;
            else
                fail(at, "runs dead code at insn", nullptr, expected_);
        }
        if (expected_ != static_cast<s64>(at))
            fail(at, "reached instead of insn", nullptr, expected_);
    }
    bool owned(u64 addr, u64 size, u32 frame) {
        for (auto [record, room] : records_)
            if (in(addr, size, record, room))
                return true;
        embed_maps &m = embed_maps::get();
        if (in(addr, size, addr_of(embed_maps::value(m.array)), embed_value_size) || in(addr, size, addr_of(embed_maps::value(m.small)), 16))
            return true;
        for (u32 f = 0; f <= frame; f++)
            if (in(addr, size, addr_of(frames_[f].stack), max_bpf_stack))
                return true;
        if (packet_)
            return in(addr, size, run_.data, in_.packet_len) || in(addr, size, addr_of(&run_), sizeof(run_));
        return in(addr, size, addr_of(in_args_), sizeof(in_args_));
    }
    /// Notes what is written to stacks, and whether something else is read.
    void stack_bytes(u64 addr, u64 size, bool write) {
        for (u32 f = 0; f < max_call_frames; f++) {
            if (!in(addr, size, addr_of(frames_[f].stack), max_bpf_stack))
                continue;
            u8 *w = written_[f] + (addr - addr_of(frames_[f].stack));
            if (write)
                memset(w, 1, size);
            else
                reads_unwritten_ |= memchr(w, 0, size) != nullptr;
        }
    }
    void remember(u32 at, const u64 *regs, const verifier_state &st) {
        seen_insn_ = at;
        seen_numbers_ = 0;
        for (u32 r = 0; r < 10; r++) {
            seen_regs_[r] = regs[r];
            if (st.cur().regs[r].is_scalar())
                seen_numbers_ |= static_cast<u16>(1u << r);
        }
    }
    u32 rng(u32 n) {
        seed_ = seed_ * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<u32>(seed_ >> 33) % n;
    }

    // ---- live registers ---------------------------------------------------------------------------------------------------

    u16 used(const insn_desc &d) const {
        switch (d.kind) {
        case insn_kind::call_helper: {
            const helper_proto *fn = find_helper(static_cast<u32>(d.imm), BPF_PROG_TYPE_SCHED_CLS, 0);
            u16 n = 0;
            while (fn && n < 5 && fn->args[n] != arg_type::none)
                n++;
            return static_cast<u16>((2u << n) - 2);
        }
        case insn_kind::call_kfunc: return reg_bit(BPF_REG_1) | (static_cast<u32>(d.imm) == embed_types::get().iter_new ? 0xc : 0);
        case insn_kind::call_sub: return live_[static_cast<u32>(d.target)] & 0x3e;
        case insn_kind::exit: return 0; // of a function: what its result is made of does not count
        default: return d.uses;
        }
    }
    void find_live() {
        live_.assign(p_.size(), 0);
        for (bool again = true; again;) {
            again = false;
            for (u32 i = 0; i < p_.size();) {
                insn_desc d = decode({p_.data(), p_.size()}, i);
                open_ |= d.kind == insn_kind::may_goto || d.kind == insn_kind::call_kfunc;
                u16 after = 0;
                if (d.falls_through && i + d.words < p_.size())
                    after |= live_[i + d.words];
                if (d.jumps)
                    after |= live_[static_cast<u32>(d.target)];
                bool call = d.kind == insn_kind::call_helper || d.kind == insn_kind::call_kfunc || d.kind == insn_kind::call_sub;
                u16 before = static_cast<u16>((after & ~(call ? caller_saved_regs : d.defs)) | used(d));
                again |= before != live_[i];
                live_[i] = before;
                i += d.words;
            }
        }
    }

    // ---- containment ----------------------------------------------------------------------------------------------------

    const verifier_state *find(u32 at, const u64 *regs, u32 frame) {
        auto &all = states_[at];
        size_t n = all.size(), from = hint_[at];
        for (size_t k = 0; k < n; k++) {
            size_t i = (from + k) % n;
            if (holds(*all[i], at, regs, frame)) {
                hint_[at] = i;
                return all[i].get();
            }
        }
        return nullptr;
    }
    bool holds(const verifier_state &st, u32 at, const u64 *regs, u32 frame) {
        if (st.curframe != frame)
            return false;
        for (u32 f = 1; f <= frame; f++)
            if (st.frame[f]->callsite != callsites_[f])
                return false;
        ids_.clear(), nulls_.clear();
        for (u32 f = 0; f <= frame; f++) {
            const func_state &fs = *st.frame[f];
            u16 live = !open_ ? 0x3ff : live_[f == frame ? at : callsites_[f + 1]];
            for (u32 r = f == frame ? 0 : 6; r < 10; r++)
                if ((live >> r & 1) && !reg_holds(fs.regs[r], f == frame ? regs[r] : frames_[f + 1].saved[r - 6], 8))
                    return false;
            for (u32 s = 0; s < fs.stack.size(); s++)
                if (!slot_holds(fs.stack[s], frames_[f].stack + max_bpf_stack - 8 * (s + 1)))
                    return false;
        }
        return true;
    }
    bool slot_holds(const stack_slot &s, const u8 *bytes) {
        u32 spilled = 0;
        for (u32 i = 0; i < 8; i++) { // byte i above the lowest
            slot_kind k = s.kind[7 - i];
            if (k == slot_kind::zero && bytes[i])
                return false;
            spilled += k == slot_kind::spill && spilled == i;
        }
        if (!spilled)
            return true;
        u64 v = 0;
        memcpy(&v, bytes, spilled);
        return reg_holds(s.spilled, v, spilled);
    }
    bool same(std::map<u32, u64> &known, u32 id, u64 v) {
        auto [it, fresh] = known.emplace(id, v);
        return fresh || it->second == v;
    }
    bool offset_holds(const reg_state &r, u64 v, u64 base) { return r.var.contains(v - base - static_cast<u64>(static_cast<s64>(r.off))); }
    bool reg_holds(const reg_state &r, u64 v, u32 bytes) {
        switch (r.type) {
        case reg_type::scalar:
            if (bytes < 8 && r.var.umax >> (bytes * 8))
                return scalar_zext_holds(r, v, bytes);
            if (!r.var.contains(v))
                return false;
            return !r.id || same(ids_, r.id & ~id_add_const, v - (r.id & id_add_const ? static_cast<u64>(static_cast<s64>(r.off)) : 0));
        case reg_type::ctx: return offset_holds(r, v, addr_of(ctx()));
        case reg_type::map_ptr: return v == addr_of(r.map_ptr);
        case reg_type::map_value_or_null:
            if (r.id && !same(nulls_, r.id, v == 0))
                return false;
            if (!v)
                return true;
            [[fallthrough]];
        case reg_type::map_value: return offset_holds(r, v, addr_of(embed_maps::value(r.map_ptr)));
        case reg_type::ringbuf_mem_or_null:
            if (r.id && !same(nulls_, r.id, v == 0))
                return false;
            if (!v)
                return true;
            [[fallthrough]];
        case reg_type::ringbuf_mem:
            for (auto [record, room] : records_)
                if (room == r.mem_size && offset_holds(r, v, record))
                    return true;
            return false;
        case reg_type::stack: return offset_holds(r, v, addr_of(frames_[r.frame].stack + max_bpf_stack));
        case reg_type::packet:
            if (r.range > 0 && v - static_cast<u64>(static_cast<s64>(r.off)) + static_cast<u64>(r.range) > run_.data_end)
                return false;
            if ((r.range == at_packet_end && v < run_.data_end) || (r.range == beyond_packet_end && v <= run_.data_end))
                return false;
            return r.id ? true : offset_holds(r, v, run_.data);
        case reg_type::packet_end: return v == run_.data_end;
        default: return true;
        }
    }
    /// Only part of the value was stored.
    static bool scalar_zext_holds(const reg_state &r, u64 v, u32 bytes) { return scalar_zext(r.var, bytes).contains(v); }
    static std::string registers(const u64 *regs) {
        std::string s;
        char text[32];
        for (u32 r = 0; r <= 10; r++) {
            snprintf(text, sizeof(text), " r%u=%llx", r, static_cast<unsigned long long>(regs[r]));
            s += text;
        }
        return s;
    }

    const prog &p_;
    bool packet_;
    int err_ = 0;
    own<verified_program> full_;
    std::vector<std::vector<std::unique_ptr<verifier_state>>> states_;
    std::vector<size_t> hint_;
    size_t state_count_ = 0;
    std::vector<u32> origin_;
    std::vector<u8> kept_;

    embed_input in_{}, after_{};
    const code *image_ = nullptr;
    u64 in_args_[12]{};
    packet_run run_{};
    u8 packet_room_[96]{};
    interp_frame frames_[max_call_frames];
    u32 callsites_[max_call_frames]{};
    u8 written_[max_call_frames][max_bpf_stack]{};
    bool reads_unwritten_ = false;
    s64 expected_ = -1;
    u32 steps_ = 0;
    u64 seed_ = 0, result_ = 0;
    std::string fail_;
    jmp_buf escape_;
    std::map<u32, u64> ids_, nulls_;
    std::map<u64, u64> records_; ///< reserved in the ring buffer, with their size
    u64 reserved_size_ = 0;      ///< of a reservation under way
    bool guarded_ = false;
    u32 guarded_steps_ = 0;
    bool open_ = false; ///< has loops that no counter bounds
    bool cut_ = false;  ///< the last run was not followed to its end
    std::vector<u16> live_; ///< registers that are read behind an instruction or there
    u32 seen_insn_ = 0;
    u16 seen_numbers_ = 0;
    u64 seen_regs_[10]{};
};

}  // namespace modbpf::test
