// SPDX-License-Identifier: GPL-2.0-only
// Calls of kernel functions against types that stand for the kernel's: who may call, arguments by prototype, results, references,
// sections, iterators and the convergence of loops over them. Each rule beside what it lets pass.
#include "btf/btf_builder_test.h"
#include "helpers/kfunc.h"
#include "verifier/dynptr_rows.h"

namespace modbpf::test {

namespace {

struct kernel_like {
    ref<btf> types;
    u32 iter_new, iter_next, iter_destroy;
    u32 from_pid, acquire, release, rcu_lock, rcu_unlock, preempt_disable, preempt_enable;
    u32 clone, slice, slice_rdwr, from_skb, size;
    u32 user_str, unlisted, exec, crash, test_tp;
    u32 vma_new, vma_next, vma_destroy;
    u32 not_func;

    kernel_like() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), u = b.integer("u32", 4, 32), w = b.integer("u64", 8, 64);
        auto ptr = [&](u32 to) { return b.refer(K::pointer, to); };
        auto func = [&](const char *name, u32 ret, const std::vector<btf_builder::member> &params) {
            return b.func(name, b.proto(ret, params), BTF_FUNC_STATIC);
        };
        u32 voidp = ptr(0), it = ptr(b.composite(K::structure, "bpf_iter_num", 8, {{"opaque", w, 0}}));
        iter_new = func("bpf_iter_num_new", i, {{"it", it}, {"start", i}, {"end", i}});
        iter_next = func("bpf_iter_num_next", ptr(i), {{"it", it}});
        iter_destroy = func("bpf_iter_num_destroy", 0, {{"it", it}});
        u32 task = ptr(b.composite(K::structure, "task_struct", 16, {{"pid", i, 0}, {"flags", w, 64}}));
        from_pid = func("bpf_task_from_pid", task, {{"pid", i}});
        acquire = func("bpf_task_acquire", task, {{"p", task}});
        release = func("bpf_task_release", 0, {{"p", task}});
        rcu_lock = func("bpf_rcu_read_lock", 0, {}), rcu_unlock = func("bpf_rcu_read_unlock", 0, {});
        preempt_disable = func("bpf_preempt_disable", 0, {}), preempt_enable = func("bpf_preempt_enable", 0, {});
        u32 dyn = ptr(b.composite(K::structure, "bpf_dynptr", 16, {{"a", w, 0}, {"b", w, 64}}));
        u32 skb = ptr(b.composite(K::structure, "__sk_buff", 4, {{"len", u, 0}}));
        clone = func("bpf_dynptr_clone", i, {{"p", dyn}, {"clone__uninit", dyn}});
        slice = func("bpf_dynptr_slice", voidp, {{"p", dyn}, {"offset", u}, {"buffer__opt", voidp}, {"buffer__szk", u}});
        slice_rdwr = func("bpf_dynptr_slice_rdwr", voidp, {{"p", dyn}, {"offset", u}, {"buffer__opt", voidp}, {"buffer__szk", u}});
        from_skb = func("bpf_dynptr_from_skb", i, {{"s", skb}, {"flags", w}, {"ptr__uninit", dyn}});
        size = func("bpf_dynptr_size", u, {{"p", dyn}});
        user_str = func("bpf_copy_from_user_str", i, {{"dst", voidp}, {"dst__sz", u}, {"unsafe_ptr__ign", voidp}, {"flags", w}});
        unlisted = func("schedule", 0, {});
        test_tp = func("bpf_modify_return_test_tp", i, {{"nonce", i}});
        exec = func("bpf_get_task_exe_file", ptr(b.composite(K::structure, "file", 8, {{"f", w, 0}})), {{"task", task}});
        crash = func("crash_kexec", 0, {{"regs", ptr(b.composite(K::structure, "pt_regs", 8, {{"r15", w, 0}}))}});
        u32 walk = ptr(b.composite(K::structure, "bpf_iter_task_vma", 8, {{"opaque", w, 0}}));
        u32 vma = ptr(b.composite(K::structure, "vm_area_struct", 8, {{"vm_start", w, 0}}));
        vma_new = func("bpf_iter_task_vma_new", i, {{"it", walk}, {"task", task}, {"addr", w}});
        vma_next = func("bpf_iter_task_vma_next", vma, {{"it", walk}});
        vma_destroy = func("bpf_iter_task_vma_destroy", 0, {{"it", walk}});
        not_func = i;
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const kernel_like &k() {
    static kernel_like l;
    return l;
}

bpf_insn kcall(u32 id, s16 off = 0) { return raw(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, off, static_cast<s32>(id)); }

outcome run(const row &r, options o = {.log_level = BPF_LOG_LEVEL2}) {
    o.type = r.type;
    o.flags |= r.flags;
    o.kernel = &*k().types;
    o.verify_only = true;
    return check(r.p, o);
}

/// An err of rows that are refused for a reason that depends on the order of the search: what is widened does.
constexpr int refused = -1;

void expect_rows(const std::vector<row> &rows) {
    const options ways[] = {{.no_pruning = true}, {.other_arm_first = true}, {.flags = BPF_F_TEST_STATE_FREQ}, {.log_level = 0}};
    for (const auto &r : rows) {
        auto out = run(r);
        EXPECT_TRUE(r.err == refused ? out.err != 0 : out.err == r.err) << r.name << " gives " << out.err << "\n" << out.log;
        EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
        EXPECT_EQ(out.log.find("verifier bug"), std::string::npos) << r.name << "\n" << out.log;
        for (const auto &o : ways) {
            int err = run(r, o).err;
            EXPECT_TRUE(r.err == refused ? err != 0 : err == r.err) << r.name << " gives " << err << " flags " << o.flags << " no_pruning " << o.no_pruning;
        }
    }
}

prog begin(s16 off = -8) { return {mov_x(r1, r10), add(r1, off), mov(r2, 0), mov(r3, 10), kcall(k().iter_new)}; }
prog next(s16 off = -8) { return {mov_x(r1, r10), add(r1, off), kcall(k().iter_next)}; }
prog end(s16 off = -8) { return {mov_x(r1, r10), add(r1, off), kcall(k().iter_destroy)}; }
/// while (next()) body; with the iterator at fp-8. `body` has `n` words.
prog loop(const prog &body) {
    s16 n = static_cast<s16>(body.size());
    return next() + jmp(BPF_JEQ, r0, 0, static_cast<s16>(n + 1)) + body + ja(static_cast<s16>(-(n + 5)));
}
prog task() { return prog{mov(r1, 1), kcall(k().from_pid), jmp(BPF_JNE, r0, 0, 2)} + ret0 + prog{mov_x(r6, r0)}; }
prog drop() { return {mov_x(r1, r6), kcall(k().release)}; }

}  // namespace

TEST(Kfunc, WhoMayCall) {
    expect_rows({
        {"a common function", prog{kcall(k().rcu_lock), kcall(k().rcu_unlock)} + ret0, filter},
        {"its name in the log", prog{kcall(k().rcu_lock), kcall(k().rcu_unlock)} + ret0, filter, 0, "call bpf_rcu_read_lock#"},
        {"for a hook of this type", task() + drop() + ret0, cls},
        {"not for this type", task() + drop() + ret0, filter, EACCES, "calling kernel function bpf_task_from_pid is not allowed"},
        {"a function of the kernel that is none", prog{kcall(k().unlisted)} + ret0, cls, EACCES, "calling kernel function schedule is not allowed"},
        {"by attach type", prog{mov(r1, 0), kcall(k().exec)} + ret0, tp, EACCES, "calling kernel function bpf_get_task_exe_file is not allowed"},
        {"no function", prog{kcall(k().not_func)} + ret0, filter, EINVAL, "is not a function"},
        {"of a module, without descriptors", prog{kcall(k().rcu_lock, 1)} + ret0, filter, EPROTO, "kfunc offset > 0 without fd_array is invalid"},
        {"negative offset", prog{kcall(k().rcu_lock, -1)} + ret0, filter, EINVAL, "negative offset disallowed for kernel module function call"},
        {"what the loader did not find, dead", prog{mov(r0, 0), jmp(BPF_JEQ, r0, 0, 1), kcall(0)} + ret0, filter},
        {"what the loader did not find", prog{kcall(0)} + ret0, filter, EINVAL, "invalid kernel function call not eliminated in verifier pass"},
        {"sleeping in a program that does not sleep", prog{mov(r2, 8), mov(r4, 0), mov_x(r1, r10), add(r1, -8), kcall(k().user_str)} + ret0, filter, EACCES,
         "program must be sleepable to call sleepable kfunc bpf_copy_from_user_str"},
        {"sleeping", prog{mov(r2, 8), mov(r4, 0), mov_x(r1, r10), add(r1, -8), kcall(k().user_str)} + ret0, kprobe, 0, "", BPF_F_SLEEPABLE},
        {"destructive", prog{mov(r1, 0), kcall(k().crash)} + ret0, cls, EACCES, "destructive kfunc calls require CAP_SYS_BOOT capability"},
    });
}

TEST(Kfunc, OnlyForGplPrograms) {
    options o{.gpl = false, .verify_only = true, .kernel = &*k().types};
    auto out = check(prog{kcall(k().rcu_lock), kcall(k().rcu_unlock)} + ret0, o);
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("cannot call kernel function from non-GPL compatible program"), std::string::npos) << out.log;
}

