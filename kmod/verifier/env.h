// SPDX-License-Identifier: GPL-2.0-only
// verifier_env: everything that one verify() call works on, and the stages' entry points. Internal to verifier/.
//
// Stages, in Linux's order (each a file): subprog.cpp (subprograms, jump ranges), load.cpp (opcodes, maps), cfg.cpp (reachability,
// prune points), marks.cpp (static liveness), explore.cpp (paths, pruning; it calls transfer functions in alu.cpp, access.cpp,
// stack.cpp, branch.cpp, call.cpp, func.cpp), subprog.cpp (stack depth), fixup.cpp (the code that runs).
//
// Failure: `fail(errno)` after a log line means that the program is refused; ENOMEM never has a line; EFAULT means that modbpf
// itself is wrong (MODBPF_BUG_ON reported it). Ownership: the env owns maps, states and analyses until verify() returns.
// Task context, one thread, no locks.
#pragma once

#include "base/bpf.h"
#include "base/log.h"
#include "base/vec.h"
#include "btf/btf.h"
#include "btf/fields.h"
#include "helpers/helper.h"
#include "isa/opcode.h"
#include "verifier/precision_log.h"
#include "verifier/state.h"
#include "verifier/verifier.h"

namespace modbpf {

/// What makes the turns of a loop whose end no number tells.
enum class loop_driver : u8 { none, iterator, callback, may_goto };

/// Slots of the frames below the one that called this one: [0] is two frames down.
inline constexpr u32 far_frames = max_call_frames - 2;
struct far_marks {
    u64 live[far_frames]{}, precise[far_frames]{}, read[far_frames]{}, store[far_frames]{};
};

/// Marks of the slots of the frame that called this one (marks.h), and of those below it.
struct outer_marks {
    u64 live = 0;
    u64 precise = 0;
    u64 read = 0; ///< by a load into a register
    u64 store = 0;
    u64 links = 0;
    far_marks *far = nullptr; ///< where there is something to say (env::far)
};

/// What is known of an instruction: found before exploration, observed during it, and needed by the fix-ups. All zeroes at first.
struct insn_aux {
    // Control flow (cfg.cpp).
    bool prune_point : 1 = false;
    bool jmp_point : 1 = false;
    bool jump_target : 1 = false;
    bool reached : 1 = false, join : 1 = false; ///< from an instruction of its subprogram, from more than one (marks.cpp)
    bool queued : 1 = false;     ///< in the marks' work list
    bool encoding_ok : 1 = false; ///< checked when it was first reached
    bool operand_ok : 1 = false;  ///< the same of an arithmetic operand
    bool seen : 1 = false;       ///< explored at least once; the rest is dead code
    bool ctx_access : 1 = false; ///< load or store through the context pointer
    bool has_ptr_type : 1 = false;
    bool barrier : 1 = false; ///< a guard (speculation.h)
    bool probes : 1 = false; ///< loads through a pointer to a kernel object, which may have become none
    bool leaves_early : 1 = false; ///< no exit, but may leave the function
    bool fastcall : 1 = false; ///< a spill or fill around a call (fastcall.h)
    bool call_seen : 1 = false;
    bool loop_seen : 1 = false, loop_fits : 1 = false; ///< of a call of bpf_loop
    loop_driver loop = loop_driver::none; ///< cfg.cpp: a checkpoint is made at each visit
    guard_kind guard = guard_kind::none;
    u16 subprog = 0; ///< that contains it
    u16 call_uses = 0; ///< registers that a call reads, but for those of static functions
    reg_type ptr_type = reg_type::not_init; ///< base of the memory access, the same on every path
    // Backward marks (marks.h): state *before* this instruction.
    u16 live_regs = 0;
    u16 precise_regs = 0;
    u16 link_regs = 0; ///< see below
    u64 live_slots = 0;
    u64 precise_slots = 0;
    // Observations: slots of the own frame that this instruction was seen to read and write, and what a branch refines together.
    u64 read_slots = 0;
    u64 store_slots = 0;
    u64 link_slots = 0; ///< and link_regs
    outer_marks *outer = nullptr; ///< the same of frames farther down; where there are functions to be called
    map *call_map = nullptr; ///< of a helper's call: the map that every path came with, or null
    union {
        u32 loop_sub = 0; ///< of a call that bpf_loop's code may stand for (expand.h): where loop_fits, every path came with this callback and no flags
        u32 map_off;      ///< of ld_imm64 of a map (load.cpp)
    };
    union {
        u32 guard_limit = 0; ///< of arithmetic (speculation.h)
        u32 told;            ///< of a call: what its function is told besides its arguments, plus one (tell_function)
        u32 map_index;       ///< of ld_imm64 of a map
    };
    u32 callbacks = 0; ///< head of the list of callbacks that this call was seen to make (index in env::callbacks plus one)
    checkpoint *explored = nullptr; ///< a bucket of checkpoints, newest first: env::checkpoints()

