// SPDX-License-Identifier: GPL-2.0-only
// Programs with types: global functions (arguments from BTF, bodies verified once by themselves), and what func_info and
// line_info do to the log and to the program that comes out.
#include "btf/btf_builder_test.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

constexpr u32 filter = BPF_PROG_TYPE_SOCKET_FILTER, raw_tp = BPF_PROG_TYPE_RAW_TRACEPOINT, tp = BPF_PROG_TYPE_TRACEPOINT,
              cls = BPF_PROG_TYPE_SCHED_CLS;

/// The prototypes that the rows choose from; each is a global function named "f".
struct library {
    ref<btf> types;
    u32 main_func;
    u32 of_int, of_pair, of_nonnull, of_ctx, of_void_ptr, of_tagged_int, of_struct, returns_void, of_six, of_nothing;
    u32 static_of_int;
    u32 file, line_a, line_b, line_c;

    library() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64);
        u32 pair = b.composite(K::structure, "pair", 16, {{"a", w, 0}, {"b", w, 64}});
        u32 pair_ptr = b.refer(K::pointer, pair), void_ptr = b.refer(K::pointer, 0);
        u32 skb_ptr = b.refer(K::pointer, b.composite(K::structure, "__sk_buff", 4, {{"len", i, 0}}));
        auto global = [&](u32 ret, std::vector<u32> params) {
            std::vector<btf_builder::member> m;
            for (u32 p : params)
                m.push_back({"a", p, 0});
            return b.func("f", b.proto(ret, m));
        };
        main_func = b.func("main_prog", b.proto(i, {{"ctx", void_ptr, 0}}));
        of_int = global(i, {i});
        of_pair = global(i, {pair_ptr});
        of_nonnull = global(i, {pair_ptr});
        b.type("arg:nonnull", b.info(K::decl_tag), of_nonnull, {0});
        of_ctx = global(i, {skb_ptr});
        of_void_ptr = global(i, {void_ptr});
        of_tagged_int = global(i, {i});
        b.type("arg:nonnull", b.info(K::decl_tag), of_tagged_int, {0});
        of_struct = global(i, {pair});
        returns_void = global(0, {});
        of_six = global(i, {i, i, i, i, i, i});
        of_nothing = global(i, {});
        static_of_int = b.func("f", b.proto(i, {{"a", i, 0}}), BTF_FUNC_STATIC);
        file = b.str("/src/some/prog.c");
        line_a = b.str("  int x = 1;"), line_b = b.str("return f(x);"), line_c = b.str("\treturn a;");
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const library &lib() {
    static library l;
    return l;
}

/// main calls f right away, so f starts behind main; `body` is f's.
outcome run(const prog &main, const prog &body, u32 func, u32 type = filter, options o = {.log_level = BPF_LOG_LEVEL2}) {
    o.type = type;
    o.types = &*lib().types;
    o.funcs = {{0, lib().main_func}};
    if (!body.empty())
        o.funcs.push_back({static_cast<u32>(main.size()), func});
    return check(main + body, o);
}

struct typed_row {
    const char *name;
    prog main; ///< with a call to f at its end but for the exit
    prog body;
    u32 func;
    u32 type = filter;
    int err = 0;
    const char *text = "";
};

const prog leave0 = {mov(r0, 0), exit_()};
/// f(r1) as main's last act: the call is followed by `r0 = 0; exit`.
prog then_f(prog setup) { return setup + prog{call_pc(2)} + leave0; }