TEST(Kfunc, IsVerifiedAndThenRefused) {
    options o{.flags = BPF_F_SLEEPABLE, .kernel = &*k().types};
    o.type = BPF_PROG_TYPE_KPROBE;
    prog sections = prog{kcall(k().rcu_lock), kcall(k().rcu_unlock)};
    EXPECT_EQ(check(sections + ret0, o).err, 0);
    ASSERT_FALSE(find_kfunc("vmlinux", "bpf_modify_return_test_tp", BPF_PROG_TYPE_KPROBE, 0)->fn);
    auto out = check(sections + prog{mov(r1, 1), kcall(k().test_tp)} + ret0, o);
    EXPECT_EQ(out.err, ENOTSUPP);
    EXPECT_NE(out.log.find("kfunc bpf_modify_return_test_tp is not supported by modbpf"), std::string::npos) << out.log;
}

/// Whoever sleeps under the lock of an address space could wait for itself.
TEST(Kfunc, MappingsInProgramsThatDoNotSleep) {
    options o{.kernel = &*k().types};
    o.type = BPF_PROG_TYPE_KPROBE;
    prog at{mov_x(r1, r10), add(r1, -8)};
    prog walk = prog{call(BPF_FUNC_get_current_task_btf), mov_x(r2, r0), mov(r3, 0)} + at + prog{kcall(k().vma_new)} + at + prog{kcall(k().vma_next)} + at +
                prog{kcall(k().vma_destroy)} + ret0;
    auto out = check(walk, o);
    EXPECT_EQ(out.err, 0) << out.log;
    o.flags = BPF_F_SLEEPABLE;
    out = check(walk, o);
    EXPECT_EQ(out.err, ENOTSUPP);
    EXPECT_NE(out.log.find("bpf_iter_task_vma_new in a program that may sleep is not supported by modbpf"), std::string::npos) << out.log;
}

