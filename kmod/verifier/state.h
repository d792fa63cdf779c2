// SPDX-License-Identifier: GPL-2.0-only
// The abstract machine state that path exploration moves through: registers, stack slots, call frames, held references.
//
// Terms
//  - A *pointer* register has a base (its type), a fixed offset `off` and a variable offset `var`; its address is base + off + var.
//  - A *scalar* register's value is in `var`. Scalars with the same id (without id_add_const) hold related values: equal, or,
//    for those with id_add_const, equal plus `off`. A link is a fact about concrete values, made by a move or a spill.
//  - An *or_null* register is NULL or a pointer; all with the same id are NULL or non-NULL together.
//  - A stack slot is 8 bytes at a frame-pointer offset of -8 * (index + 1); byte kinds tell what each byte holds.
//
// Ownership: a verifier_state owns its frames; frames share the pages of their stacks. Everything is task-context memory that lives for
// one verify() call; no locks. Behaviour: Linux 6.12 kernel/bpf/verifier.c (bpf_reg_state, bpf_func_state).
#pragma once

#include "base/bpf.h"
#include "base/memory.h"
#include "base/vec.h"
#include "helpers/type_flags.h"
#include "verifier/scalar.h"

namespace modbpf {

struct map;
class btf;
struct callback_proto;

/// What a register holds: a base and flags (helpers/type_flags.h). Comparing kinds compares the flags too.
enum class reg_type : u32 {
    is_flagged_kind_ = 0,
    not_init = 0,
    scalar,
    ctx,
    map_ptr,     ///< a map, known at load
    map_value,
    map_key,     ///< key of the element that a callback got
    stack,
    packet_meta,
    packet,
    packet_end,
    flow_keys,
    socket,
    sock_common,
    tcp_sock,
    tp_buffer,   ///< the record of a writable raw tracepoint
    xdp_sock,
    btf_ptr,     ///< kernel memory with a type (`types`, `btf_id`)
    mem,         ///< memory of `mem_size` bytes
    arena,       ///< address in an arena map
    buf,         ///< seq_file or sockopt buffer, bounds known when the program is attached
    func,        ///< a subprogram (`subprog`)
    dynptr,      ///< a dynptr that a callback or global function got

    map_value_or_null = map_value | static_cast<u32>(type_flag::maybe_null),
    mem_or_null = mem | static_cast<u32>(type_flag::maybe_null),
    ringbuf_mem = mem | static_cast<u32>(type_flag::ringbuf),
    ringbuf_mem_or_null = ringbuf_mem | static_cast<u32>(type_flag::maybe_null),
};

inline constexpr u32 id_add_const = 1u << 31; ///< flag in a scalar's id: the value is the id's value plus off
inline constexpr s32 max_var_off = 1 << 29;   ///< BPF_MAX_VAR_OFF
inline constexpr s32 at_packet_end = -1;      ///< packet range: the pointer is at or behind data_end
inline constexpr s32 beyond_packet_end = -2;  ///< packet range: behind data_end

/// Kinds of a dynptr, and the state of an open-coded iterator, in the stack slots that hold them. Of a `given` one only who called the
/// function knows the kind: it goes for a local one, but may be a packet's.
enum class dynptr_kind : u8 { none, local, given, ringbuf, skb, xdp };
enum class iter_state : u8 { none, active, drained };

struct reg_state {
    reg_type type = reg_type::not_init;
    u8 frame = 0;         ///< of a stack pointer: the frame that it points into
    dynptr_kind dynptr = dynptr_kind::none;
    bool first_slot = false; ///< of a dynptr: the upper or the lower of its two slots
    iter_state iter = iter_state::none;
    s32 off = 0;
    union {
        s32 range = 0;  ///< of a packet pointer: bytes from base + var that are known to be there, or at/beyond_packet_end
        u32 iter_depth; ///< of an iterator: turns on this path
        u32 holder_ref; ///< btf_ptr: the reference that it goes with: of the iterator whose element, or the object whose field it is. Or 0
        u32 found;     ///< map_value that may be NULL by its type: 1: it is not, as an array has the element
        u32 of_many;   ///< map_ptr: 1: from a map of maps, which may have others in its place
    };
    union { ///< by base
        u32 mem_size = 0;
        u32 btf_id;  ///< btf_ptr, iterators: the type in `types`
        u32 map_uid; ///< map_ptr, map_value, map_key: which inner map (0: known at load)
        u32 subprog; ///< func
    };
    u32 id = 0;
    u32 ref_id = 0;    ///< the reference that this pointer holds, or 0
    union {
        map *map_ptr = nullptr; ///< map_ptr, map_value, map_key
        u32 dynptr_id; ///< mem: the dynptr that it is a slice of, or 0
        const btf *types;       ///< btf_ptr, iterators
    };
    scalar var{};