std::vector<typed_row> argument_rows() {
    const library &l = lib();
    prog pair_on_stack{st(BPF_DW, r10, -8, 1), st(BPF_DW, r10, -16, 1), mov_x(r1, r10), add(r1, -16)};
    prog half_on_stack{st(BPF_DW, r10, -8, 1), mov_x(r1, r10), add(r1, -8)};
    prog read_pair{jmp(BPF_JEQ, r1, 0, 1), ldx(BPF_DW, r2, r1, 8)};
    return {
        {"assumed valid at the call", then_f({mov(r1, 1)}), {mov_x(r0, r1), exit_()}, l.of_int, filter, 0,
         "Func#1 ('f') is global and assumed valid."},
        {"verified by itself", then_f({mov(r1, 1)}), {mov_x(r0, r1), exit_()}, l.of_int, filter, 0, "Validating f() func#1..."},
        {"safe for any arguments", then_f({mov(r1, 1)}), {mov_x(r0, r1), exit_()}, l.of_int, filter, 0,
         "Func#1 ('f') is safe for any args that match its prototype"},
        {"the body knows nothing of the caller's value", then_f({mov(r1, 0)}),
         prog{jmp(BPF_JEQ, r1, 0, 1), ldx(BPF_DW, r0, r1, 0)} + leave0, l.of_int, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"a pointer is no number", then_f({mov_x(r1, r10)}), leave0, l.of_int, filter, EINVAL, "R1 is not a scalar"},
        {"the refusal names the function", then_f({mov_x(r1, r10)}), leave0, l.of_int, filter, EINVAL,
         "Caller passes invalid args into func#1 ('f')"},
        {"memory", then_f(pair_on_stack), read_pair + leave0, l.of_pair},
        {"memory that is too small", then_f(half_on_stack), read_pair + leave0, l.of_pair, filter, EINVAL,
         "invalid indirect access to stack R1 off=-8 size=16"},
        {"memory may be NULL", then_f({mov(r1, 0)}), read_pair + leave0, l.of_pair},
        {"memory must be compared with NULL", then_f(pair_on_stack), prog{ldx(BPF_DW, r2, r1, 0)} + leave0, l.of_pair, filter, EACCES,
         "R1 invalid mem access 'mem_or_null'"},
        {"the size of memory is its type's", then_f(pair_on_stack), prog{jmp(BPF_JEQ, r1, 0, 1), ldx(BPF_DW, r2, r1, 9)} + leave0,
         l.of_pair, filter, EACCES, "invalid access to memory, mem_size=16 off=9 size=8"},
        {"a function may write its memory", then_f(pair_on_stack), prog{jmp(BPF_JEQ, r1, 0, 1), st(BPF_DW, r1, 8, 1)} + leave0, l.of_pair},
        {"so read-only memory is not passed", then_f(ld_value(r1, rodata_fd, 0)), leave0, l.of_pair, filter, EINVAL, "write into map forbidden"},
        {"an unchecked map value may be passed as memory", then_f(lookup() + mov_x(r1, r0)), leave0, l.of_pair},
        {"nonnull: NULL is refused", then_f({mov(r1, 0)}), leave0, l.of_nonnull, filter, EINVAL, "arg#0 is expected to be non-NULL"},
        {"nonnull: an unchecked map value is refused", then_f(lookup() + mov_x(r1, r0)), leave0, l.of_nonnull, filter, EINVAL,
         "arg#0 is expected to be non-NULL"},
        {"nonnull: no comparison is needed", then_f(pair_on_stack), prog{ldx(BPF_DW, r2, r1, 0)} + leave0, l.of_nonnull},
        {"context", then_f({}), prog{ldx(BPF_W, r0, r1, 0), exit_()}, l.of_ctx},
        {"context: nothing else", then_f(pair_on_stack), prog{ldx(BPF_W, r0, r1, 0), exit_()}, l.of_ctx, filter, EINVAL,
         "arg#0 expects pointer to ctx"},
        {"context: not moved", then_f({add(r1, 4)}), leave0, l.of_ctx, filter, EACCES, "dereference of modified ctx ptr R1 off=4 disallowed"},
        {"a rewritten context is no memory", then_f({}), leave0, l.of_pair, filter, EINVAL, "R1 type=ctx expected=fp"},
        {"a context that cannot be written is no memory", then_f({}), leave0, l.of_pair, raw_tp, EINVAL,
         "invalid bpf_context access off=15 size=1"},
        {"the end of a context lies in its record", then_f({}), leave0, l.of_pair, tp, EINVAL, "invalid bpf_context access off=15 size=1"},
    };
}