    const outer_marks &out() const {
        static constexpr outer_marks nothing{};
        return outer ? *outer : nothing;
    }
};
static_assert(sizeof(insn_aux) == 104); // cleared for every instruction

enum class sub_arg : u8 { scalar, ctx, mem, mem_or_null, object, object_or_null, arena, dynptr };

struct subprog_info {
    u32 start = 0;
    u32 end = 0;
    u32 stack_depth = 0;
    u32 stack_extra = 0; ///< behind it, for what the verified code adds
    s32 fastcall_off = 0;  ///< below it are only spills and fills around calls (fastcall.h)
    bool fastcall_inlined = false; ///< some of them are of calls that Linux makes without one
    bool fastcall_called = false;  ///< and some of others
    bool fastcall_broken = false;  ///< something else uses the slots
    bool has_tail_call = false;
    bool tail_call_reachable = false;
    bool has_ld_abs = false;
    bool changes_pkt_data = false;
    bool may_sleep = false; ///< it calls what may sleep, or a subprogram that does
    bool is_callback = false; ///< a function pointer names it
    bool is_async = false;    ///< seen to be an asynchronous callback
    bool called_sync = false; ///< seen to be a synchronous one
    bool called_back = false; ///< seen to be a callback
    bool may_throw = false;
    bool unreliable = true; ///< what BTF says of it may not be what it does
    bool uncompared = false; ///< ... may not be what all its callers pass: Linux 6.12 takes it for reliable
    // From func_info.
    bool global = false;
    bool called[2]{};      ///< global: by code that was explored, where nothing may sleep; where it may
    bool verified[2]{};    ///< for the one; for the other
    const char *name = "";
    bool args_known = false;
    u32 arg_count = 0;
    sub_arg args[5]{};
    u32 arg_mem_size[5]{};
    u32 arg_type[5]{}; ///< of an object: its kernel type
    // For the marks.
    bool exit_live = false;    ///< r0 is read behind some call
    bool exit_precise = false; ///< r0 must be precise behind some call
    u64 exit_outer = 0;        ///< slots of the caller's frame that must be precise behind some call
    u64 exit_far[far_frames]{}; ///< of the frames below that
    u64 exit_outer_live = 0;   ///< the same of those that are read
    u64 exit_far_live[far_frames]{};
    scratch_vec<u32> calls; ///< instructions that call it as a static function or as a callback
    scratch_vec<u32> exits;
};

/// A callback that a call was seen to make.
struct callback_edge {
    u32 sub;
    u32 next; ///< of the same call: index plus one
};

/// What a program with typed arguments stands at: a kernel function, a hook, a tracepoint, a function of another program.
struct attach_info {
    const btf *types = nullptr;       ///< that describe it
    u32 id = 0;                       ///< as PROG_LOAD named it
    const char *name = "";            ///< function, tracepoint, or member of `ops`
    const btf_type *proto = nullptr;  ///< null: a function of a program whose types are not reliable
    bool skip_first = false;          ///< the prototype has a first argument that is not in the context
    const char *ops = nullptr;        ///< struct_ops: the structure's name
    const btf_type *stub = nullptr;   ///< struct_ops: prototype whose parameter names tell which may be NULL, or null
};

/// A kernel variable or function whose address a load gives (btf_ksym.cpp).
struct kernel_symbol {
    reg_type kind;
    u32 size_or_id; ///< bytes of memory, or type id of an object
    const btf *types;
    const char *name;
    u64 addr = 0; ///< 0: not known here
};

/// Which id of a current state stands for which of a checkpoint (states are compared up to the numbering of ids).
struct id_pair {
    u32 old_id;
    u32 cur_id;
};
inline constexpr u32 id_map_size = (bpf_reg_count + max_slots) * max_call_frames * 2;

/// A loop into whose checkpoint paths ended (loops.h).
struct loop_info {
    u64 made;  ///< its checkpoint's
    u32 outer; ///< of a closed one: the open loop around it at that time, or no_loop
    bool open;
};

/// A kernel function that the program calls (kfunc.h).
struct kfunc_row;
struct kfunc_desc {
    u32 id;  ///< in `types`
    s16 off; ///< of the call: which types
    const btf *types;
    const btf_type *proto;
    const char *name;
    const kfunc_row *row; ///< null: this program may not call it
};

inline constexpr u32 max_pending = 8192; ///< BPF_COMPLEXITY_LIMIT_JMP_SEQ

/// What a structure of the program's own has of special fields (special.h).
struct object_fields {
    const btf *types;
    u32 id;
    own<field_table> table; ///< null: it can have none
};

/// A path that waits to be explored.
struct pending_path {
    verifier_state *state;
    u32 insn;
    u32 prev_insn;
    u64 log_pos;
    path_span span{}; ///< for the precision_log
};

struct verifier_env {
    const verify_request &req;
    verifier_log &log;
    vec<bpf_insn> insns; ///< as loaded
    scratch_vec<insn_aux> aux;
    scratch_vec<subprog_info> subs;
    vec<ref<map>> maps;
    vec<kfunc_desc> kfuncs;
    ref<btf> kernel_btf; ///< kernel_types()
    bool kernel_btf_asked = false;
    attach_info target;  ///< btf_target.cpp
    vec<kernel_symbol> ksyms;
    vec<ref<btf>> used_btfs; ///< of modules whose symbols are loaded
    vec<module_hold> used_modules; ///< whose functions and symbols it refers to
    verified_program *out = nullptr;