    bool is_scalar() const { return type == reg_type::scalar; }
    bool is_pointer() const { return type != reg_type::scalar && type != reg_type::not_init; }
    bool is_const() const { return is_scalar() && var.is_const(); }
    bool is_null() const { return is_scalar() && var.is_const() && var.value() == 0; }
    bool may_be_null() const { return has(type, type_flag::maybe_null); }
    reg_type base() const { return base_of(type); }
    bool has_map() const { return base() == reg_type::map_ptr || base() == reg_type::map_value || base() == reg_type::map_key; }
    bool has_btf() const { return base() == reg_type::btf_ptr || iter != iter_state::none; }
    bool is_packet() const { return type == reg_type::packet || type == reg_type::packet_meta; }
    bool is_packet_any() const { return is_packet() || type == reg_type::packet_end; }

    void set_unknown() { set_scalar(scalar::unknown()); }
    void set_const(u64 v) { set_scalar(scalar::constant(v)); }
    /// A number; keeps nothing of what the register was.
    void set_scalar(const scalar &s) {
        *this = reg_state{};
        type = reg_type::scalar, var = s;
    }
    /// A pointer to the start of something.
    void set_pointer(reg_type t) {
        set_scalar(scalar::constant(0));
        type = t;
    }
    void set_not_init() {
        *this = reg_state{};
        var = scalar::unknown();
    }
    void clear_id() { id = 0, off = 0; }
};

enum class slot_kind : u8 { invalid, spill, misc, zero, dynptr, iter };

inline constexpr u32 slot_bytes = 8;
inline constexpr u32 max_slots = max_bpf_stack / slot_bytes;

struct stack_slot {
    reg_state spilled;           ///< meaningful while kind[7] is spill
    slot_kind kind[slot_bytes]{}; ///< kind[i]: byte at distance 7 - i above the slot's lowest address (as Linux: [7] is the lowest)