TEST(Kfunc, AtMost256) {
    btf_builder b;
    u32 proto = b.proto(0, {});
    for (int i = 0; i < 257; i++)
        b.func("bpf_rcu_read_lock", proto, BTF_FUNC_STATIC);
    auto a = load_btf(b.bytes());
    ASSERT_EQ(a.err, 0) << a.log;
    prog p;
    for (u32 i = 0; i < 257; i++)
        p.push_back(kcall(proto + 1 + i));
    options o{.verify_only = true, .kernel = &*a.types};
    auto out = check(p + ret0, o);
    EXPECT_EQ(out.err, E2BIG);
    EXPECT_NE(out.log.find("too many different kernel function calls"), std::string::npos) << out.log;
}

TEST(Kfunc, Arguments) {
    prog user{mov(r2, 8), mov(r4, 0)};
    expect_rows({
        {"a reference is released", task() + drop() + ret0, cls},
        {"a reference is not", task() + ret0, cls, EINVAL, "Unreleased reference id="},
        {"released twice", task() + drop() + drop() + ret0, cls, EACCES, "R1 type=scalar expected="},
        {"it may be NULL", prog{mov(r1, 1), kcall(k().from_pid), mov_x(r1, r0), kcall(k().release)} + ret0, cls, EACCES,
         "Possibly NULL pointer passed to trusted arg0"},
        {"NULL", prog{mov(r1, 0), kcall(k().release)} + ret0, cls, EACCES, "Possibly NULL pointer passed to trusted arg0"},
        {"moved before the release", task() + prog{mov_x(r1, r6), add(r1, 8), kcall(k().release)} + ret0, cls, EINVAL,
         "R1 must have zero offset when passed to release func or trusted arg to kfunc"},
        {"of another type", prog{mov_x(r1, r10), kcall(k().release)} + ret0, cls, EACCES, "invalid indirect access to stack R1"},
        {"a second reference", task() + prog{mov_x(r1, r6), kcall(k().acquire), mov_x(r7, r0)} + drop() + prog{jmp(BPF_JEQ, r7, 0, 2), mov_x(r1, r7), kcall(k().release)} + ret0, cls},
        {"a pointer is no number", prog{mov_x(r1, r10), kcall(k().from_pid)} + ret0, cls, EINVAL, "R1 is not a scalar"},
        {"memory and its size", user + prog{mov_x(r1, r10), add(r1, -8), kcall(k().user_str)} + ret0, kprobe, 0, "", BPF_F_SLEEPABLE},
        {"memory that is too small", user + prog{mov_x(r1, r10), add(r1, -4), kcall(k().user_str)} + ret0, kprobe, EINVAL,
         "arg#0 arg#1 memory, len pair leads to invalid memory access", BPF_F_SLEEPABLE},
        {"a size that may be negative", prog{call(BPF_FUNC_get_prandom_u32), mov_x(r2, r0), alu(BPF_NEG, r2, 0), mov(r4, 0), mov_x(r1, r10), add(r1, -8), kcall(k().user_str)} + ret0,
         kprobe, EACCES, "R2 min value is negative", BPF_F_SLEEPABLE},
        {"r0 of a void function", prog{kcall(k().rcu_lock), kcall(k().rcu_unlock), exit_()}, filter, EACCES, "R0 !read_ok"},
        {"arguments are gone behind the call", prog{mov(r1, 1), kcall(k().rcu_lock), kcall(k().rcu_unlock), mov_x(r0, r1), exit_()}, filter, EACCES, "R1 !read_ok"},
    });
}

