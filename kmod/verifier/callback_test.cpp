// SPDX-License-Identifier: GPL-2.0-only
// Callbacks: what they get and may return, that every number of turns is explored, and that loops through them converge.
#include "btf/btf_builder_test.h"
#include "jit/jit.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

constexpr u32 raw_tp = BPF_PROG_TYPE_RAW_TRACEPOINT, filter = BPF_PROG_TYPE_SOCKET_FILTER, cls = BPF_PROG_TYPE_SCHED_CLS;

struct library {
    ref<btf> types;
    u32 main_func, static_main, callback, global_callback;
    library() {
        btf_builder b;
        u32 i = b.int32(), ptr = b.refer(btf_kind::pointer, 0);
        auto proto = [&](u32 n) {
            std::vector<btf_builder::member> m;
            for (u32 p = 0; p < n; p++)
                m.push_back({"a", ptr, 0});
            return b.proto(i, m);
        };
        main_func = b.func("main_prog", proto(1));
        static_main = b.func("static_main", proto(1), BTF_FUNC_STATIC);
        callback = b.func("turn", proto(2), BTF_FUNC_STATIC);
        global_callback = b.func("global_turn", b.proto(i, {{"a", i, 0}, {"b", i, 0}}));
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const library &lib() {
    static library l;
    return l;
}

/// Stands for "r2 = address of the callback", two words; `which`: 1 is the first function behind main.
prog callback_ptr(u8 dst, s32 which = 1) { return {raw(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_FUNC, 0, which), raw(0, 0, 0, 0, 0)}; }

struct callback_row {
    const char *name;
    prog main;
    std::vector<prog> subs; ///< static functions behind main
    int err = 0;
    const char *text = "";
    u32 type = raw_tp;
};

outcome run(const callback_row &r, options o = {}, bool verify_only = true) {
    o.verify_only = verify_only;
    prog p = r.main;
    std::vector<u32> starts{0};
    for (const prog &s : r.subs) {
        starts.push_back(static_cast<u32>(p.size()));
        p.insert(p.end(), s.begin(), s.end());
    }
    for (u32 i = 0; i < p.size(); i++) { // functions by number become distances
        bool ptr = p[i].code == (BPF_LD | BPF_IMM | BPF_DW) && p[i].src_reg == BPF_PSEUDO_FUNC;
        bool call = p[i].code == (BPF_JMP | BPF_CALL) && p[i].src_reg == BPF_PSEUDO_CALL;
        if (ptr || call)
            p[i].imm = static_cast<s32>(starts[static_cast<u32>(p[i].imm)]) - static_cast<s32>(i) - 1;
    }
    o.type = r.type;
    o.types = &*lib().types;
    for (u32 i = 0; i < starts.size(); i++)
        o.funcs.push_back({starts[i], i ? lib().callback : lib().main_func});
    return check(p, o);
}

const prog ret0 = {mov(r0, 0), exit_()};
/// r1 = turns; bpf_loop(turns, first function, r3 = fp - 8 or the number `ctx`, 0)
prog loop(prog turns, s32 which = 1) {
    return turns + callback_ptr(r2, which) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_loop)};
}
prog loop(s32 turns, s32 which = 1) { return loop(prog{mov(r1, turns)}, which); }
const prog any_turns = {call(BPF_FUNC_get_prandom_u32), mov_x(r1, r0)};
/// r0 = array[0 .. 47][r1], from an element of the array map: needs r1 known to be small.
prog read_element(u8 index_reg) {
    return prog{mov_x(r6, index_reg), st(BPF_W, r10, -16, 0), mov_x(r2, r10), add(r2, -16)} + ld_map(r1, array_fd) +
           prog{call(BPF_FUNC_map_lookup_elem), jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r6), ldx(BPF_B, r0, r0, 0)} + ret0;
}
const prog zero_slot = {st(BPF_DW, r10, -8, 0)};
const prog count_up = {ldx(BPF_DW, r0, r2, 0), add(r0, 1), stx(BPF_DW, r2, r0, 0), mov(r0, 0), exit_()};