    // Predecessors within a subprogram, in compressed rows: pred[pred_start[i] .. pred_start[i + 1]). Empty
    // as long as no mark had to go back.
    scratch_vec<u32> pred_start;
    scratch_vec<u32> pred;
    scratch_vec<u32> mark_queue;
    scratch_vec<outer_marks> outer; ///< by instruction; empty where no function can be called
    vec<own<far_marks>> far;
    scratch_vec<callback_edge> callbacks;
    u32 exception_callback = 0; ///< subprogram, or 0

    scratch_vec<insn_desc> descs; ///< insns, decoded
    vec<object_fields> objects;

    // Exploration.
    state_pool frames; ///< outlives the states
    own<verifier_state> cur;
    scratch_vec<pending_path> pending;
    scratch_vec<loop_info> loops;
    checkpoint *evicted = nullptr; ///< checkpoints out of use that paths still grow from
    u32 insn = 0;       ///< being checked
    s32 prev_insn = -1; ///< before it on this path, -1: none
    u32 next_insn = 0;  ///< set by jumps, calls and exits
    u32 id_gen = 0;
    u32 entries = 0; ///< frames made so far
    u64 processed = 0, jumps = 0, forks = 0;
    u64 prev_processed = 0, prev_jumps = 0; ///< when the last checkpoint was made
    u32 history = 0;    ///< entries that Linux's instruction history would have since the last checkpoint
    bool strict_alignment = false;
    bool guards_vary = false; ///< some mask depends on a number's range: numbers are compared exactly when states are
    reg_state any_number; ///< what a load of bytes gives
    scratch_vec<id_pair> id_map; ///< at most id_map_size
    u32 id_map_fresh = 0;
    verify_stats stats{};