TEST(Kfunc, Dynptrs) {
    auto skb = [](s16 off) { return prog{mov_x(r1, r9), mov(r2, 0), mov_x(r3, r10), add(r3, off), kcall(k().from_skb)}; };
    auto clone = [](s16 from, s16 to) { return prog{mov_x(r1, r10), add(r1, from), mov_x(r2, r10), add(r2, to), kcall(k().clone)}; };
    auto slice = [](s16 off, u32 f) { return prog{mov_x(r1, r10), add(r1, off), mov(r2, 0), mov(r3, 0), mov(r4, 8), kcall(f), jmp(BPF_JNE, r0, 0, 2)} + ret0; };
    prog keep{mov_x(r9, r1)};
    expect_rows({
        {"the packet's", keep + skb(-16) + prog{mov_x(r1, r10), add(r1, -16), kcall(k().size)} + ret0, cls},
        {"needs the context", prog{mov_x(r9, r10)} + skb(-16) + ret0, cls, EINVAL, "arg#0 expected pointer to ctx, but got fp"},
        {"a slice is read", keep + skb(-16) + slice(-16, k().slice) + prog{ldx(BPF_DW, r1, r0, 0)} + ret0, cls},
        {"a slice is not written", keep + skb(-16) + slice(-16, k().slice) + prog{st(BPF_DW, r0, 0, 0)} + ret0, cls, EACCES, "R0 cannot write into rdonly_mem"},
        {"a slice to write", keep + skb(-16) + slice(-16, k().slice_rdwr) + prog{st(BPF_DW, r0, 0, 0)} + ret0, cls},
        {"by a program that does not write packets", keep + skb(-16) + slice(-16, k().slice_rdwr) + ret0, filter, EINVAL,
         "the prog does not allow writes to packet data"},
        {"a slice has its size", keep + skb(-16) + slice(-16, k().slice) + prog{ldx(BPF_DW, r1, r0, 1)} + ret0, cls, EACCES,
         "invalid access to memory, mem_size=8 off=1 size=8"},
        {"a write to the packet ends its slices", keep + skb(-16) + slice(-16, k().slice) +
             prog{mov_x(r6, r0), st(BPF_DW, r10, -24, 0), mov_x(r1, r10), add(r1, -16), mov(r2, 0), mov_x(r3, r10), add(r3, -24), mov(r4, 8), mov(r5, 0), call(BPF_FUNC_dynptr_write), ldx(BPF_DW, r1, r6, 0)} + ret0,
         cls, EACCES, "R6 invalid mem access 'scalar'"},
        {"a clone", reserve_dynptr(-16) + clone(-16, -32) + end_dynptr(-16) + ret0},
        {"released through the clone", reserve_dynptr(-16) + clone(-16, -32) + end_dynptr(-32) + ret0},
        {"released through both", reserve_dynptr(-16) + clone(-16, -32) + end_dynptr(-32) + end_dynptr(-16) + ret0, filter, EINVAL,
         "arg 1 is an unacquired reference"},
        {"a clone ends with the other", reserve_dynptr(-16) + clone(-16, -32) + end_dynptr(-16) + read_dynptr(-32, -40) + ret0, filter, EINVAL,
         "Expected an initialized dynptr as arg #2"},
        {"a slice of a record ends with it", reserve_dynptr(-16) + prog{mov_x(r1, r10), add(r1, -16), mov(r2, 0), mov(r3, 0), mov(r4, 8), kcall(k().slice), mov_x(r6, r0)} +
             end_dynptr(-16) + prog{jmp(BPF_JEQ, r6, 0, 1), ldx(BPF_DW, r1, r6, 0)} + ret0, cls, EACCES, "R6 invalid mem access 'scalar'"},
        {"a clone of nothing", clone(-16, -32) + ret0, filter, EINVAL, "Expected an initialized dynptr as arg #0"},
    });
}

