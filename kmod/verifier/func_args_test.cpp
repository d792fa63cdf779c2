// SPDX-License-Identifier: GPL-2.0-only
// Arguments of global functions that are more than numbers and memory: tagged kernel objects, arenas, contexts; and what main's prototype says.
#include "verifier/btf_kernel_test.h"

namespace modbpf::test {

namespace {

constexpr u32 tracing = BPF_PROG_TYPE_TRACING, raw_tp = BPF_PROG_TYPE_RAW_TRACEPOINT, kprobe = BPF_PROG_TYPE_KPROBE, cls = BPF_PROG_TYPE_SCHED_CLS;
const prog leave{mov(r0, 0), exit_()};

/// Each is a global function "f" with one argument.
struct library {
    ref<btf> types;
    u32 main_void, main_skb, main_int, main_two;
    u32 trusted, nullable, flavor, unknown, nonnull_too, arena, arena_too, nullable_memory, other_tag, static_tagged, static_skb;
    u32 ctx_words, ctx_args, ctx_pair, ctx_void, regs, ctx_nullable;
    library() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64), void_ptr = b.refer(K::pointer, 0);
        auto pointer = [&](const char *name) { return b.refer(K::pointer, b.composite(K::structure, name, 4, {{"n", i, 0}})); };
        u32 task = pointer("task_struct"), local = pointer("task_struct___mine"), nothing = pointer("nothing_like_it"), skb = pointer("__sk_buff");
        auto func = [&](u32 arg, std::vector<const char *> tags, u32 linkage = BTF_FUNC_GLOBAL) {
            u32 f = b.func("f", b.proto(i, {{"a", arg, 0}}), linkage);
            for (const char *t : tags)
                b.type(std::string("arg:") + t, b.info(K::decl_tag), f, {0});
            return f;
        };
        main_void = b.func("m", b.proto(i, {{"ctx", void_ptr, 0}}));
        main_skb = b.func("m", b.proto(i, {{"ctx", skb, 0}}));
        main_int = b.func("m", b.proto(i, {{"a", i, 0}}));
        main_two = b.func("m", b.proto(i, {{"ctx", skb, 0}, {"a", i, 0}}));
        trusted = func(task, {"trusted"});
        nullable = func(task, {"trusted", "nullable"});
        flavor = func(local, {"trusted"});
        unknown = func(nothing, {"trusted"});
        nonnull_too = func(task, {"trusted", "nonnull"});
        arena = func(void_ptr, {"arena"});
        arena_too = func(void_ptr, {"arena", "nonnull"});
        nullable_memory = func(task, {"nullable"});
        other_tag = func(task, {"holy"});
        static_tagged = func(task, {"trusted"}, BTF_FUNC_STATIC);
        static_skb = func(skb, {}, BTF_FUNC_STATIC);
        ctx_words = func(b.refer(K::pointer, w), {"ctx"});
        ctx_args = func(pointer("bpf_raw_tracepoint_args"), {"ctx"});
        ctx_pair = func(pointer("pair"), {"ctx"});
        ctx_void = func(void_ptr, {"ctx"});
        regs = func(pointer("bpf_user_pt_regs_t"), {});
        ctx_nullable = func(void_ptr, {"ctx", "nullable"});
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const library &l() {
    static library lib;
    return lib;
}
const small_kernel &k() { return kernel_of_tests(); }

struct arg_row {
    const char *name;
    prog setup; ///< main: r1 is the argument
    prog body;
    u32 func;
    int err = 0;
    const char *text = "";
    u32 type = tracing;
    u32 attach = BPF_TRACE_RAW_TP;
    u32 target = kernel_of_tests().tp_trace;
};

/// At the tracepoint word 0 is a task or NULL, word 1 a task, word 2 a number.
std::vector<arg_row> rows() {
    const prog task{ldx(BPF_DW, r1, r1, 8)}, maybe{ldx(BPF_DW, r1, r1, 0)}, null{mov(r1, 0)}, number{ldx(BPF_DW, r1, r1, 16)};
    const prog deref{ldx(BPF_W, r0, r1, 0), exit_()}, checked{jmp(BPF_JNE, r1, 0, 2), mov(r0, 0), exit_(), ldx(BPF_W, r0, r1, 0), exit_()};
    constexpr u32 entry = BPF_TRACE_FENTRY;
    return {
        {"trusted", task, deref, l().trusted, 0, "R1=trusted_ptr_task_struct("},
        {"trusted: by the kernel's name", task, deref, l().flavor, 0, "R1=trusted_ptr_task_struct("},
        {"trusted: not NULL", null, deref, l().trusted, EACCES, "R1 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_"},
        {"trusted: nor a number", number, deref, l().trusted, EACCES, "R1 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_"},
        {"trusted: nor what may be NULL", maybe, deref, l().trusted, EACCES, "R1 type=trusted_ptr_or_null_ expected=ptr_, trusted_ptr_, rcu_ptr_"},
        {"trusted: of that structure", task + prog{ldx(BPF_DW, r1, r1, 24)}, deref, l().trusted, EACCES, "R1 is of type ns but task_struct is expected"},
        // Linux lets this one pass.
        {"trusted: not any pointer", {ldx(BPF_DW, r1, r1, 0)}, deref, l().trusted, EACCES, "R1 must be referenced or trusted", tracing, entry, k().plain},
        {"nullable", maybe, checked, l().nullable, 0, "R1=trusted_ptr_or_null_task_struct("},
        {"nullable: not NULL", task, checked, l().nullable},
        {"nullable: NULL", null, checked, l().nullable},
        {"nullable: any other number", number, checked, l().nullable, EACCES, "R1 type=scalar expected="},
        {"nullable: not read at once", task, deref, l().nullable, EACCES, "R1 invalid mem access 'trusted_ptr_or_null_'"},
        {"a structure of the program's own", task, deref, l().unknown, ENOENT, "arg#0 reference type('STRUCT nothing_like_it') has no matches"},
        {"trusted and nonnull", task, deref, l().nonnull_too, EINVAL, "arg#0 has invalid combination of tags"},
        {"memory is nullable without a tag", task, leave, l().nullable_memory, EINVAL, "arg#0 has invalid combination of tags"},
        {"another tag", task, leave, l().other_tag, EOPNOTSUPP, "arg#0 has unsupported set of tags"},
        {"arena", number, leave, l().arena},
        {"arena: a number", number, deref, l().arena, EACCES, "R1 invalid mem access 'scalar'"},
        {"arena: no pointer", task, leave, l().arena, EINVAL, "R1 is not a pointer to arena or scalar."},
        {"arena and others", number, leave, l().arena_too, EINVAL, "arg#0 arena cannot be combined with any other tags"},
        {"context, as words", {}, {ldx(BPF_DW, r0, r1, 0), mov(r0, 0), exit_()}, l().ctx_words, 0, "", raw_tp, 0, 0},
        {"context, by its name", {}, {ldx(BPF_DW, r0, r1, 0), mov(r0, 0), exit_()}, l().ctx_args, 0, "", raw_tp, 0, 0},
        {"context, by no name", {}, {ldx(BPF_DW, r0, r1, 0), mov(r0, 0), exit_()}, l().ctx_void, 0, "", raw_tp, 0, 0},
        {"context, by another name", {}, leave, l().ctx_pair, EINVAL, "arg#0 should be `struct bpf_raw_tracepoint_args *`", raw_tp, 0, 0},
        {"context without a name", {}, leave, l().ctx_pair, EINVAL, "arg#0 should be void pointer"},
        {"context that may be NULL", {}, leave, l().ctx_nullable, EINVAL, "arg#0 has invalid combination of tags"},
        {"registers of a probe", {}, {ldx(BPF_DW, r0, r1, 8), mov(r0, 0), exit_()}, l().regs, 0, "", kprobe, 0, 0},
        {"which are memory elsewhere", {}, leave, l().regs, EINVAL, "R1 type=ctx expected=fp", cls, 0, 0},
    };
}

outcome run(const arg_row &r, options o) {
    prog main = r.setup + prog{call_pc(2)} + leave;
    o.type = r.type, o.attach = r.attach, o.verify_only = true;
    o.kernel = &*k().types, o.types = &*l().types;
    o.target.btf_id = r.target;
    o.target.types = r.target ? &*k().types : nullptr;
    o.funcs = {{0, l().main_void}, {static_cast<u32>(main.size()), r.func}};
    return check(main + r.body, o);
}

TEST(FuncArgs, Rows) {
    for (const auto &r : rows()) {
        auto out = run(r, {.log_level = BPF_LOG_LEVEL2});
        EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
        EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
        for (options o : {options{.flags = BPF_F_TEST_STATE_FREQ}, options{.no_pruning = true}})
            EXPECT_EQ(run(r, o).err, r.err) << r.name;
    }
}

/// A function that does not look at its pointer may be called with others by paths that end as covered.
TEST(FuncArgs, OfStatic) {
    for (bool looks : {true, false}) {
        options o{.type = cls, .verify_only = true, .types = &*l().types};
        o.funcs = {{0, l().main_skb}, {2, l().static_skb}};
        auto out = check(prog{call_pc(1), exit_(), looks ? ldx(BPF_W, r0, r1, 0) : mov(r0, 0), exit_()}, o);
        ASSERT_EQ(out.err, 0) << out.log;
        EXPECT_EQ(!(out.program->func_flags[1] & func_untyped), looks);
        EXPECT_FALSE(out.program->func_flags[1] & func_unreliable); // so Linux says of an extension that the function is not global
    }
}

/// Whose types do not hold may not be relied upon by those that are attached to it.
TEST(FuncArgs, OfMain) {
    auto reliable = [](u32 main) {
        options o{.type = cls, .verify_only = true, .types = &*l().types};
        o.funcs = {{0, main}};
        auto out = check(leave, o);
        EXPECT_EQ(out.err, 0) << out.log;
        return out.program && !(out.program->func_flags[0] & func_unreliable);
    };
    EXPECT_TRUE(reliable(l().main_skb));
    EXPECT_FALSE(reliable(l().main_void));
    EXPECT_FALSE(reliable(l().main_int));
    EXPECT_FALSE(reliable(l().main_two));
}

}  // namespace

}  // namespace modbpf::test