/// The slot becomes `first` on the arm that is explored first, else `second`, and of that `last`.
prog by_turns(s32 first, s32 second, s32 last) {
    return prog{mov_x(r6, r2), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 1, 2), st(BPF_DW, r6, 0, first), ja(4), ldx(BPF_DW, r1, r6, 0), st(BPF_DW, r6, 0, second),
                jmp(BPF_JNE, r1, second, 1), st(BPF_DW, r6, 0, last)} + prog(6, mov(r1, 0)) + ret0;
}
/// bpf_loop(turns, function `which`, r3 = what r2 is, 0)
prog pass_on(const prog &turns, s32 which) {
    return prog{mov_x(r6, r2)} + turns + callback_ptr(r2, which) + prog{mov_x(r3, r6), mov(r4, 0), call(BPF_FUNC_loop)} + ret0;
}
const prog one_turn = {mov(r1, 1)};
/// r7 is 8 (on the arm that is explored first) or `other`; paths may be joined behind it.
prog one_of(s32 other) {
    return prog{call(BPF_FUNC_get_prandom_u32), mov(r7, other), jmp(BPF_JEQ, r0, 0, 1), mov(r7, 8)} + prog(8, mov(r1, 0)) +
           prog{jmp(BPF_JEQ, r1, 1, 0), jmp(BPF_JEQ, r1, 1, 0)};
}
/// *r2 or *r1 = 8 or `other`.
prog store_one_of(u8 to, s32 other) { return prog{mov_x(r6, to)} + one_of(other) + prog{stx(BPF_DW, r6, r7, 0)} + ret0; }
const prog use_slot = prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1);
const prog get_far = prog{ldx(BPF_DW, r0, r1, 0)} + prog(8, mov(r1, 0)) + prog{exit_()};
const prog get_and_read = prog{mov_x(r1, r2), call_pc(3), mov_x(r1, r0)} + read_element(r1);
prog call_with_r2(s32 which) { return {mov_x(r1, r2), call_pc(which), mov(r0, 0), exit_()}; }

/// may_goto; the slot, -40 before, says where in the frame is written.
prog in_open_loop(const prog &calls) {
    s16 n = static_cast<s16>(calls.size() + 5);
    return prog{st(BPF_DW, r10, -8, -40), raw(BPF_JMP | BPF_JCOND, 0, 0, n, 0)} + calls +
           prog{ldx(BPF_DW, r1, r10, -8), add_x(r1, r10), st(BPF_DW, r1, 0, 0), st(BPF_DW, r10, -8, -40), ja(static_cast<s16>(-n - 1))} + ret0;
}