TEST(Kfunc, Sections) {
    prog lock{kcall(k().rcu_lock)}, unlock{kcall(k().rcu_unlock)}, off{kcall(k().preempt_disable)}, on{kcall(k().preempt_enable)};
    prog sleep{mov(r2, 8), mov(r4, 0), mov_x(r1, r10), add(r1, -8), kcall(k().user_str)};
    expect_rows({
        {"not left", lock + ret0, filter, EINVAL, "bpf_rcu_read_unlock is missing"},
        {"not entered", unlock + ret0, filter, EINVAL, "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)"},
        {"nested", lock + lock + unlock + unlock + ret0, filter, EINVAL, "nested rcu read lock (kernel function bpf_rcu_read_lock)"},
        {"sleeping inside", lock + sleep + unlock + ret0, kprobe, EACCES, "kernel func bpf_copy_from_user_str is sleepable within rcu_read_lock region",
         BPF_F_SLEEPABLE},
        {"sleeping behind", lock + unlock + sleep + ret0, kprobe, 0, "", BPF_F_SLEEPABLE},
        {"on one path only", prog{call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 0, 1)} + lock + unlock + ret0, filter, EINVAL, "unmatched rcu read unlock"},
        {"preemption off", off + on + ret0},
        {"preemption off twice", off + off + on + on + ret0},
        {"preemption left off", off + off + on + ret0, filter, EINVAL, "1 bpf_preempt_enable is missing"},
        {"preemption left off twice", off + off + ret0, filter, EINVAL, "2 bpf_preempt_enable(s) are missing"},
        {"preemption was on", on + ret0, filter, EINVAL, "unmatched attempt to enable preemption (kernel function bpf_preempt_enable)"},
        {"sleeping with preemption off", off + sleep + on + ret0, kprobe, EACCES, "kernel func bpf_copy_from_user_str is sleepable within non-preemptible region",
         BPF_F_SLEEPABLE},
        {"packet loads inside", prog{mov_x(r6, r1)} + lock + prog{ld_abs(BPF_B, 0)} + unlock + ret0, filter, EINVAL,
         "BPF_LD_[ABS|IND] cannot be used inside bpf_rcu_read_lock-ed region"},
    });
}