    bool is_spill() const { return kind[slot_bytes - 1] == slot_kind::spill; }
    /// A dynptr or an iterator: `spilled` says which. All eight bytes are of that kind.
    bool is_object() const { return kind[slot_bytes - 1] == slot_kind::dynptr || kind[slot_bytes - 1] == slot_kind::iter; }
    bool is_scalar_spill() const { return is_spill() && spilled.is_scalar(); }
    bool is_full_scalar_spill() const { return kind[0] == slot_kind::spill && spilled.is_scalar(); }
    /// A plain write destroys what was spilled: its bytes are just bytes.
    void scrub() {
        spilled.set_not_init();
        if (is_spill() || is_object())
            scrub_bytes();
    }
    void scrub_bytes() {
        for (auto &k : kind)
            if (k != slot_kind::invalid)
                k = slot_kind::misc;
    }
};

/// What states share of a frame's stack: smaller pages copy less when a slot changes, larger ones need fewer pointers a state.
inline constexpr u32 page_slots = 4;
inline constexpr u32 max_stack_pages = max_slots / page_slots;

/// Do slots of a page hold ids?
enum class page_ids : u8 { unknown, none, some };

struct stack_page {
    mutable page_ids ids = page_ids::unknown; ///< as far as it was looked at since the last edit
    u32 refs = 1; ///< frames that have it; only the frame that has it alone changes it
    stack_page *next_free = nullptr;
    stack_slot slot[page_slots];
};

class state_pool;

/// The slots of a frame that were touched: index 0 is at fp-8. Copies share pages until one of them edits a slot.
class frame_stack {
public:
    frame_stack() = default;
    frame_stack(const frame_stack &) = delete;
    ~frame_stack() { clear(); }
    u32 size() const { return size_; }
    const stack_slot &operator[](u32 i) const { return page_[i / page_slots]->slot[i % page_slots]; }
    /// A slot to be changed. Without memory for a page of its own it is in the pool's spare page: state_pool::failed().
    /// What operator[] gave of the same page before is as the slot was.
    stack_slot &edit(u32 i) {
        stack_page *&p = page_[i / page_slots];
        if (p->refs > 1)
            unshare(p);
        p->ids = page_ids::unknown;
        return p->slot[i % page_slots];
    }
    /// Makes it `slots` large if it is smaller; new slots are untouched. ENOMEM.
    status grow(u32 slots);
    /// The same slots as `o`: shared if both are of one pool, else copied (ENOMEM).
    status copy_from(const frame_stack &o);
    void clear();
    /// A page, with one more reference: for state_pool::drop(). Only for what is of a pool.
    stack_page *share(u32 page) const {
        page_[page]->refs++;
        return page_[page];
    }
    const stack_page *page(u32 page) const { return page_[page]; }

    state_pool *pool = nullptr; ///< where pages come from and go to, or null: the allocator

private:
    void unshare(stack_page *&p);
    stack_page *get_page();
    void put_page(stack_page *p);
    u32 pages() const { return (size_ + page_slots - 1) / page_slots; }

    u32 size_ = 0;
    stack_page *page_[max_stack_pages]; ///< the first pages() are there
};

struct func_state {
    u32 callsite = no_callsite; ///< instruction of the call that made this frame
    u32 subprog = 0;
    u32 frameno = 0;
    u32 entry = 0; ///< tells calls of the function apart on a path
    const callback_proto *callback = nullptr; ///< of a callback's frame: what calls it (a synchronous one goes back to the call)
    u32 callback_turns = 0; ///< of the frame that calls: turns of the callback at the call at hand, on this path
    // Since the last checkpoint; only shown in the log.
    u32 written_regs = 0;
    u64 written_slots = 0;
    reg_state regs[bpf_reg_count];
    frame_stack stack;

    func_state *next_kept = nullptr; ///< in a state_pool