    // Log.
    u32 scratched_regs = 0;
    u64 scratched_slots = 0;
    u64 prev_log_pos = 0;
    u64 prev_insn_print_len = 0;
    const line_info *prev_line = nullptr;
    own<precision_log> precision; ///< at BPF_LOG_LEVEL2, or null
    char type_text[64];     ///< reg_type_name()'s

    verifier_env(const verify_request &r, verifier_log &l) : req(r), log(l) { any_number.set_unknown(); }
    verifier_env(const verifier_env &) = delete;
    ~verifier_env();

    u32 count() const { return static_cast<u32>(insns.size()); }
    span<const bpf_insn> code() const { return insns.view(); }
    const insn_desc &desc(u32 i) const { return descs[i]; }
    /// The subprogram that contains an instruction. After find_subprogs().
    subprog_info &sub_of(u32 i) { return subs[aux[i].subprog]; }
    const subprog_info &sub_of(u32 i) const { return subs[aux[i].subprog]; }
    /// The bucket of the checkpoints at an instruction, called from `callsite`; it may hold others as well.
    checkpoint **checkpoints(u32 at, u32 callsite) { return &aux[(at ^ callsite) % count()].explored; }
    const checkpoint *checkpoints(u32 at, u32 callsite) const { return aux[(at ^ callsite) % count()].explored; }
    void mark_written(u32 r) { cur->cur().written_regs |= 1u << r; }
    reg_state *regs() { return cur->cur().regs; }
    reg_state &reg(u32 r) { return cur->cur().regs[r]; }
    void scratch_reg(u32 r) { scratched_regs |= 1u << r; }
    void scratch_slot(u32 s) { scratched_slots |= 1ull << s; }
};
using env = verifier_env;
/// own<verifier_env> ends in this one.
inline void destroy(verifier_env *e) { destroy_scratch(e); }

/// The program is safe, but modbpf cannot run "<what> <name>". The first such thing is kept.
[[gnu::cold]] void note_absent(env &e, const char *what, const char *name);
/// The program refers to what the module of these types has (nothing to do for the kernel's own). ENXIO: the module is gone; ENOMEM.
status use_module(env &e, const btf &types);
/// What the function of this call is told: it must be the same on every path.
void tell_function(env &e, u32 value);
/// The program is refused; a log line says why.
inline error fail(int err) { return error(err); }
/// modbpf itself is wrong: logged, reported, refused.
[[gnu::cold]] error verifier_bug(env &e, const char *what);

// subprog.cpp
status find_subprogs(env &e);
status check_subprogs(env &e);
status bind_func_info(env &e);
status check_stack_depth(env &e);
/// C code that calls a function back passes no counter of tail calls on (jit/frame.h): what may run there and makes one is noted. ENOMEM.
status note_tail_calls(env &e);
/// Index of the subprogram that starts at an instruction, or -1. Of the one that contains it: env::sub_of().
s32 find_start(const env &e, s64 insn);

// load.cpp
status resolve_loads(env &e);
// map_rules.cpp
status check_map_for_program(env &e, const map &m); ///< at each load of its address
status check_new_map(env &e, const map &m);         ///< when it is the first
// cfg.cpp
status check_cfg(env &e);
// fixup.cpp
status fix_up(env &e);

// explore.cpp
status explore(env &e);
/// A copy of the current state that starts at `insn`; a borrow, valid until the next push. ENOMEM, E2BIG.
result<verifier_state *> push_path(env &e, u32 insn, u32 prev_insn);
/// "At program exit the register R0 ..." and the other checks of a main exit.
status check_return_code(env &e, u32 regno = BPF_REG_0);
/// "At <where> the register R0 has smin=... should have been in [lo, hi]", where r is not in that range.
status check_return_range(env &e, const reg_state &r, s32 lo, s32 hi, const char *where, u32 regno = BPF_REG_0);

// alu.cpp
status check_alu(env &e, const insn_desc &d);
status check_scalar_state(env &e, reg_state &r, const char *where);
// branch.cpp
status check_branch(env &e, const insn_desc &d);
void mark_not_null(reg_state &r);

// access.cpp: the memory instructions and helpers' memory arguments.
enum class access : u8 { read, write };
status check_read_reg(env &e, u32 regno);
status check_write_reg(env &e, u32 regno);
/// "R%d !read_ok"
inline status read_reg(env &e, u32 regno) {
    if (regno >= bpf_reg_count || e.reg(regno).type == reg_type::not_init || e.precision)
        return check_read_reg(e, regno);
    e.scratch_reg(regno);
    return {};
}
/// "frame pointer is read only"
inline status write_reg(env &e, u32 regno) {
    if (regno >= BPF_REG_10)
        return check_write_reg(e, regno);
    e.scratch_reg(regno);
    e.mark_written(regno);
    return {};
}
status check_load(env &e, const insn_desc &d);
status check_store(env &e, const insn_desc &d);
status check_atomic(env &e, const insn_desc &d);
/// Access of `size` bytes at regno + off. `value`: the register loaded or stored, or -1.
status check_mem(env &e, u32 regno, s32 off, u32 size, access t, s32 value, bool strict, bool sign_extend);
status check_map_access_type(env &e, const reg_state &r, s32 off, s32 size, access t);
status check_region(env &e, u32 regno, s32 off, s32 size, u32 mem_size, bool zero_ok);
status check_packet(env &e, u32 regno, s32 off, s32 size, bool zero_ok);
status check_ptr_off(env &e, const reg_state &r, u32 regno, bool fixed_ok = false);
bool packet_access_allowed(const env &e, const helper_proto *fn, access t);
bool map_is_rdonly(const map *m);
/// An instruction meets one kind of pointer where that decides how it runs; pointers to objects may differ in trust where a load can fault.
status record_ptr_type(env &e, reg_type t, bool trust_may_differ = false);
/// The row that allows the access, or null.
const ctx_field *find_ctx_field(const verify_request &req, s32 off, u32 size, access t);
status refuse_ctx_access(env &e, s32 off, u32 size); ///< "invalid bpf_context access off=%d size=%d"


// btf_ctx.cpp
/// Access of a context that the BTF of the attach target describes; the pointer's offset is checked and is part of `off`.
status access_btf_ctx(env &e, u32 regno, s32 off, u32 size, access t, s32 value, bool sign);
/// `r` becomes a pointer of kind `t` to the kernel structure of that name.
status set_kernel_pointer(env &e, reg_state &r, reg_type t, const char *type_name);

// sock_access.cpp
bool is_sock(reg_type t); ///< sock_common, socket, tcp_sock, xdp_sock
status access_sock(env &e, u32 regno, s32 off, u32 size, access t, s32 value);

// stack.cpp
status check_stack_load(env &e, u32 regno, s32 off, u32 size, s32 value);
status check_stack_store(env &e, u32 regno, s32 off, u32 size, s32 value);
status check_stack_bounds(env &e, u32 regno, s32 off, s32 size, bool helper, access t);
/// `helper`: a helper's memory argument; a raw one at a constant offset is noted in `meta` and filled behind the checks.
struct call_meta;
status check_stack_range(env &e, u32 regno, s32 off, s32 size, bool zero_ok, bool helper, call_meta *meta);
/// Is the u32 that the pointer points to on the stack, all of whose bytes may be read, a known one? Then it must be on all paths.
result<bool> known_word(env &e, const reg_state &r, u32 *word);

// kfunc_find.cpp, kfunc_call.cpp
status add_kfunc(env &e, u32 insn); ///< the call instruction at `insn`, before anything else is known
u32 kfunc_arg_count(const env &e, u32 insn);
/// False: the program ends here (bpf_throw).
result<bool> check_kfunc_call(env &e);

// call.cpp, func.cpp
status check_helper_call(env &e, const insn_desc &d);
/// -> address of the NUL-terminated string that R[regno] points to; `room`: bytes from there to the value's end. EACCES, EINVAL.
result<const char *> const_string(env &e, u32 regno, u32 *room);
status check_mem_arg(env &e, u32 regno, s32 size, access t, bool zero_ok, call_meta *meta);
/// The pointer is not valid any more: just a number, or nothing that a program without CAP_PERFMON may read.
void forget_pointer(env &e, reg_state &r);
void clear_packet_pointers(env &e);
bool leads_to_packet(const reg_state &r); ///< its memory is the packet's, which may move
void clear_caller_saved(env &e, func_state &f);
status check_reference_leak(env &e);
// refs.cpp
result<u32> acquire_ref(env &e);       ///< -> id of a new reference, held from the current instruction on. ENOMEM
void distrust_held(env &e, u32 ref);  ///< what went with that reference may be gone
status release_ref(env &e, u32 id);    ///< ends it: pointers that hold it are numbers now. EINVAL: not held
status check_ld_packet(env &e, const insn_desc &d);
status check_func_call(env &e, const insn_desc &d);
status return_from_func(env &e);
/// A frame for `sub`: registers unreadable but for r10. ENOMEM.
result<func_state *> make_frame(env &e, u32 sub, u32 callsite, u32 frameno);
/// The same on top of `st`. ENOMEM, E2BIG.
result<func_state *> push_frame(env &e, verifier_state &st, u32 sub, u32 callsite);
inline constexpr u32 max_refs = 1024; ///< held at a time: each checkpoint has a copy of them
/// The current path holds reference `id` from here on. ENOMEM; E2BIG: too many.
status hold_ref(env &e, u32 id);
/// Number of the innermost frame of a synchronous callback, or 0.
u32 callback_frame(const verifier_state &st);

/// What an initialised dynptr argument told.
struct dynptr_facts {
    dynptr_kind kind = dynptr_kind::none;
    u32 id = 0;
    u32 ref_id = 0;
};

/// What the arguments of a helper call told, for its effects.
struct call_meta {
    const helper_proto *fn = nullptr;
    map *map_ptr = nullptr;
    u32 map_uid = 0;
    const btf *object_types = nullptr; ///< of the per-CPU argument
    u32 object_id = 0;
    bool own_object = false; ///< the per-CPU argument is an object of the program's own
    bool raw = false;       ///< the memory argument at hand is only written
    bool kept = false;      ///< ... is only read: the stack keeps what is known of it
    bool of_many = false;   ///< the map came from a map of maps
    bool found = false;     ///< the element is there
    u32 raw_regno = 0;      ///< constant-offset stack memory that the call fills
    s32 raw_size = 0;
    u64 size_max = 0;       ///< largest value of the last size argument
    u64 alloc_size = 0;
    u32 ref_id = 0;         ///< the reference that an argument holds
    u32 release_regno = 0;  ///< the argument whose reference ends
    u32 subprog = 0;        ///< of the callback argument
    dynptr_facts dynptr;    ///< of the initialised dynptr argument
    const special_field *kptr = nullptr; ///< that the kptr argument points to
};

// print.cpp
const char *reg_type_name(env &e, reg_type t);
void tnum_text(char *buf, u32 size, const tnum &t);
/// `trace`: also what that knows of each register and slot.
void print_state(env &e, const verifier_state &st, u32 frame, bool all, const checkpoint_trace *trace = nullptr);
void print_insn_state(env &e);
void print_line(env &e, u32 insn, const char *prefix);
void print_insn(env &e, u32 at);
void print_insn_text(env &e, u32 at); ///< no line of its own
void print_stats(env &e);

#define verbose(e, ...) (e).log.printf(__VA_ARGS__)

}  // namespace modbpf