TEST(Kfunc, Iterators) {
    expect_rows({
        {"never moved", begin() + end() + ret0},
        {"its state in the log", begin() + end() + ret0, filter, 0, "fp-8_w=iter_num(ref_id=1,state=active,depth=0) refs=1"},
        {"drained in the log", begin() + next() + end() + ret0, filter, 0, "R0_w=0 fp-8=iter_num(ref_id=1,state=drained,depth=0)"},
        {"never destroyed", begin() + ret0, filter, EINVAL, "Unreleased reference id=1"},
        {"destroyed twice", begin() + end() + end() + ret0, filter, EINVAL, "expected an initialized iter_num as arg #0"},
        {"moved before it was made", next() + ret0, filter, EINVAL, "expected an initialized iter_num as arg #0"},
        {"made twice", begin() + begin() + ret0, filter, EINVAL, "expected uninitialized iter_num as arg #0"},
        {"not in the stack", prog{mov(r1, 0), mov(r2, 0), mov(r3, 1), kcall(k().iter_new)} + ret0, filter, EINVAL, "arg#0 expected pointer to an iterator on stack"},
        {"not aligned", begin(-12) + ret0, filter, EINVAL, "cannot pass in iter at an offset=-12"},
        {"not loaded as bytes", begin() + prog{ldx(BPF_DW, r1, r10, -8)} + end() + ret0, filter, EACCES, "invalid read from stack off -8+0 size 8"},
        {"overwritten", begin() + prog{st(BPF_B, r10, -8, 0)} + end() + ret0, filter, EINVAL, "expected an initialized iter_num as arg #0"},
        {"the element may be NULL", begin() + next() + prog{ldx(BPF_W, r6, r0, 0)} + end() + ret0, filter, EACCES, "R0 invalid mem access 'scalar'"},
        {"the element is read", begin() + loop({ldx(BPF_W, r6, r0, 0)}) + end() + ret0},
        {"the element has its size", begin() + loop({ldx(BPF_DW, r6, r0, 0)}) + end() + ret0, filter, EACCES, "invalid access to memory, mem_size=4 off=0 size=8"},
        {"the element is not written", begin() + loop({st(BPF_W, r0, 0, 0)}) + end() + ret0, filter, EACCES, "R0 cannot write into rdonly_mem"},
        {"the element ends with the iterator", begin() + next() + prog{mov_x(r6, r0)} + end() + prog{jmp(BPF_JEQ, r6, 0, 1), ldx(BPF_W, r0, r6, 0)} + ret0, filter, EACCES,
         "R6 invalid mem access 'scalar'"},
        {"drained on one path, not on the other", begin() + next() + next() + prog{jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r0, 0)} + end() + ret0, filter, EACCES,
         "invalid access to memory, mem_size=4 off=0 size=8"},
        {"drained on one path, not on the other, safe", begin() + next() + next() + prog{jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_W, r1, r0, 0)} + end() + ret0},
        {"in a loop that it does not drive", begin() + prog{mov(r0, 0), ja(-1)}, filter, EINVAL, "infinite loop detected"},
        {"drained, a loop is endless", begin() + next() + prog{jmp(BPF_JNE, r0, 0, 4)} + next() + jmp(BPF_JEQ, r0, 0, -4) + end() + ret0, filter, EINVAL, "infinite loop detected"},
    });
}

