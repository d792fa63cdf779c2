// SPDX-License-Identifier: GPL-2.0-only
// Helper functions: one table of prototypes that verifier, interpreter, JIT, disassembler and `modbpf features` share.
//
// Every helper of Linux 6.12 is in the table, so that the verifier gives Linux's verdict; a row without a function cannot run here.
// One file a family for the functions (helpers/families.h) and for the rows (helpers/rows_*.h; helpers/rows.h has their vocabulary).
#pragma once

#include "base/bpf.h"
#include "base/span.h"
#include "helpers/type_flags.h"
#include "maps/map.h"

namespace modbpf {

struct code;

/// What an argument must be: a base and flags. Names follow Linux's ARG_*.
enum class arg_type : u32 {
    is_flagged_kind_ = 0,
    none = 0,      ///< there is no such argument
    anything,      ///< any initialised value (no pointer leak for unprivileged)
    const_map_ptr, ///< a map, known at load
    map_key,       ///< key_size readable bytes
    map_value,     ///< value_size bytes
    mem,           ///< memory; the next argument is its size, or `fixed_size`: helper_proto::size
    const_size,    ///< size of the argument before, > 0
    const_size_or_zero,
    const_alloc_size_or_zero, ///< constant; size of the memory that the helper returns
    ctx,           ///< the program's context
    spin_lock,     ///< address of a bpf_spin_lock in a map value or an allocated object
    sock_common,   ///< sock_common, and what starts with one
    socket,
    btf_id,        ///< pointer to the kernel type helper_proto::btf_type names
    btf_id_sock_common, ///< a kernel sock_common or what starts with one
    percpu_btf_id, ///< address of a per-CPU kernel variable
    ringbuf_mem,   ///< a reserved record
    func,          ///< a subprogram: the callback
    stack,         ///< address in the stack, passed to a callback
    const_str,     ///< a NUL-terminated string in a read-only frozen map
    timer,         ///< address of a bpf_timer in a map value
    kptr,          ///< address of a kptr in a map value
    dynptr,        ///< rdonly: a dynptr that stays; uninit: slots that become one; none of them: one that the call ends
    arena,
    number,        ///< a scalar, no pointer whatever the privilege

    // Combinations with names of their own.
    uninit_map_value = map_value | static_cast<u32>(type_flag::uninit) | static_cast<u32>(type_flag::write),
    mem_or_null = mem | static_cast<u32>(type_flag::maybe_null),
    uninit_mem = mem | static_cast<u32>(type_flag::uninit) | static_cast<u32>(type_flag::write),
    uninit_mem_or_null = uninit_mem | static_cast<u32>(type_flag::maybe_null),
    alloc_mem = ringbuf_mem | static_cast<u32>(type_flag::release),
    /// 8 writable bytes, aligned to 8 (strtol's result); no size argument follows
    uninit_u64 = uninit_mem | static_cast<u32>(type_flag::fixed_size) | static_cast<u32>(type_flag::aligned),
    ctx_or_null = ctx | static_cast<u32>(type_flag::maybe_null),
};

/// What r0 holds behind the call.
enum class ret_type : u32 {
    is_flagged_kind_ = 0,
    integer = 0,     ///< unknown scalar
    none,            ///< void: r0 is unreadable afterwards
    map_value,       ///< value of the map in the const_map_ptr argument
    socket,
    sock_common,
    tcp_sock,
    mem,             ///< memory of the const_alloc_size argument
    mem_or_btf_id,   ///< memory or a kernel object, by the type of the per-CPU variable
    btf_id,          ///< pointer to the kernel type helper_proto::ret_btf names
    dynptr_mem,      ///< memory of a slice