std::vector<callback_row> rows() {
    return {
        {"an empty callback", zero_slot + loop(10) + ret0, {ret0}},
        {"a context that is NULL", prog{mov(r1, 10)} + callback_ptr(r2) + prog{mov(r3, 0), mov(r4, 0), call(BPF_FUNC_loop)} + ret0, {ret0}},
        {"the context is stack", prog{mov(r1, 10)} + callback_ptr(r2) + prog{mov(r3, 5), mov(r4, 0), call(BPF_FUNC_loop)} + ret0, {ret0},
         EACCES, "R3 type=scalar expected=fp"},
        {"the callback is a function", prog{mov(r1, 10), mov(r2, 0), mov(r3, 0), mov(r4, 0), call(BPF_FUNC_loop)} + ret0, {}, EACCES,
         "R2 type=scalar expected=func"},
        {"a function is no memory", callback_ptr(r2) + prog{ldx(BPF_DW, r0, r2, 0), exit_()}, {ret0}, EACCES, "R2 invalid mem access 'func'"},
        {"a function pointer does not move", zero_slot + prog{mov(r1, 1)} + callback_ptr(r2) +
         prog{add(r2, 8), mov(r3, 0), mov(r4, 0), call(BPF_FUNC_loop)} + ret0, {ret0}, EACCES, "dereference of modified func ptr R2 off=8 disallowed"},
        {"returns too much", zero_slot + loop(10) + ret0, {{mov(r0, 2), exit_()}}, EINVAL,
         "At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]"},
        {"returns anything", zero_slot + loop(10) + ret0, {{call(BPF_FUNC_get_prandom_u32), exit_()}}, EINVAL,
         "At callback return the register R0 has"},
        {"returns nothing", zero_slot + loop(10) + ret0, {{exit_()}}, EACCES, "R0 !read_ok"},
        {"returns a pointer", zero_slot + loop(10) + ret0, {{mov_x(r0, r2), exit_()}}, EINVAL, "cannot return stack pointer to the caller"},
        {"returns one", zero_slot + loop(10) + ret0, {{mov(r0, 1), exit_()}}},
        {"the index is any number", zero_slot + loop(4) + ret0, {read_element(r1)}, EINVAL,
         "math between map_value pointer and register with unbounded min value is not allowed"},
        {"the index, checked", zero_slot + loop(4) + ret0, {prog{jmp(BPF_JGT, r1, 40, 12)} + read_element(r1) + ret0}},
        {"no third argument", zero_slot + loop(10) + ret0, {{mov_x(r0, r3), exit_()}}, EACCES, "R3 !read_ok"},
        {"no callee-saved registers of the caller", prog{mov(r6, 0)} + zero_slot + loop(10) + ret0, {{mov_x(r0, r6), exit_()}}, EACCES, "R6 !read_ok"},
        {"the caller keeps its own", prog{mov_x(r6, r10)} + zero_slot + loop(10) + prog{ldx(BPF_DW, r0, r6, -8)} + ret0, {{mov(r6, 0), mov(r0, 0), exit_()}}},
        {"the helper's arguments are gone behind it", zero_slot + loop(10) + prog{mov_x(r0, r4)} + ret0, {ret0}, EACCES, "R4 !read_ok"},

        // Every number of turns.
        {"no turn: what the callback writes may not be there",
         prog{st(BPF_DW, r10, -8, 100)} + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{st(BPF_DW, r2, 0, 0), mov(r0, 0), exit_()}}, EACCES, ""},
        {"one turn: what the callback writes may be there",
         zero_slot + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{st(BPF_DW, r2, 0, 100), mov(r0, 0), exit_()}}, EACCES, ""},
        {"either is fine", zero_slot + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{st(BPF_DW, r2, 0, 40), mov(r0, 0), exit_()}}},
        {"the second turn sees what the first wrote", // 0 -> 8 -> 100
         zero_slot + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{ldx(BPF_DW, r1, r2, 0), mov(r0, 0), jmp(BPF_JEQ, r1, 8, 2), st(BPF_DW, r2, 0, 8), exit_(), st(BPF_DW, r2, 0, 100), exit_()}}, EACCES, ""},
        {"one turn at most", zero_slot + loop(1) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{ldx(BPF_DW, r1, r2, 0), mov(r0, 0), jmp(BPF_JEQ, r1, 8, 2), st(BPF_DW, r2, 0, 8), exit_(), st(BPF_DW, r2, 0, 100), exit_()}}},
        {"a state of the last turn says nothing of the turn before", zero_slot + loop(2) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1), {by_turns(1, 8, 100)}, EACCES, ""},
        {"a state of the last turn, safe", zero_slot + loop(2) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1), {by_turns(1, 8, 40)}},
        {"nor in a loop that is still open", in_open_loop(loop(2)), {by_turns(-48, -56, -600)}, EACCES, ""},
        {"in a loop that is still open, safe", in_open_loop(loop(2)), {by_turns(-48, -56, -64)}},
        {"counts to any number", zero_slot + loop(any_turns) + ret0, {count_up}},
        {"counts to any number, which nobody may use as an index",
         zero_slot + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1), {count_up}, EACCES, ""},
        {"a bound in the callback holds", zero_slot + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{ldx(BPF_DW, r0, r2, 0), jmp(BPF_JGE, r0, 10, 2), add(r0, 1), stx(BPF_DW, r2, r0, 0), mov(r0, 0), exit_()}}},
        {"a pointer does not become a number",
         prog{stx(BPF_DW, r10, r10, -8)} + loop(any_turns) + prog{ldx(BPF_DW, r1, r10, -8), ldx(BPF_DW, r0, r1, -8)} + ret0,
         {{st(BPF_DW, r2, 0, 0), mov(r0, 0), exit_()}}, EACCES, "R1 invalid mem access 'scalar'"},
        {"a callback in a callback", zero_slot + loop(any_turns, 1) + ret0, {zero_slot + loop(any_turns, 2) + ret0, count_up}},
        {"a callback through a function", zero_slot + prog{call_pc(1)} + ret0, {zero_slot + loop(any_turns, 2) + ret0, count_up}},
        {"a function in a callback writes the caller's slot, two frames down",
         zero_slot + loop(any_turns, 1) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{mov_x(r1, r2), call_pc(2), mov(r0, 0), exit_()}, {st(BPF_DW, r1, 0, 1000), mov(r0, 0), exit_()}}, EACCES, ""},
        {"and a harmless number", zero_slot + loop(any_turns, 1) + prog{ldx(BPF_DW, r1, r10, -8)} + read_element(r1),
         {{mov_x(r1, r2), call_pc(2), mov(r0, 0), exit_()}, {st(BPF_DW, r1, 0, 10), mov(r0, 0), exit_()}}},
        // What is stored, and what it is used for, in frames far apart.
        {"a number that its caller uses", zero_slot + loop(1) + use_slot, {store_one_of(r2, 40)}},
        {"a number that its caller must not use", zero_slot + loop(1) + use_slot, {store_one_of(r2, 100)}, EACCES, "invalid access to map value"},
        {"a number for two frames down", zero_slot + loop(1) + use_slot, {call_with_r2(2), store_one_of(r1, 40)}},
        {"a number that must not be used two frames down", zero_slot + loop(1) + use_slot, {call_with_r2(2), store_one_of(r1, 100)}, EACCES,
         "invalid access to map value"},
        {"the same through two callbacks", zero_slot + loop(1) + use_slot, {pass_on(one_turn, 2), store_one_of(r2, 40)}},
        {"not the same through two callbacks", zero_slot + loop(1) + use_slot, {pass_on(one_turn, 2), store_one_of(r2, 100)}, EACCES, "invalid access to map value"},
        {"three frames down", zero_slot + loop(1) + use_slot, {pass_on(one_turn, 2), call_with_r2(3), store_one_of(r1, 40)}},
        {"not three frames down", zero_slot + loop(1) + use_slot, {pass_on(one_turn, 2), call_with_r2(3), store_one_of(r1, 100)}, EACCES, "invalid access to map value"},
        {"a number from two frames down", one_of(40) + prog{stx(BPF_DW, r10, r7, -8)} + loop(1) + ret0, {call_with_r2(2), prog{ldx(BPF_DW, r1, r1, 0)} + read_element(r1)}},
        {"a number that must not come from two frames down", one_of(100) + prog{stx(BPF_DW, r10, r7, -8)} + loop(1) + ret0,
         {call_with_r2(2), prog{ldx(BPF_DW, r1, r1, 0)} + read_element(r1)}, EACCES, "invalid access to map value"},
        {"a number from three frames down, used in the frame above", one_of(40) + prog{stx(BPF_DW, r10, r7, -8)} + loop(1) + ret0,
         {pass_on(one_turn, 2), get_and_read, get_far}},
        {"a number from three frames down that must not be used in the frame above", one_of(100) + prog{stx(BPF_DW, r10, r7, -8)} + loop(1) + ret0,
         {pass_on(one_turn, 2), get_and_read, get_far}, EACCES, "invalid access to map value"},
        {"counts two frames down", zero_slot + loop(any_turns, 1) + ret0, {pass_on(any_turns, 2), count_up}},
        {"counts two frames down, which nobody may use as an index", zero_slot + loop(any_turns, 1) + use_slot, {pass_on(any_turns, 2), count_up}, EACCES, ""},
        {"counts two frames down to a bound", zero_slot + loop(any_turns, 1) + use_slot,
         {pass_on(any_turns, 2), {ldx(BPF_DW, r0, r2, 0), jmp(BPF_JGE, r0, 10, 2), add(r0, 1), stx(BPF_DW, r2, r0, 0), mov(r0, 0), exit_()}}},
        {"counts three frames down", zero_slot + loop(any_turns, 1) + ret0,
         {pass_on(any_turns, 2), call_with_r2(3), {ldx(BPF_DW, r0, r1, 0), add(r0, 1), stx(BPF_DW, r1, r0, 0), mov(r0, 0), exit_()}}},
        {"too deep", zero_slot + loop(2, 1) + ret0,
         {zero_slot + loop(2, 2) + ret0, zero_slot + loop(2, 3) + ret0, zero_slot + loop(2, 4) + ret0, zero_slot + loop(2, 5) + ret0,
          zero_slot + loop(2, 6) + ret0, zero_slot + loop(2, 7) + ret0, zero_slot + loop(2, 8) + ret0, ret0},
         E2BIG, "the call stack of 9 frames is too deep"},
        {"stack of a callback", prog{st(BPF_DW, r10, -256, 0)} + zero_slot + loop(2) + ret0, {{st(BPF_DW, r10, -264, 0), mov(r0, 0), exit_()}}, EACCES,
         "combined stack size of 2 calls is 528. Too large"},
        {"just fits", prog{st(BPF_DW, r10, -256, 0)} + zero_slot + loop(2) + ret0, {{st(BPF_DW, r10, -256, 0), mov(r0, 0), exit_()}}},

        // References.
        {"a reference is not left in a callback", zero_slot + loop(10) + ret0,
         {ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve)} + ret0}, EINVAL, "Unreleased reference id="},
        {"it may be released there", zero_slot + loop(10) + ret0,
         {ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve), jmp(BPF_JEQ, r0, 0, 3), mov_x(r1, r0),
                                        mov(r2, 0), call(BPF_FUNC_ringbuf_discard)} + ret0}},
        {"nor in a function that the callback calls", zero_slot + loop(10) + ret0,
         {prog{call_pc(2)} + ret0, ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve)} + ret0}, EINVAL,
         "Unreleased reference id="},
        {"the caller's reference is not the callback's to release",
         ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
         prog{stx(BPF_DW, r10, r0, -8)} + loop(10) + prog{ldx(BPF_DW, r1, r10, -8), mov(r2, 0), call(BPF_FUNC_ringbuf_discard)} + ret0,
         {prog{ldx(BPF_DW, r1, r2, 0), mov(r2, 0), call(BPF_FUNC_ringbuf_discard)} + ret0}, EINVAL, "reference has not been acquired before"},
        {"not even through a function",
         ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
         prog{stx(BPF_DW, r10, r0, -8)} + loop(10) + prog{ldx(BPF_DW, r1, r10, -8), mov(r2, 0), call(BPF_FUNC_ringbuf_discard)} + ret0,
         {prog{ldx(BPF_DW, r1, r2, 0), call_pc(2)} + ret0, prog{mov(r2, 0), call(BPF_FUNC_ringbuf_discard)} + ret0}, EINVAL,
         "reference has not been acquired before"},
        {"it may use it",
         ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
         prog{stx(BPF_DW, r10, r0, -8)} + loop(10) + prog{ldx(BPF_DW, r1, r10, -8), mov(r2, 0), call(BPF_FUNC_ringbuf_discard)} + ret0,
         {prog{ldx(BPF_DW, r1, r2, 0), st(BPF_DW, r1, 0, 1)} + ret0}},

        // Elements of a map.
        {"elements: map, key, value, context",
         zero_slot + ld_map(r1, hash_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0,
         {{ldx(BPF_DW, r0, r2, 0), ldx(BPF_DW, r0, r3, 40), st(BPF_DW, r3, 40, 1), stx(BPF_DW, r4, r0, 0), mov_x(r6, r1), mov(r0, 0), exit_()}}},
        {"a key is not written",
         zero_slot + ld_map(r1, hash_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0,
         {{st(BPF_DW, r2, 0, 0), mov(r0, 0), exit_()}}, EACCES, "write to change key R2 not allowed"},
        {"a key has its size",
         zero_slot + ld_map(r1, hash_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0,
         {{ldx(BPF_W, r0, r2, 5), mov(r0, 0), exit_()}}, EACCES, "invalid access to map key, key_size=8 off=5 size=4"},
        {"a value has its size",
         zero_slot + ld_map(r1, hash_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0,
         {{ldx(BPF_DW, r0, r3, 41), mov(r0, 0), exit_()}}, EACCES, "invalid access to map value, value_size=48 off=41 size=8"},
        {"a key may be passed where a key is read",
         zero_slot + ld_map(r1, hash_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0,
         {prog{call(BPF_FUNC_map_delete_elem)} + ret0}},
        {"no elements in a ring buffer",
         zero_slot + ld_map(r1, ringbuf_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0,
         {ret0}, ENOTSUPP, "callback function not allowed for map"},

        // What may not be in a callback.
        {"no legacy packet loads", prog{mov_x(r7, r1)} + zero_slot + loop(10) + ret0, {prog{mov_x(r6, r2), ld_abs(BPF_B, 0)} + ret0}, EINVAL,
         "cannot use BPF_LD_[ABS|IND] within callback", filter},
        {"main is no callback", prog{mov(r1, 1)} + callback_ptr(r2, 0) + prog{mov(r3, 0), mov(r4, 0), call(BPF_FUNC_loop)} + ret0, {}, EINVAL,
         "callback function not static"},
    };
}

TEST(Callback, Rows) {
    verifier_maps::get();
    for (const callback_row &r : rows()) {
        auto out = run(r);
        EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
        EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << "\n" << out.log;
    }
}

/// C code that calls back passes no counter of tail calls on: a program whose callbacks make them is safe, as in Linux, and does not run.
TEST(Callback, TailCalls) {
    verifier_maps::get();
    const prog go_on = ld_map(r2, prog_array_fd) + prog{mov(r3, 0), call(BPF_FUNC_tail_call)};
    const prog of_context = prog{ldx(BPF_DW, r1, r2, 0)} + go_on + ret0; // the callback's context is a slot with the program's
    const prog never = {mov(r3, 0), jmp(BPF_JEQ, r3, 0, static_cast<s16>(go_on.size()))};
    auto main = [](const prog &calls) { return prog{stx(BPF_DW, r10, r1, -8), mov_x(r6, r1)} + calls; };
    auto each = ld_map(r1, hash_fd) + callback_ptr(r2) + prog{mov_x(r3, r10), add(r3, -8), mov(r4, 0), call(BPF_FUNC_for_each_map_elem)} + ret0;
    const struct {
        callback_row row;
        bool runs;
    } rows[] = {
        {{"in a callback", main(loop(3) + ret0), {of_context}}, false},
        {{"in a callback of any number of turns", main(loop(any_turns) + ret0), {of_context}}, false},
        {{"in a callback of elements", main(each), {prog{ldx(BPF_DW, r1, r4, 0)} + go_on + ret0}}, false},
        {{"in a function that a callback calls", main(loop(3) + ret0), {prog{ldx(BPF_DW, r1, r2, 0), call_pc(2)} + ret0, go_on + ret0}}, false},
        {{"in a callback of a function", main(prog{call_pc(1)} + ret0), {prog{stx(BPF_DW, r10, r1, -8)} + loop(3, 2) + ret0, of_context}}, false},
        {{"behind callbacks", main(loop(3) + prog{mov_x(r1, r6)} + go_on + ret0), {ret0}}, true},
        {{"in a function that calls with callbacks", main(prog{call_pc(1)} + ret0),
          {prog{mov_x(r6, r1)} + zero_slot + loop(3, 2) + prog{mov_x(r1, r6)} + go_on + ret0, ret0}}, true},
        {{"in a function beside callbacks", main(loop(3) + prog{mov_x(r1, r6), call_pc(2)} + ret0), {ret0, go_on + ret0}}, true},
        {{"where no path of the callback leads", main(loop(3) + ret0), {never + go_on + ret0}}, true},
        {{"in a callback that is never called", main(loop(0) + ret0), {of_context}}, true},
    };
    for (const auto &r : rows) {
        auto safe = run(r.row);
        ASSERT_TRUE(safe.program) << r.row.name << "\n" << safe.log;
        EXPECT_STREQ(safe.program->absent, r.runs ? "" : "tail call in a callback") << r.row.name;
        if (r.runs) {
            EXPECT_TRUE(jit_compile(safe.program->image).ok()) << r.row.name;
        }
        auto out = run(r.row, {}, false);
        EXPECT_EQ(out.err, r.runs ? 0 : ENOTSUPP) << r.row.name << "\n" << out.log;
        EXPECT_EQ(out.log.find("tail call in a callback is not supported by modbpf") == std::string::npos, r.runs) << r.row.name << "\n" << out.log;
    }
}

// V4: the verdict does not depend on pruning by marks, on the order of the arms, on where checkpoints are made.
TEST(Callback, SameVerdictAnyWay) {
    verifier_maps::get();
    const options ways[] = {{.no_pruning = true}, {.other_arm_first = true}, {.flags = BPF_F_TEST_STATE_FREQ},
                            {.flags = BPF_F_TEST_STATE_FREQ, .other_arm_first = true}, {.log_level = 0}};
    for (const callback_row &r : rows())
        for (const options &o : ways) {
            auto out = run(r, o);
            EXPECT_EQ(out.err, r.err) << r.name << " flags " << o.flags << " no_pruning " << o.no_pruning << "\n" << out.log;
        }
}

}  // namespace

}  // namespace modbpf::test