// What a loop changes: numbers that nothing depends on are widened, so that the loop converges; what something depends on is not hidden by that.
TEST(Kfunc, LoopsOverIterators) {
    prog random{call(BPF_FUNC_get_prandom_u32)};
    // r7 is -16 at first; a turn may make it -600, and another one stores at r10 + r7. The store is explored after the turn that spoils r7.
    prog spoil = random + prog{mov_x(r6, r0), mov(r7, -16)} + begin() +
                 loop(prog{jmp(BPF_JEQ, r6, 42, 4), mov(r7, -600), call(BPF_FUNC_get_prandom_u32), mov_x(r6, r0), ja(5), mov_x(r0, r10), alu_x(BPF_ADD, r0, r7),
                           st(BPF_DW, r0, 0, 0), call(BPF_FUNC_get_prandom_u32), mov_x(r6, r0)}) +
                 end() + ret0;
    prog fine = spoil;
    for (auto &i : fine)
        if (i.code == (BPF_ALU64 | BPF_MOV | BPF_K) && i.imm == -600)
            i.imm = -16;
    // The other order: the slot of an array is chosen by a counter that the loop raises.
    auto counted = [&](prog guard) {
        return ld_value(r8, wronly_fd, 0) + prog{mov(r7, 0)} + begin() +
               loop(guard + prog{mov_x(r1, r8), alu_x(BPF_ADD, r1, r7), st(BPF_B, r1, 0, 1), add(r7, 1)}) + end() + ret0;
    };
    // Behind the loop a value is used that only some turns made unsafe.
    auto after = [&](s32 bad) {
        return prog{mov(r7, -16)} + begin() +
               loop(prog{call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 7, 1), ja(1), mov(r7, bad)}) + end() +
               prog{mov_x(r1, r10), alu_x(BPF_ADD, r1, r7), st(BPF_DW, r1, 0, 0)} + ret0;
    };
    expect_rows({
        {"a counter that is not used", prog{mov(r6, 0)} + begin() + loop({add(r6, 1)}) + end() + ret0},
        {"a counter in the stack", prog{st(BPF_DW, r10, -16, 0)} + begin() + loop({ldx(BPF_DW, r6, r10, -16), add(r6, 1), stx(BPF_DW, r10, r6, -16)}) + end() + ret0},
        {"a store that a later turn spoils", spoil, filter, refused},
        {"a store that no turn spoils", fine},
        {"a counter as index, not checked", counted({}), filter, refused},
        {"a counter as index, checked", counted({jmp(BPF_JGE, r7, 40, 4)})},
        {"used behind the loop, spoilt", after(-600), filter, refused},
        {"used behind the loop, not spoilt", after(-24)},
        {"a reference in each turn", begin() + loop(prog{mov(r1, 1), kcall(k().from_pid), jmp(BPF_JEQ, r0, 0, 2), mov_x(r1, r0), kcall(k().release)}) + end() + ret0, cls},
        {"a reference kept in each turn", begin() + loop(prog{mov(r1, 1), kcall(k().from_pid)}) + end() + ret0, cls, EINVAL, "Unreleased reference"},
        {"preemption off in each turn", begin() + loop({kcall(k().preempt_disable)}) + end() + ret0, filter, EINVAL, "bpf_preempt_enable"},
        {"preemption off and on in each turn", begin() + loop({kcall(k().preempt_disable), kcall(k().preempt_enable)}) + end() + ret0},
        {"a loop in a loop", begin() + loop(prog{mov_x(r1, r10), add(r1, -16), mov(r2, 0), mov(r3, 3), kcall(k().iter_new), mov_x(r1, r10), add(r1, -16), kcall(k().iter_next), jmp(BPF_JNE, r0, 0, -4), mov_x(r1, r10), add(r1, -16),
                                                 kcall(k().iter_destroy)}) + end() + ret0},
        {"the inner one is not destroyed", begin() + loop(prog{mov_x(r1, r10), add(r1, -16), mov(r2, 0), mov(r3, 3), kcall(k().iter_new)}) + end() + ret0, filter, EINVAL, ""},
    });
}