std::vector<typed_row> prototype_rows() {
    const library &l = lib();
    return {
        {"pointer to nothing", then_f({mov(r1, 0)}), leave0, l.of_void_ptr, filter, EINVAL,
         "arg#0 reference type('UNKNOWN ') size cannot be determined"},
        {"tag on a number", then_f({mov(r1, 0)}), leave0, l.of_tagged_int, filter, EINVAL, "arg#0 has pointer tag, but is not a pointer type"},
        {"structure by value", then_f({mov(r1, 0)}), leave0, l.of_struct, filter, EINVAL, "Arg#0 type STRUCT in f() is not supported yet."},
        {"no result", then_f({}), leave0, l.returns_void, filter, EINVAL, "Global function f() doesn't return scalar."},
        {"six arguments", then_f({}), leave0, l.of_six, filter, EINVAL, "Global function f() with 6 > 5 args. Buggy compiler."},
        {"a pointer as result", then_f({}), {mov_x(r0, r10), exit_()}, l.of_nothing, filter, EINVAL,
         "At subprogram exit the register R0 is not a scalar value (fp)"},
        {"the result is any number", lookup() + prog{jmp(BPF_JEQ, r0, 0, 4), mov_x(r6, r0), call_pc(4), add_x(r6, r0), ldx(BPF_B, r0, r6, 0)} + leave0,
         {mov(r0, 1), exit_()}, l.of_nothing, filter, EINVAL, "math between map_value pointer and register with unbounded min value"},
        {"the result may be bounded", lookup() + prog{jmp(BPF_JEQ, r0, 0, 5), mov_x(r6, r0), call_pc(5), alu(BPF_AND, r0, 31), add_x(r6, r0), ldx(BPF_B, r0, r6, 0)} +
             leave0, {mov(r0, 1), exit_()}, l.of_nothing},
        {"registers do not survive", prog{mov(r1, 1), call_pc(2), mov_x(r0, r1), exit_()}, leave0, l.of_int, filter, EACCES, "R1 !read_ok"},
        {"saved registers do", prog{mov(r6, 1), mov(r1, 1), call_pc(2), mov_x(r0, r6), exit_()}, leave0, l.of_int},
        {"saved registers of the caller are not the body's", then_f({mov(r6, 0)}), {mov_x(r0, r6), exit_()}, l.of_nothing, filter, EACCES,
         "R6 !read_ok"},
        {"a reference is released where it was acquired", then_f({}),
         ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve)} + leave0, l.of_nothing, filter, EINVAL,
         "Unreleased reference"},
        {"calls without end", then_f({mov(r1, 1)}), prog{mov(r1, 1), call_pc(-2)} + leave0, l.of_int, filter, E2BIG,
         "the call stack of 8 frames is too deep"},
        {"packet pointers do not survive a function that moves the packet",
         prog{mov_x(r6, r1), ldx(BPF_W, r7, r1, 76), ldx(BPF_W, r8, r1, 80), mov_x(r2, r7), add(r2, 8), jmp_x(BPF_JGT, r2, r8, 2), call_pc(3),
              ldx(BPF_B, r0, r7, 0)} + leave0,
         prog{mov(r2, 0), call(BPF_FUNC_skb_pull_data)} + leave0, l.of_ctx, cls, EACCES, "R7 invalid mem access 'scalar'"},
        {"packet pointers survive one that does not",
         prog{mov_x(r6, r1), ldx(BPF_W, r7, r1, 76), ldx(BPF_W, r8, r1, 80), mov_x(r2, r7), add(r2, 8), jmp_x(BPF_JGT, r2, r8, 2), call_pc(3),
              ldx(BPF_B, r0, r7, 0)} + leave0,
         leave0, l.of_ctx, cls},
    };
}

}  // namespace

TEST(Typed, GlobalFunctions) {
    for (const auto &rows : {argument_rows(), prototype_rows()})
        for (const auto &r : rows) {
            auto out = run(r.main, r.body, r.func, r.type);
            EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
            EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
            for (options o : {options{.no_pruning = true}, options{.other_arm_first = true}, options{.flags = BPF_F_TEST_STATE_FREQ},
                              options{.log_level = 0}})
                EXPECT_EQ(run(r.main, r.body, r.func, r.type, o).err, r.err) << r.name;
        }
}

// A function is looked at only if code that can run calls it, and goes with the dead code if nothing does.
TEST(Typed, UncalledGlobalFunction) {
    prog never = prog{mov(r0, 0), jmp(BPF_JEQ, r0, 0, 1), call_pc(2)} + leave0, bad{ldx(BPF_DW, r0, r1, 0), exit_()};
    auto out = run(never, bad, lib().of_int);
    ASSERT_EQ(out.err, 0) << out.log;
    EXPECT_EQ(out.log.find("Validating"), std::string::npos) << out.log;
    EXPECT_EQ(out.program->image.subprogs.size(), 1u);
    EXPECT_EQ(out.program->funcs.size(), 1u);
    prog maybe = prog{call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 0, 2), mov(r1, 0), call_pc(2)} + leave0;
    EXPECT_EQ(run(maybe, bad, lib().of_int).err, EACCES);
}

// A static function is explored with what its caller passes.
TEST(Typed, StaticFunction) {
    prog main = prog{mov(r1, 0), call_pc(2)} + leave0, body = prog{jmp(BPF_JEQ, r1, 0, 1), ldx(BPF_DW, r0, r1, 0)} + leave0;
    auto out = run(main, body, lib().static_of_int);
    EXPECT_EQ(out.err, 0) << out.log;
    EXPECT_EQ(out.log.find("is global"), std::string::npos);
    EXPECT_EQ(run(main, body, lib().of_int).err, EACCES);
}

// LD_ABS and tail calls in functions need a type that says that a number is returned.
TEST(Typed, PacketLoadsInFunctions) {
    prog main = prog{call_pc(2)} + leave0, body{mov_x(r6, r1), ld_abs(BPF_B, 0), exit_()};
    EXPECT_EQ(run(main, body, lib().of_ctx).err, 0);
    auto out = run(main, body, lib().returns_void);
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("LD_ABS is only allowed in functions that return 'int'"), std::string::npos) << out.log;
}

