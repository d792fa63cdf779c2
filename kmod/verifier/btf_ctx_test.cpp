// SPDX-License-Identifier: GPL-2.0-only
// Programs with typed arguments: what they may stand at, what their arguments are, what loads through them give, what they may return; and
// loads of kernel symbols and of a map's own fields.
#include "verifier/btf_kernel_test.h"

namespace modbpf::test {

namespace {

constexpr u32 tracing = BPF_PROG_TYPE_TRACING, lsm = BPF_PROG_TYPE_LSM, ops = BPF_PROG_TYPE_STRUCT_OPS, kprobe = BPF_PROG_TYPE_KPROBE;
const prog leave = {mov(r0, 0), exit_()};

struct typed_row {
    const char *name;
    u32 type;
    u32 attach;
    u32 target;
    prog p;
    int err = 0;
    const char *text = "";
    u32 flags = 0;
    bool gpl = true;
    bool perfmon = true;
};

/// tcp_send_ack(the operation's socket, 0); `spoilt`: or of a number, on the way that is explored last.
prog send_ack(bool spoilt) {
    return {mov_x(6, 1), call(BPF_FUNC_get_prandom_u32), ldx(BPF_DW, 1, 6, 0), jmp(BPF_JEQ, 0, 0, 1), ja(1), mov(static_cast<u8>(spoilt ? 1 : 2), 0x4141),
            mov(2, 0), call(BPF_FUNC_tcp_send_ack), mov(0, 0), exit_()};
}

const small_kernel &k() { return kernel_of_tests(); }

std::vector<typed_row> target_rows() {
    constexpr u32 entry = BPF_TRACE_FENTRY, leave_fn = BPF_TRACE_FEXIT, mod = BPF_MODIFY_RETURN, tp = BPF_TRACE_RAW_TP, iter = BPF_TRACE_ITER;
    return {
        {"function", tracing, entry, k().plain, leave},
        {"no target", tracing, entry, 0, leave, EINVAL, "Tracing programs must provide btf_id"},
        {"no such type", tracing, entry, 99999, leave, EINVAL, "attach_btf_id 99999 is invalid"},
        {"not a function", tracing, entry, k().task, leave, EINVAL, "is not a function"},
        {"no attach type of tracing", tracing, BPF_XDP, k().plain, leave, EINVAL},
        {"variable arguments", tracing, entry, k().variadic, leave, EINVAL, "The function printk with variable args is unsupported."},
        {"a result of two words at the start", tracing, entry, k().big_ret, leave},
        {"a result of two words at the end", tracing, leave_fn, k().big_ret, leave, EOPNOTSUPP, ">8 byte return value is not supported"},
        {"a function that is never left", tracing, leave_fn, k().exit_fn, leave, EINVAL, "__noreturn functions is rejected"},
        {"its start", tracing, entry, k().exit_fn, leave},
        {"a function that every program calls", tracing, entry, k().deny, leave, EINVAL},
        {"modify the result of a hook", tracing, mod, k().modify, leave},
        {"modify another result", tracing, mod, k().plain, leave, EINVAL, "plain() is not modifiable"},
        {"sleep in a function", tracing, entry, k().plain, leave, EINVAL, "plain is not sleepable", BPF_F_SLEEPABLE},
        {"sleep in a function that may", tracing, entry, k().syscall_like, leave, 0, "", BPF_F_SLEEPABLE},
        {"sleep in a tracepoint", tracing, tp, k().tp_trace, leave, EINVAL, "can be sleepable", BPF_F_SLEEPABLE},
        {"tracepoint", tracing, tp, k().tp_trace, leave},
        {"no typedef", tracing, tp, k().plain, leave, EINVAL, "is not a typedef"},
        {"another typedef", tracing, tp, k().not_tp, leave, EINVAL, "points to wrong type name u32"},
        {"iterator", tracing, iter, k().iter_task, leave},
        {"iterator that nobody registers", tracing, iter, k().iter_unknown, leave, EINVAL},
        {"a function is no iterator", tracing, iter, k().plain, leave, EINVAL},
        {"hook", lsm, BPF_LSM_MAC, k().hook_int, leave},
        {"hook of proprietary programs", lsm, BPF_LSM_MAC, k().hook_int, leave, EINVAL, "LSM programs must have a GPL compatible license", 0, false},
        {"hook that is closed", lsm, BPF_LSM_MAC, k().hook_disabled, leave, EINVAL, "points to disabled hook bpf_lsm_getprocattr"},
        {"no hook", lsm, BPF_LSM_MAC, k().plain, leave, EINVAL, "points to wrong type name plain"},
        {"sleep in a hook", lsm, BPF_LSM_MAC, k().hook_void, leave, EINVAL, "bpf_lsm_cred_free is not sleepable", BPF_F_SLEEPABLE},
        {"sleep in a hook that may", lsm, BPF_LSM_MAC, k().hook_sleeps, leave, 0, "", BPF_F_SLEEPABLE},
        {"operation", ops, 0, k().tcp_ops, {exit_()}},
        {"operation without target", ops, 0, 0, leave, ENOTSUPP},
        {"operation that programs may not give", ops, 2, k().tcp_ops, leave, ENOTSUPP, "attach to unsupported member get_info of struct tcp_congestion_ops"},
        {"no operation", ops, 3, k().tcp_ops, leave, EINVAL, "attach to invalid member flags(@idx 3) of struct tcp_congestion_ops"},
        {"behind the operations", ops, 4, k().tcp_ops, leave, EINVAL, "attach to invalid member idx 4 of struct tcp_congestion_ops"},
        {"operations that nobody registers", ops, 0, k().other_ops, leave, ENOTSUPP, "is not a supported struct"},
        {"operation of proprietary programs", ops, 0, k().tcp_ops, leave, EINVAL, "struct ops programs must have a GPL compatible license", 0, false},
        {"sleep in an operation", ops, 0, k().dummy_ops, leave, EINVAL, "attach to unsupported member test_1", BPF_F_SLEEPABLE},
        {"sleep in one that may", ops, 1, k().dummy_ops, leave, 0, "", BPF_F_SLEEPABLE},
    };
}

std::vector<typed_row> argument_rows() {
    constexpr u32 entry = BPF_TRACE_FENTRY, end = BPF_TRACE_FEXIT, tp = BPF_TRACE_RAW_TP, iter = BPF_TRACE_ITER;
    auto arg = [](s16 off, u8 size = BPF_DW) { return prog{ldx(size, r2, r1, off)}; };
    const prog deref{ldx(BPF_W, r3, r2, 0)};
    // r2 as r1, with a size
    auto buffer = [](s32 off) { return prog{jmp(BPF_JNE, r2, 0, 2)} + leave + prog{mov_x(r1, r2), add(r1, off), mov(r2, 4)}; };
    return {
        {"object", tracing, entry, k().plain, arg(0) + leave, 0, "R2_w=ptr_task_struct()"},
        {"what it says in the log", tracing, entry, k().plain, arg(0) + leave, 0, "func 'plain' arg0 has btf_id"},
        {"its field", tracing, entry, k().plain, arg(0) + deref + leave},
        {"half an object", tracing, entry, k().plain, arg(0, BPF_W) + leave, EACCES, "func 'plain' size 4 must be 8"},
        {"number", tracing, entry, k().plain, arg(8) + leave, 0, "R2_w=scalar()"},
        {"part of a number", tracing, entry, k().plain, arg(8, BPF_W) + leave},
        {"between arguments", tracing, entry, k().plain, arg(4, BPF_W) + leave, EACCES, "func 'plain' offset 4 is not multiple of 8"},
        {"no third argument", tracing, entry, k().plain, arg(16) + leave, EACCES, "func 'plain' doesn't have 3-th argument"},
        {"result at the end", tracing, end, k().plain, arg(16) + leave, 0, "R2_w=scalar()"},
        {"behind the result", tracing, end, k().plain, arg(24) + leave, EACCES, "doesn't have 4-th argument"},
        {"in front of the context", tracing, entry, k().plain, arg(-8) + leave, EACCES, "invalid bpf_context access off=-8 size=8"},
        {"in front of a hook's context", lsm, BPF_LSM_MAC, k().hook_int, arg(-8) + leave, EACCES, "invalid bpf_context access off=-8 size=8"},
        {"contexts are read", tracing, entry, k().plain, prog{st(BPF_DW, r1, 0, 1)} + leave, EACCES, "invalid bpf_context access off=0 size=8"},
        {"hooks' contexts, too", lsm, BPF_LSM_MAC, k().hook_int, prog{st(BPF_DW, r1, 0, 1)} + leave, EACCES, "invalid bpf_context access"},
        {"a structure is two words", tracing, entry, k().many, arg(8) + leave, 0, "R2_w=scalar()"},
        {"argument behind it", tracing, entry, k().many, arg(16) + leave, 0, "R2_w=scalar()"},
        {"pointer to nothing", tracing, entry, k().many, arg(24) + leave, 0, "R2_w=scalar()"},
        {"pointer to a number", tracing, entry, k().many, arg(32) + leave, 0, "R2_w=scalar()"},
        {"object that may be NULL", tracing, entry, k().many, arg(40) + leave, 0, "R2_w=ptr_or_null_sock(id=1)"},
        {"NULL is not read", tracing, entry, k().many, arg(40) + deref + leave, EACCES, "R2 invalid mem access 'ptr_or_null_'"},
        {"compared it is", tracing, entry, k().many, arg(40) + prog{jmp(BPF_JEQ, r2, 0, 1)} + deref + leave},
        {"user memory", tracing, entry, k().many, arg(48) + deref + leave, EACCES, "R2 is ptr_task_struct access user memory: off=0"},
        {"pointer to a pointer", tracing, entry, k().many, arg(56) + leave, EACCES, "func 'many' arg6 type PTR is not a struct"},
        {"result that is an object", tracing, end, k().many, arg(64) + deref + leave},
        {"tracepoint's object is trusted", tracing, tp, k().tp_trace, arg(8) + leave, 0, "R2_w=trusted_ptr_task_struct()"},
        {"or NULL where known", tracing, tp, k().tp_trace, arg(0) + leave, 0, "R2_w=trusted_ptr_or_null_task_struct(id=1)"},
        {"tracepoint's number", tracing, tp, k().tp_trace, arg(16) + leave, 0, "R2_w=scalar()"},
        {"tracepoints have no result", tracing, tp, k().tp_trace, arg(24) + leave, EACCES, "func 'sched_process_wait' doesn't have 4-th argument"},
        {"an errno in disguise", tracing, tp, k().tp_error, arg(8) + deref + leave, EACCES, "R2 invalid mem access 'scalar'"},
        {"iterator's object", tracing, iter, k().iter_task, arg(8) + leave, 0, "R2_w=trusted_ptr_or_null_task_struct(id=1)"},
        {"iterator's meta", tracing, iter, k().iter_task, arg(0) + leave, 0, "R2_w=trusted_ptr_bpf_iter_meta()"},
        {"iterator's buffer", tracing, iter, k().iter_elem, arg(16) + leave, 0, "R2_w=rdonly_buf_or_null(id=1)"},
        {"buffer to write", tracing, iter, k().iter_elem, arg(24) + leave, 0, "R2_w=buf_or_null(id=1)"},
        {"iterator's buffer, read by a helper", tracing, iter, k().iter_elem, arg(16) + buffer(0) + prog{call(BPF_FUNC_trace_printk)} + leave},
        {"from where it starts on", tracing, iter, k().iter_elem, arg(16) + buffer(-1) + prog{call(BPF_FUNC_trace_printk)} + leave, EACCES,
         "R1 invalid rdonly buffer access: off=-1, size=4"},
        {"not written", tracing, iter, k().iter_elem, arg(16) + buffer(0) + prog{mov(r3, 0), call(BPF_FUNC_probe_read_kernel)} + leave, EACCES,
         "R1 type=rdonly_buf expected="},
        {"the other one is", tracing, iter, k().iter_elem, arg(24) + buffer(0) + prog{mov(r3, 0), call(BPF_FUNC_probe_read_kernel)} + leave},
        {"hook's object is trusted", lsm, BPF_LSM_MAC, k().hook_int, arg(0) + leave, 0, "R2_w=trusted_ptr_task_struct()"},
        {"but not half gone", lsm, BPF_LSM_MAC, k().hook_untrusted, arg(0) + exit_(), 0, "R2_w=ptr_task_struct()"},
        {"hook's result so far", lsm, BPF_LSM_MAC, k().hook_int, prog{ldx(BPF_DW, r0, r1, 8), exit_()}},
        {"argument of an operation's helper", ops, 0, k().tcp_ops, send_ack(false)},
        {"on every way", ops, 0, k().tcp_ops, send_ack(true), EACCES, "R1 type=scalar expected="},
        {"tcp operations get tcp sockets", ops, 0, k().tcp_ops, arg(0) + leave, 0, "R2_w=trusted_ptr_tcp_sock()"},
        {"operation's argument may be NULL", ops, 0, k().dummy_ops, arg(0) + leave, 0, "R2_w=trusted_ptr_or_null_bpf_dummy_ops_state(id=1)"},
        {"where its stub says so", ops, 1, k().dummy_ops, arg(0) + leave, 0, "R2_w=trusted_ptr_bpf_dummy_ops_state()"},
    };
}

std::vector<typed_row> access_rows() {
    constexpr u32 entry = BPF_TRACE_FENTRY, tp = BPF_TRACE_RAW_TP;
    const prog task{ldx(BPF_DW, r2, r1, 0)}, trusted{ldx(BPF_DW, r2, r1, 8)};
    auto field = [](s16 off, u8 size = BPF_DW) { return prog{ldx(size, r3, r2, off)}; };
    return {
        {"beyond", tracing, entry, k().plain, task + field(72) + leave, EACCES, "access beyond struct task_struct at off 72 size 8"},
        {"across fields", tracing, entry, k().plain, task + field(0) + leave, EACCES, "access beyond the end of member pid (mend:4)"},
        {"in front", tracing, entry, k().plain, task + field(-8) + leave, EACCES, "R2 is ptr_task_struct invalid negative access: off=-8"},
        {"moved and back", tracing, entry, k().plain, task + prog{add(r2, 8)} + field(-8, BPF_W) + leave},
        {"moved by an unknown number", tracing, entry, k().plain, task + prog{ldx(BPF_DW, r4, r1, 8), alu(BPF_AND, r4, 7), add_x(r2, r4)} + field(0, BPF_W) + leave,
         EACCES, "R2 is ptr_task_struct invalid variable offset: off=0, var_off=(0x0; 0x7)"},
        {"written", tracing, entry, k().plain, task + prog{st(BPF_W, r2, 0, 1)} + leave, EACCES, "only read is supported"},
        {"atomically", tracing, entry, k().plain, task + prog{mov(r3, 1), atomic(BPF_W, BPF_ADD, r2, r3, 0)} + leave, EACCES, "only read is supported"},
        {"by proprietary programs", tracing, entry, k().plain, task + field(0, BPF_W) + leave, EINVAL, "Cannot access kernel 'struct task_struct' from non-GPL", 0, false},
        {"signed", tracing, entry, k().plain, task + prog{ldsx(BPF_W, r3, r2, 0), mov(r0, 0), jmp(BPF_JSGT, r3, 0, 0), exit_()}, 0, "R3_w=scalar(smin=0xffffffff80000000,smax=0x7fffffff)"},
        {"pointer in a pointer", tracing, entry, k().plain, task + field(8) + prog{ldx(BPF_W, r4, r3, 0)} + leave, 0, "R3_w=ptr_task_struct()"},
        {"pointer to text is a number", tracing, entry, k().plain, task + field(32) + leave, 0, "R3_w=scalar()"},
        {"union", tracing, tp, k().tp_trace, trusted + field(40) + leave, 0, "R3_w=untrusted_ptr_ns()"},
        {"user pointer in it", tracing, entry, k().plain, task + field(48) + leave, 0, "R3_w=user_ptr_task_struct()"},
        {"a pointer that stays valid under RCU", tracing, tp, k().tp_trace, trusted + field(8) + leave, 0, "R3_w=rcu_ptr_task_struct()"},
        {"and from there", tracing, tp, k().tp_trace, trusted + field(8) + prog{ldx(BPF_DW, r4, r3, 16)} + leave, 0, "R4_w=rcu_ptr_css_set()"},
        {"tagged as RCU", tracing, tp, k().tp_trace, trusted + field(56) + leave, 0, "R3_w=rcu_ptr_or_null_ns(id=1)"},
        {"nothing known of it", tracing, tp, k().tp_trace, trusted + field(24) + leave, 0, "R3_w=ptr_ns()"},
        {"when the program may sleep it is stale", lsm, BPF_LSM_MAC, k().hook_sleeps, task + field(8) + leave, 0, "R3_w=untrusted_ptr_task_struct()", BPF_F_SLEEPABLE},
        {"stale pointers are read", lsm, BPF_LSM_MAC, k().hook_sleeps, task + field(8) + prog{ldx(BPF_W, r4, r3, 0)} + leave, 0, "", BPF_F_SLEEPABLE},
        {"trusted and not on two paths", tracing, tp, k().tp_trace,
         prog{ldx(BPF_DW, r2, r1, 8), ldx(BPF_DW, r4, r1, 16), jmp(BPF_JEQ, r4, 0, 1), ldx(BPF_DW, r2, r2, 8), ldx(BPF_W, r3, r2, 0)} + leave},
        {"an object or the stack on two paths", tracing, tp, k().tp_trace,
         prog{ldx(BPF_DW, r2, r1, 8), ldx(BPF_DW, r4, r1, 16), st(BPF_DW, r10, -8, 0), jmp(BPF_JEQ, r4, 0, 2), mov_x(r2, r10), add(r2, -8), ldx(BPF_W, r3, r2, 0)} + leave,
         EINVAL, "same insn cannot be used with different pointers"},
        {"operation writes its socket", ops, 0, k().tcp_ops, task + prog{st(BPF_W, r2, 16, 1)} + leave},
        {"only what it may", ops, 0, k().tcp_ops, task + prog{st(BPF_DW, r2, 32, 1)} + leave, EACCES, "no write support to tcp_sock at off 32"},
        {"and no more", ops, 0, k().tcp_ops, task + prog{st(BPF_DW, r2, 16, 1)} + leave, EACCES, "write access at off 16 with size 8 beyond the member of tcp_sock ended at 20"},
    };
}

std::vector<typed_row> return_rows() {
    auto returns = [](s32 v) { return prog{mov(r0, v), exit_()}; };
    return {
        {"entry gives 0", tracing, BPF_TRACE_FENTRY, k().plain, returns(1), EINVAL, "At program exit the register R0 has smin=1 smax=1 should have been in [0, 0]"},
        {"modified results are free", tracing, BPF_MODIFY_RETURN, k().modify, returns(7)},
        {"tracepoints are free", tracing, BPF_TRACE_RAW_TP, k().tp_trace, returns(7)},
        {"iterators give 0 or 1", tracing, BPF_TRACE_ITER, k().iter_task, returns(2), EINVAL, "should have been in [0, 1]"},
        {"hooks give 0", lsm, BPF_LSM_MAC, k().hook_int, returns(0)},
        {"or an errno", lsm, BPF_LSM_MAC, k().hook_int, returns(-1)},
        {"but not 1", lsm, BPF_LSM_MAC, k().hook_int, returns(1), EINVAL, "should have been in [-4095, 0]"},
        {"nor less than an errno", lsm, BPF_LSM_MAC, k().hook_int, returns(-4096), EINVAL, "should have been in [-4095, 0]"},
        {"hooks that ask give 1", lsm, BPF_LSM_MAC, k().hook_bool, returns(1)},
        {"but no errno", lsm, BPF_LSM_MAC, k().hook_bool, returns(-1), EINVAL, "should have been in [0, 1]"},
        {"hooks without result give none", lsm, BPF_LSM_MAC, k().hook_void, {exit_()}},
        {"cgroup hooks give 0 or 1", lsm, BPF_LSM_CGROUP, k().hook_int, returns(1)},
        {"not 2", lsm, BPF_LSM_CGROUP, k().hook_int, returns(2), EINVAL, "should have been in [0, 1]"},
        {"cgroup hooks without result give 1", lsm, BPF_LSM_CGROUP, k().hook_void, returns(0), EINVAL,
         "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!"},
    };
}

prog ld_ksym(u8 dst, u32 id) {
    return {raw(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_BTF_ID, 0, static_cast<s32>(id)), raw(0, 0, 0, 0, 0)};
}

std::vector<typed_row> symbol_rows() {
    auto with = [](u32 id, prog p) { return ld_ksym(r2, id) + p + leave; };
    return {
        {"variable", kprobe, 0, 0, with(k().var_int, {ldx(BPF_DW, r3, r2, 0)}), 0, "R2_w=rdonly_mem(sz=8)"},
        {"variables are read", kprobe, 0, 0, with(k().var_int, {st(BPF_DW, r2, 0, 1)}), EACCES, "R2 cannot write into rdonly_mem"},
        {"and end", kprobe, 0, 0, with(k().var_int, {ldx(BPF_DW, r3, r2, 8)}), EACCES, "invalid access to memory, mem_size=8 off=8 size=8"},
        {"structure", kprobe, 0, 0, with(k().var_struct, {ldx(BPF_W, r3, r2, 0)}), 0, "R2_w=ptr_task_struct()"},
        {"function", kprobe, 0, 0, with(k().var_void, {}), 0, "R2_w=rdonly_mem(sz=0)"},
        {"functions are not read", kprobe, 0, 0, with(k().var_void, {ldx(BPF_B, r3, r2, 0)}), EACCES, "invalid access to memory, mem_size=0 off=0 size=1"},
        {"per-CPU variable", kprobe, 0, 0, with(k().var_percpu_int, {}), 0, "R2_w=percpu_ptr_int()"},
        {"is not read", kprobe, 0, 0, with(k().var_percpu_struct, {ldx(BPF_W, r3, r2, 0)}), EACCES, "R2 is ptr_task_struct access percpu memory: off=0"},
        {"neither", kprobe, 0, 0, with(k().task, {}), EINVAL, "isn't KIND_VAR or KIND_FUNC"},
        {"no such symbol", kprobe, 0, 0, with(99999, {}), ENOENT, "ldimm64 insn specifies invalid btf_id 99999."},
        {"a map's field", kprobe, 0, 0, ld_map(r2, array_fd) + prog{ldx(BPF_W, r3, r2, 0)} + leave, 0, "R3_w=scalar("},
        {"a map's pointer", kprobe, 0, 0, ld_map(r2, array_fd) + prog{ldx(BPF_DW, r3, r2, 8), ldx(BPF_W, r4, r3, 0)} + leave, 0, "R3_w=ptr_ns()"},
        {"maps are read", kprobe, 0, 0, ld_map(r2, array_fd) + prog{st(BPF_W, r2, 0, 1)} + leave, EACCES, "only read from bpf_array is supported"},
        {"and begin", kprobe, 0, 0, ld_map(r2, array_fd) + prog{ldx(BPF_W, r3, r2, -8)} + leave, EACCES, "R2 is bpf_array invalid negative access: off=-8"},
        {"a map whose structure nothing describes", kprobe, 0, 0, ld_map(r2, hash_fd) + prog{ldx(BPF_W, r3, r2, 0)} + leave, ENOTSUPP,
         "map_ptr access not supported for map type 1"},
    };
}

outcome run(const typed_row &r, options o) {
    o.type = r.type;
    o.attach = r.attach;
    o.flags |= r.flags;
    o.gpl = r.gpl;
    o.verify_only = true;
    o.perfmon = r.perfmon;
    o.kernel = &*k().types;
    o.target.btf_id = r.target;
    o.target.types = r.target || r.type != kprobe ? &*k().types : nullptr;
    return check(r.p, o);
}

}  // namespace

TEST(TypedContext, Rows) {
    for (const auto &rows : {target_rows(), argument_rows(), access_rows(), return_rows(), symbol_rows()})
        for (const auto &r : rows) {
            auto out = run(r, {.log_level = BPF_LOG_LEVEL2});
            EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
            EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
            for (options o : {options{.no_pruning = true}, options{.other_arm_first = true}, options{.flags = BPF_F_TEST_STATE_FREQ},
                              options{.log_level = 0}})
                EXPECT_EQ(run(r, o).err, r.err) << r.name;
        }
}

// How long keys and values have to be, for whoever attaches the program.
TEST(TypedContext, BuffersOfIterators) {
    options o{.type = tracing, .kernel = &*k().types, .attach = BPF_TRACE_ITER};
    o.target = {.btf_id = k().iter_elem, .types = &*k().types};
    prog reads = prog{mov_x(r6, r1), ldx(BPF_DW, r2, r6, 16), jmp(BPF_JEQ, r2, 0, 1), ldx(BPF_W, r3, r2, 12), ldx(BPF_DW, r2, r6, 24),
                      jmp(BPF_JEQ, r2, 0, 1), ldx(BPF_H, r3, r2, 100)} + leave;
    auto out = check(reads, o);
    ASSERT_EQ(out.err, 0) << out.log;
    EXPECT_EQ(out.program->max_rdonly_access, 16u);
    EXPECT_EQ(out.program->max_rdwr_access, 102u);
}

// Some cannot run here yet: whoever wants more than the verdict is told what is missing.
TEST(TypedContext, IsAbsent) {
    options o{.type = tracing, .kernel = &*k().types, .attach = BPF_TRACE_FENTRY};
    o.target = {.btf_id = k().plain, .types = &*k().types};
    EXPECT_EQ(check(leave, o).err, 0);
    o.attach = BPF_TRACE_ITER;
    o.target.btf_id = k().iter_task;
    EXPECT_EQ(check(leave, o).err, 0);
    o.target.btf_id = k().iter_absent;
    EXPECT_EQ(check(leave, o).err, ENOTSUPP);
    o.verify_only = true;
    auto out = check(leave, o);
    ASSERT_EQ(out.err, 0) << out.log;
    EXPECT_STREQ(out.program->absent, "iterator bpf_iter_tcp");
}

}  // namespace modbpf::test