// A global function is verified by itself: what it does must be allowed wherever it is called.
TEST(Kfunc, GlobalFunctions) {
    btf_builder b;
    u32 i = b.int32(), voidp = b.refer(btf_kind::pointer, 0);
    u32 dyn = b.refer(btf_kind::pointer, b.composite(btf_kind::structure, "bpf_dynptr", 16, {{"opaque", b.integer("u64", 8, 64), 0}}));
    u32 main_func = b.func("main_prog", b.proto(i, {{"ctx", voidp, 0}})), plain = b.func("f", b.proto(i, {})), of_dynptr = b.func("f", b.proto(i, {{"d", dyn, 0}}));
    auto types = load_btf(b.bytes()).types;
    ASSERT_TRUE(types);
    auto check_call = [&](const prog &main, const prog &body, u32 func, u32 type, u32 flags, int err, const char *text) {
        options o{.type = type, .flags = flags, .log_level = BPF_LOG_LEVEL2, .verify_only = true, .kernel = &*k().types, .types = &*types};
        o.funcs = {{0, main_func}, {static_cast<u32>(main.size()), func}};
        auto out = check(main + body, o);
        EXPECT_EQ(out.err, err) << out.log;
        EXPECT_NE(out.log.find(text), std::string::npos) << text << "\n" << out.log;
    };
    auto around = [](u32 before, u32 after) { return prog{kcall(before), call_pc(3), kcall(after)} + ret0; };
    prog sleeps = prog{mov(r2, 8), mov(r4, 0), mov_x(r1, r10), add(r1, -8), kcall(k().user_str)} + ret0;
    check_call(around(k().preempt_disable, k().preempt_enable), ret0, plain, filter, 0, EINVAL, "global function calls are not allowed with preemption disabled");
    check_call(around(k().rcu_lock, k().rcu_unlock), ret0, plain, filter, 0, 0, "");
    check_call(around(k().rcu_lock, k().rcu_unlock), sleeps, plain, kprobe, BPF_F_SLEEPABLE, EINVAL, "global functions that may sleep are not allowed");
    check_call(prog{call_pc(2)} + ret0, sleeps, plain, kprobe, BPF_F_SLEEPABLE, 0, "");
    // A dynptr argument: initialised, and not to be changed by the function.
    prog pass = prog{mov_x(r1, r10), add(r1, -16), call_pc(6)} + end_dynptr(-16) + ret0, size = prog{kcall(k().size), exit_()};
    check_call(reserve_dynptr(-16) + pass, size, of_dynptr, filter, 0, 0, "");
    check_call(prog{mov_x(r1, r10), add(r1, -16), call_pc(2)} + ret0, size, of_dynptr, filter, 0, EINVAL, "Expected an initialized dynptr as arg #0");
    check_call(reserve_dynptr(-16) + pass, prog{mov(r2, 0), call(BPF_FUNC_ringbuf_discard_dynptr)} + ret0, of_dynptr, filter, 0, EINVAL,
               "cannot release unowned const bpf_dynptr");
    check_call(reserve_dynptr(-16) + pass, prog{mov_x(r2, r10), add(r2, -16), kcall(k().clone)} + ret0, of_dynptr, filter, 0, 0, "type=local");
}

}  // namespace modbpf::test