    map_value_or_null = map_value | static_cast<u32>(type_flag::maybe_null),
    slice_or_null = dynptr_mem | static_cast<u32>(type_flag::maybe_null), ///< const_alloc_size bytes of the dynptr argument
    /// memory of the const_alloc_size argument, referenced: must be released
    alloc_mem_or_null = mem | static_cast<u32>(type_flag::maybe_null) | static_cast<u32>(type_flag::ringbuf),
};

/// What the function may touch beyond its arguments.
enum : u32 {
    helper_gpl_only = 1u << 0,      ///< refused to programs without a GPL-compatible licence
    helper_pkt_access = 1u << 1,    ///< memory arguments may point into the packet
    helper_acquires = 1u << 2,      ///< r0 holds a reference
    helper_acquires_sock = 1u << 3, ///< r0 holds a reference when the map's values are sockets
    helper_changes_pkt = 1u << 4,   ///< packet pointers are invalid afterwards
    helper_needs_perfmon = 1u << 5, ///< CAP_PERFMON
    helper_tail_call = 1u << 6,     ///< the interpreter and the JIT know it; fn is not called
    helper_fmt = 1u << 7,           ///< a format string whose directives the verifier checks (snprintf)
    helper_get_func_ip = 1u << 8,   ///< kprobe programs only: the verifier says ENOTSUPP to the other prog_types
    helper_attach_cookie = 1u << 9, ///< reads the cookie of the attachment
    helper_traces = 1u << 10,       ///< writes to the trace buffer
    helper_writes_map = 1u << 11,   ///< refused for a map that programs may only read
    helper_ret_len = 1u << 12,      ///< r0 is at most the last size argument, or an errno
    helper_ret_cpu = 1u << 13,      ///< r0 is the number of a CPU
    helper_needs_bpf = 1u << 14,    ///< CAP_BPF
    helper_may_sleep = 1u << 15,    ///< sleepable programs outside RCU sections only
    helper_fastcall = 1u << 16,     ///< clobbers r0 and its arguments only, when inlined (bpf_fastcall)
    helper_casts = 1u << 17,        ///< r0 is the argument's object under another type: it shares its reference
    helper_slices = 1u << 18,       ///< r0 is memory of the dynptr argument and ends with it
    helper_storage_get = 1u << 19,  ///< may make the element: allocates without sleeping inside RCU and preemption sections
    helper_calls_back = 1u << 20,   ///< calls the `func` argument before it returns
    helper_calls_later = 1u << 21,  ///< registers the `func` argument, which runs on its own
    helper_unlocks = 1u << 22,      ///< allowed while a bpf_spin_lock is held
    helper_zero_flags = 1u << 23,   ///< the second argument must be 0: the helper cannot report an error
    helper_percpu_ptr = 1u << 24,   ///< of a per-CPU object that the program allocated, r0 is one CPU's copy
    helper_dynptr_from_mem = 1u << 25, ///< the memory must be a map value: it outlives the call
    helper_sets_retval = 1u << 26,  ///< not for hooks without a return value
    helper_writes_dynptr = 1u << 27, ///< changes the packet if the dynptr is a packet's
    helper_warns = 1u << 28, ///< may harm the system that it runs on: each load is logged
    helper_shows_types = 1u << 29, ///< looks at the kernel's types, which must be there before it runs
};

using helper_fn = u64 (*)(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

/// What a row asks of the kernel function or iterator that the program attaches to (hook_allows).
enum class hook_rule : u8 {
    any,
    d_path,         ///< where a path may be resolved
    sleepable_lsm,  ///< LSM hooks that may sleep
    not_sk_storage, ///< not the functions of socket storage themselves
    iter_sockets,   ///< iterators over sockets that hold their lock
    lsm_sockets,    ///< LSM hooks with a socket whose options may be changed
};

/// What stands for the attach type of a struct_ops program: whose structure it fills. (0 has no helpers.)
enum class struct_ops_kind : u8 { none, plain, tcp, tcp_release, sched_ext };

/// One prototype. An id may have several, for different programs: the first one that fits counts.
struct helper_proto {
    u32 id; ///< BPF_FUNC_*
    ret_type ret;
    arg_type args[5];
    u32 flags;
    u64 prog_types; ///< bit mask by BPF_PROG_TYPE_*
    u64 map_types;  ///< bit mask by BPF_MAP_TYPE_* of the maps that it works on; 0: takes no map
    helper_fn fn;   ///< null: known to the verifier, but modbpf cannot run it
    u64 attach_types = 0;    ///< bit mask by expected attach type (struct_ops: by struct_ops_kind); 0: any
    u8 sizes[5]{};           ///< bytes of the fixed_size arguments (8 for uninit_u64)
    const char *btf_types[5]{}; ///< names of the kernel structures that btf_id arguments point to
    const char *ret_btf = nullptr; ///< and of the one behind r0
    hook_rule hook = hook_rule::any;
    u64 (*plain)() = nullptr; ///< all that fn does, where it only passes the question on; null: more
    helper_fn asleep = nullptr; ///< what a sleepable program calls in its place, where that has no run context; null: fn

    // For the rows: the same, with one of the rarer members set.
    constexpr helper_proto on(u64 attach) const {
        helper_proto p = *this;
        p.attach_types = attach;
        return p;
    }
    template <u32 N> constexpr helper_proto sized(const u8 (&bytes)[N]) const {
        helper_proto p = *this;
        for (u32 i = 0; i < N; i++)
            p.sizes[i] = bytes[i];
        return p;
    }
    template <u32 N> constexpr helper_proto typed(const char *const (&names)[N]) const {
        helper_proto p = *this;
        for (u32 i = 0; i < N; i++)
            p.btf_types[i] = names[i];
        return p;
    }
    constexpr helper_proto gives(const char *name) const {
        helper_proto p = *this;
        p.ret_btf = name;
        return p;
    }
    constexpr helper_proto only(hook_rule r) const {
        helper_proto p = *this;
        p.hook = r;
        return p;
    }
    constexpr helper_proto passing_to(u64 (*f)()) const {
        helper_proto p = *this;
        p.plain = f;
        return p;
    }
    constexpr helper_proto sleeping(helper_fn f) const {
        helper_proto p = *this;
        p.asleep = f;
        return p;
    }
};

/// The prototype for a program of that type, or null when Linux does not let it call the helper. attach_type: the expected one, or
/// the struct_ops_kind.
const helper_proto *find_helper(u32 id, u32 prog_type, u32 attach_type);
/// The prototype that runs, whatever the program type: the first one of this id with a function. Null: cannot run here.
const helper_proto *find_helper(u32 id);
/// The one that runs when this code calls it.
const helper_proto *helper_of(const code &c, u32 id);
/// And its function there.
helper_fn function_of(const code &c, const helper_proto &p);
/// The first row of this id: for what does not depend on the program. Null: no such helper.
const helper_proto *any_helper(u32 id);
/// "map_lookup_elem" for id 1; null for an id that Linux 6.12 does not know.
const char *helper_name(u32 id);
span<const helper_proto> all_helpers();

/// What a struct_ops program that is `member` of the kernel's `structure` may call.
struct_ops_kind struct_ops_kind_of(const char *structure, const char *member);
/// May the LSM hook (with its prefix "bpf_lsm_") sleep?
bool lsm_hook_may_sleep(const char *function);
/// May a program that attaches to `function` (its name, or null) call what has this rule?
bool hook_allows(hook_rule r, u32 prog_type, u32 attach_type, const char *function);

constexpr u64 bit(u32 n) { return 1ull << n; }

struct packet_run;

/// Of the bpf_spin_lock that a run holds: what to give back, and whether it took the lock at all (maps/value.h).
struct lock_state {
    unsigned long irq_flags;
    bool taken;
};

/// What a running program was started by. Lives on the runner's stack; port_run_slot() points to the innermost one.
struct run_ctx {
    run_ctx *outer;  ///< the run that this one interrupted, or null
    void *regs;      ///< struct pt_regs of the event, or null (TEST_RUN)
    u64 func_ip;     ///< bpf_get_func_ip
    u64 cookie;      ///< bpf_get_attach_cookie
    void *counter;   ///< of the event that overflowed (port_perf_read), or null
    lock_state lock;          ///< unless `outer_lock` is the run's
    const packet_run *packet; ///< of a packet program, or null: perf_event_output may append packet bytes
    void *engine;             ///< in a process: the interpreter that runs the program, or null: its image runs
    u64 (*call_engine)(void *engine, u64 fn, const u64 (&args)[5]);
    lock_state *outer_lock = nullptr; ///< in a process: that of the program that the interpreter runs
    void *anchor = nullptr;   ///< frame of the running program's image that bpf_throw leaves to; null: it has none
    u64 *call_data = nullptr; ///< of a probe at a function's call: 8 bytes that its entry and return share, or null
    bool at_return = false;   ///< of such a probe
    void *timer = nullptr;    ///< whose callback this is (maps/async.h), or null
};
/// A run that an event started. Member by member, since compilers zero a whole as a block, which costs more than a short program.
struct event_run : run_ctx {
    event_run(void *of_regs, u64 ip, u64 of_cookie) {
        regs = of_regs;
        func_ip = ip;
        cookie = of_cookie;
        counter = nullptr;
        lock.taken = false;
        packet = nullptr;
#ifndef MODBPF_KERNEL
        engine = nullptr;
#endif
    }
};

/// Makes `c` the innermost run of this CPU for its lifetime. Preemption off, any context.
class run_scope {
public:
    explicit run_scope(run_ctx &c) : slot_(reinterpret_cast<run_ctx **>(port_run_slot())) {
        c.outer = *slot_;
        *slot_ = &c;
    }
    ~run_scope() { *slot_ = (*slot_)->outer; }
    run_scope(const run_scope &) = delete;

private:
    run_ctx **slot_;
};
inline run_ctx *current_run() { return static_cast<run_ctx *>(*port_run_slot()); }
/// Of the innermost run. A sleepable program has none, but a lock that it holds keeps others from its CPU. Interrupts off.
lock_state &current_lock();

/// The anchor of the innermost run is another from here on; -> the one before. For images, at their entry and exit.
void *exchange_anchor(void *anchor);

/// Calls the function of the running program whose address a helper was given. -> its r0
inline u64 call_back(u64 fn, u64 r1, u64 r2 = 0, u64 r3 = 0, u64 r4 = 0, u64 r5 = 0) {
#ifndef MODBPF_KERNEL
    if (run_ctx *c = current_run(); c && c->engine) {
        const u64 args[5] = {r1, r2, r3, r4, r5};
        return c->call_engine(c->engine, fn, args);
    }
#endif
    return reinterpret_cast<helper_fn>(fn)(r1, r2, r3, r4, r5);
}

/// The helpers' own state: per-CPU scratch buffers of the printf family. Once, in task context, before any program
/// runs; ENOMEM.
status helpers_init();
void helpers_exit();
status spin_locks_init(); ///< part of helpers_init
void spin_locks_exit();

/// Calls fn with preemption off, inside RCU: what a sleepable program calls that does not sleep. Task context.
u64 call_in_section(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, helper_fn fn);
/// Does a sleepable program call the helper in such a section? Not what sleeps itself, or calls functions that may.
constexpr bool runs_in_section(const helper_proto &p) { return !(p.flags & (helper_may_sleep | helper_calls_back)); }
/// `size` (1, 2, 4, 8) bytes of kernel memory at `addr`, or 0 where none can be read. Any context.
u64 probe_load(u64 addr, u64 size);

/// Checks a bpf_snprintf/trace_printk format as Linux's bpf_bprintf_prepare does. -> number of arguments, or the errno.
/// A call is fine when it passes at least that many (Linux allows more). `size` bounds the search for the NUL.
result<u32> check_format(const char *fmt, u32 size);
/// What a tail call enters: the program in the slot; null when there is none, or when the stack would not hold. Any context.
runnable *tail_call_target(map *m, u32 index);
/// Loads `size` (1, 2, 4) bytes at `off` of the packet in network order, for BPF_LD|ABS and IND. Negative offsets as
/// Linux (SKF_NET_OFF, SKF_LL_OFF). True when the bytes are there. ctx: a packet_run (helpers/packet.h).
bool load_packet_bytes(const void *ctx, s32 off, u32 size, u64 *value);

}  // namespace modbpf