// CVE-2026-53090: where the packet is too short, LD_ABS leaves the function with 0, whatever is behind it.
TEST(Typed, PacketLoadLeavesItsFunction) {
    prog body{mov_x(r6, r1), ld_abs(BPF_B, 0), mov(r0, 8), exit_()}, believes{call_pc(4), jmp(BPF_JEQ, r0, 8, 1), ldx(BPF_DW, r0, r10, 8)},
        looks{call_pc(4), jmp(BPF_JEQ, r0, 8, 1), ja(0)};
    EXPECT_EQ(run(believes + leave0, body, lib().static_of_int).err, EACCES);
    EXPECT_EQ(run(looks + leave0, body, lib().static_of_int).err, 0);
}

TEST(Typed, FuncInfoMustFitTheProgram) {
    prog p = prog{mov(r1, 1), call_pc(2)} + leave0 + leave0;
    options o{.types = &*lib().types, .funcs = {{0, lib().main_func}}};
    auto out = check(p, o);
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("number of funcs in func_info doesn't match number of subprogs"), std::string::npos) << out.log;
    o.funcs.push_back({3, lib().of_int});
    out = check(p, o);
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("func_info BTF section doesn't match subprog layout"), std::string::npos) << out.log;
    o.funcs[1].insn_off = 4;
    EXPECT_EQ(check(p, o).err, 0);
}

namespace {

/// main: x = 1 (line 10); a dead branch; return f(x) (line 11). f: return a (line 20).
const prog lined = prog{mov(r1, 1), jmp(BPF_JEQ, r1, 1, 1), mov(r1, 7), call_pc(1), exit_(), mov_x(r0, r1), exit_()};

options with_lines() {
    const library &l = lib();
    options o{.log_level = BPF_LOG_LEVEL2, .types = &*l.types, .funcs = {{0, l.main_func}, {5, l.of_int}}};
    o.lines = {{0, l.file, l.line_a, 10u << 10 | 3}, {2, l.file, l.line_a, 10u << 10 | 9}, {3, l.file, l.line_b, 11u << 10 | 1},
               {5, l.file, l.line_c, 20u << 10 | 1}};
    return o;
}

size_t times(const std::string &log, const std::string &what) {
    size_t n = 0;
    for (size_t at = log.find(what); at != std::string::npos; at = log.find(what, at + 1))
        n++;
    return n;
}

}  // namespace

// Each source line stands once above the first of its instructions, without indentation and with the file's last name only.
TEST(Typed, SourceLinesInTheLog) {
    auto out = check(lined, with_lines());
    ASSERT_EQ(out.err, 0) << out.log;
    EXPECT_EQ(times(out.log, "; int x = 1; @ prog.c:10\n"), 1u) << out.log;
    EXPECT_EQ(times(out.log, "; return f(x); @ prog.c:11\n"), 1u) << out.log;
    EXPECT_EQ(times(out.log, "; return a; @ prog.c:20\n"), 1u) << out.log;
    EXPECT_LT(out.log.find("prog.c:10"), out.log.find("0: (b7) r1 = 1")) << out.log;
    EXPECT_LT(out.log.find("prog.c:11"), out.log.find("3: (85) call pc+1")) << out.log;
    options quiet = with_lines();
    quiet.log_level = BPF_LOG_STATS;
    EXPECT_EQ(times(check(lined, quiet).log, "prog.c"), 0u);
}

TEST(Typed, EveryFunctionStartsALine) {
    options o = with_lines();
    o.lines.pop_back();
    auto out = check(lined, o);
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("missing bpf_line_info for 1 funcs starting from func#1"), std::string::npos) << out.log;
}

// Dead code takes its lines with it; functions and lines move with the instructions that are left.
TEST(Typed, InfoFollowsTheInstructionsThatAreLeft) {
    auto out = check(lined, with_lines());
    ASSERT_EQ(out.err, 0) << out.log;
    const verified_program &p = *out.program;
    ASSERT_EQ(p.image.insns.size(), 5u); // the branch and what it jumps over are gone
    ASSERT_EQ(p.funcs.size(), 2u);
    EXPECT_EQ(p.funcs[0].insn_off, 0u);
    EXPECT_EQ(p.funcs[1].insn_off, 3u);
    EXPECT_EQ(p.funcs[1].type_id, lib().of_int);
    ASSERT_EQ(p.lines.size(), 3u);
    const u32 offs[] = {0, 1, 3}, numbers[] = {10, 11, 20};
    for (u32 i = 0; i < 3; i++) {
        EXPECT_EQ(p.lines[i].insn_off, offs[i]);
        EXPECT_EQ(p.lines[i].line(), numbers[i]);
    }
}

}  // namespace modbpf::test