    static constexpr u32 no_callsite = ~0u;
    func_state() = default;
    status copy_from(const func_state &o);
    /// Makes room for `bytes` below the frame pointer.
    status grow(u32 bytes) {
        u32 slots = (bytes + slot_bytes - 1) / slot_bytes;
        return slots <= stack.size() ? status() : stack.grow(slots);
    }
};

/// What states are made of, for reuse: states come and go at nearly every branch. Pages are kept until the end.
struct verifier_state;

class state_pool {
public:
    state_pool() = default;
    state_pool(const state_pool &) = delete;
    ~state_pool();
    /// A frame in any state, or null when out of memory.
    func_state *get_frame();
    void put_frame(func_state *f);
    /// A state without frames that takes them from here, or null when out of memory. destroy() gives it back.
    verifier_state *get_state();
    void put_state(verifier_state *st);
    /// A page in any state, or null when out of memory.
    stack_page *get_page();
    void put_page(stack_page *p) { p->next_free = free_pages_, free_pages_ = p; }
    /// One reference less.
    void drop(stack_page *p) {
        if (!--p->refs)
            put_page(p);
    }
    /// A page for what cannot fail. Out of memory: one that nobody else may keep; then failed(), and no state is to be relied on.
    stack_page *get_page_or_spare();
    bool failed() const { return failed_; }
    /// There was no memory for what else belongs to the exploration.
    void fail() { failed_ = true; }

private:
    static constexpr u32 max_kept = 256;  ///< about what unfinished checkpoints and pending paths of a program take in turn
    static constexpr u32 slab_pages = 8; ///< about 4 KiB
    struct slab {
        slab *next;
        stack_page page[slab_pages];
    };
    func_state *kept_ = nullptr;
    u32 count_ = 0;
    verifier_state *kept_states_ = nullptr;
    u32 state_count_ = 0;
    stack_page *free_pages_ = nullptr;
    slab *slabs_ = nullptr;
    stack_page spare_;
    bool failed_ = false;
};

struct held_ref {
    u32 id;
    u32 insn; ///< that acquired it
    u32 callback_frame = 0; ///< the innermost callback's frame when it was acquired: released there, and before that returns
};

/// What holds of the whole path besides its frames and references: compared as a whole when states are compared.
struct path_modes {
    bool speculative = false; ///< only a CPU that mispredicts comes here
    bool rcu_locked = false;  ///< inside bpf_rcu_read_lock
    bool in_sleepable = false; ///< may sleep here
    u32 preempt_depth = 0;    ///< nested bpf_preempt_disable
    const void *lock_ptr = nullptr; ///< the map or BTF of the held bpf_spin_lock, or null
    u32 lock_id = 0;          ///< its register's id
};

inline constexpr u32 no_loop = ~0u;

struct checkpoint;

/// The state of a path at its tip or where a checkpoint was made.
struct verifier_state {
    func_state *frame[max_call_frames]{};
    u32 curframe = 0;
    vec<held_ref> refs;
    path_modes modes;
    checkpoint *parent = nullptr; ///< that this path grew from
    u32 since = 0;                ///< instructions that it made from there
    u32 loop = no_loop;           ///< the outermost loop that this path ended in (loops.h)

    // Turns of loops on this path: a state that comes back with another count is no endless loop.
    u32 callback_turns = 0;
    u32 may_goto_turns = 0;
    u32 async_depth = 0;              ///< of an asynchronous callback: it was set by a callback that was set by ...

    state_pool *pool = nullptr; ///< where frames and this itself come from and go to, or null: the allocator
    verifier_state *next_kept = nullptr; ///< in the pool

    verifier_state() = default;
    verifier_state(const verifier_state &) = delete;
    ~verifier_state();
    /// Copy of everything but the loop and the pool, which are this state's own. ENOMEM leaves a state that may only be destroyed.
    status copy_from(const verifier_state &o);
    func_state &cur() { return *frame[curframe]; }
    const func_state &cur() const { return *frame[curframe]; }
    void pop_frame();
    /// As it was made.
    void clear();
    /// refs[i] is held no longer; the others keep their order.
    void drop_ref(u32 i);

private:
    void drop_frame(u32 f);

public:

    /// Calls fn(reg_state &) for every register and spilled register of every frame for which which(const reg_state &) is true.
    template <class P, class F> void for_each_reg(P &&which, F &&fn) {
        for (u32 f = 0; f <= curframe; f++) {
            for (auto &r : frame[f]->regs)
                if (which(r))
                    fn(r);
            frame_stack &stack = frame[f]->stack;
            for (u32 s = 0; s < stack.size(); s++)
                if (stack[s].is_spill() && which(stack[s].spilled))
                    fn(stack.edit(s).spilled);
        }
    }
};

/// own<verifier_state> ends in this one.
inline void destroy(verifier_state *st) {
    if (st && st->pool)
        st->pool->put_state(st);
    else
        destroy_scratch(st);
}

}  // namespace modbpf
