// SPDX-License-Identifier: GPL-2.0-only
// Objects of the program's own, lists of them, and exceptions: each rule beside what it lets pass.
#include "btf/btf_builder_test.h"
#include "btf/fields.h"
#include "verifier/verdict_rows.h"

namespace modbpf::test {

namespace {

constexpr int cell_fd = 2101; ///< 1 element: a pointer to a per-CPU `cell`
constexpr int list_fd = 2100; ///< 1 element: a list of `element` and its lock
constexpr int works_fd = 2102, works2_fd = 2103; ///< 1 element: a work queue

/// Types that stand for the kernel's.
struct kernel_like {
    ref<btf> types;
    u32 obj_new, obj_drop, percpu_new, percpu_drop, push, pop, throw_, acquire, wq_init;
    kernel_like() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64), voidp = b.refer(K::pointer, 0);
        u32 head = b.refer(K::pointer, b.composite(K::structure, "bpf_list_head", 16, {{"o", w, 0}}));
        u32 node = b.refer(K::pointer, b.composite(K::structure, "bpf_list_node", 24, {{"o", w, 0}}));
        auto func = [&](const char *name, u32 ret, const std::vector<btf_builder::member> &params) {
            return b.func(name, b.proto(ret, params), BTF_FUNC_STATIC);
        };
        obj_new = func("bpf_obj_new_impl", voidp, {{"local_type_id__k", w}, {"meta__ign", voidp}});
        obj_drop = func("bpf_obj_drop_impl", 0, {{"p__alloc", voidp}, {"meta__ign", voidp}});
        percpu_new = func("bpf_percpu_obj_new_impl", voidp, {{"local_type_id__k", w}, {"meta__ign", voidp}});
        percpu_drop = func("bpf_percpu_obj_drop_impl", 0, {{"p__alloc", voidp}, {"meta__ign", voidp}});
        push = func("bpf_list_push_front_impl", i, {{"head", head}, {"node", node}, {"meta__ign", voidp}, {"off", w}});
        pop = func("bpf_list_pop_front", node, {{"head", head}});
        acquire = func("bpf_refcount_acquire_impl", voidp, {{"p__refcounted_kptr", voidp}, {"meta__ign", voidp}});
        b.composite(K::structure, "bpf_map", 8, {{"o", w, 0}});
        u32 wq = b.refer(K::pointer, b.composite(K::structure, "bpf_wq", 16, {{"o", w, 0}}));
        wq_init = func("bpf_wq_init", i, {{"wq", wq}, {"p__map", voidp}, {"flags", i}});
        throw_ = func("bpf_throw", 0, {{"cookie", w}});
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const kernel_like &k() {
    static kernel_like l;
    return l;
}

struct program_types {
    ref<btf> types;
    u32 element, list, number, cell, holder, counted, works, either;
    program_types() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64);
        u32 lock = b.composite(K::structure, "bpf_spin_lock", 4, {{"val", i, 0}});
        u32 node = b.composite(K::structure, "bpf_list_node", 24, {{"o", w, 0}});
        u32 head = b.composite(K::structure, "bpf_list_head", 16, {{"o", w, 0}});
        element = b.composite(K::structure, "element", 32, {{"x", w, 0}, {"n", node, 64}});
        list = b.composite(K::structure, "list", 24, {{"head", head, 0}, {"lock", lock, 128}});
        b.type("contains:element:n", b.info(K::decl_tag), list, {0});
        cell = b.composite(K::structure, "cell", 16, {{"a", w, 0}, {"b", w, 64}});
        u32 pointer = b.refer(K::pointer, b.type("percpu_kptr", b.info(K::type_tag), cell));
        holder = b.composite(K::structure, "holder", 8, {{"p", pointer, 0}});
        number = i;
        either = b.composite(K::union_, "either", 4, {{"i", i, 0}, {"u", i, 0}});
        u32 refs = b.composite(K::structure, "bpf_refcount", 4, {{"n", i, 0}});
        counted = b.composite(K::structure, "counted", 16, {{"x", w, 0}, {"refs", refs, 64}});
        u32 wq = b.composite(K::structure, "bpf_wq", 16, {{"o", w, 0}});
        works = b.composite(K::structure, "works", 16, {{"wq", wq, 0}});
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const program_types &own_types() {
    static program_types t;
    return t;
}

/// An array of one element with special fields.
struct typed_map {
    map *m = nullptr;
    typed_map(u32 type, u32 size) {
        map_params p{.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = size, .max_entries = 1};
        m = find_map_ops(BPF_MAP_TYPE_ARRAY)->create(p).value();
        m->user_get();
        m->btf_ref = const_cast<btf *>(&*own_types().types);
        m->fields = move(parse_fields(*own_types().types, type, map_fields, nullptr)).value().release();
    }
    ~typed_map() {
        destroy(const_cast<field_table *>(m->fields));
        m->btf_ref = nullptr, m->fields = nullptr;
        m->user_put();
        m->put();
        map_free_barrier();
    }
    static result<ref<map>> from_fd(int fd) {
        static typed_map list(own_types().list, 24), cells(own_types().holder, 8), works(own_types().works, 16), works2(own_types().works, 16);
        const std::pair<int, map *> all[] = {{list_fd, list.m}, {cell_fd, cells.m}, {works_fd, works.m}, {works2_fd, works2.m}};
        for (auto [number, m] : all)
            if (fd == number)
                return ref<map>(m);
        return verifier_maps::from_fd(fd);
    }
};

bpf_insn kcall(u32 id) { return raw(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, static_cast<s32>(id)); }
/// r6 = a new element, or the program ends.
prog make_new() {
    return prog{mov(r1, static_cast<s32>(own_types().element)), mov(r2, 0), kcall(k().obj_new), jmp(BPF_JNE, r0, 0, 2)} + ret0 + prog{mov_x(r6, r0)};
}
prog drop(u8 reg = r6) { return {mov_x(r1, reg), mov(r2, 0), kcall(k().obj_drop)}; }
prog lock() { return ld_value(r1, list_fd, 16) + prog{call(BPF_FUNC_spin_lock)}; }
prog unlock() { return ld_value(r1, list_fd, 16) + prog{call(BPF_FUNC_spin_unlock)}; }
prog push(s32 off = 8) { return ld_value(r1, list_fd, 0) + prog{mov_x(r2, r6), add(r2, off), mov(r3, 0), mov(r4, 0), kcall(k().push)}; }
prog pop() { return ld_value(r1, list_fd, 0) + prog{kcall(k().pop), mov_x(r7, r0)}; }

/// r7 = the per-CPU cell in the map, or the program ends.
prog cell() { return ld_value(r6, cell_fd, 0) + prog{ldx(BPF_DW, r7, r6, 0), jmp(BPF_JNE, r7, 0, 2)} + ret0; }
prog this_cpu() { return {mov_x(r1, r7), call(BPF_FUNC_this_cpu_ptr)}; }
/// r7 = a new one, put into the map; what was there is dropped.
prog exchange() {
    return prog{mov(r1, static_cast<s32>(own_types().cell)), mov(r2, 0), kcall(k().percpu_new), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
           prog{mov_x(r7, r0)} + ld_value(r1, cell_fd, 0) + prog{mov_x(r2, r7), call(BPF_FUNC_kptr_xchg)};
}

/// r6 = a new counted object, or the program ends; r7 = the same once more, from `off` bytes behind its start.
prog make_two(s32 off) {
    return prog{mov(r1, static_cast<s32>(own_types().counted)), mov(r2, 0), kcall(k().obj_new), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
           prog{mov_x(r6, r0), mov_x(r1, r6), add(r1, off), mov(r2, 0), kcall(k().acquire), mov_x(r7, r0)};
}
prog init_work(int fd) { return ld_value(r1, works_fd, 0) + ld_map(r2, fd) + prog{mov(r3, 0), kcall(k().wq_init)} + ret0; }

std::vector<row> object_rows() {
    return {
        {"its fields are read and written", make_new() + prog{st(BPF_DW, r6, 0, 5), ldx(BPF_DW, r1, r6, 0)} + drop() + ret0, cls},
        {"not beyond", make_new() + prog{ldx(BPF_DW, r1, r6, 32)} + drop() + ret0, cls, EACCES, "access beyond struct element at off 32 size 8"},
        {"nor before", make_new() + prog{ldx(BPF_DW, r1, r6, -8)} + drop() + ret0, cls, EACCES, "invalid negative access: off=-8"},
        {"not its node", make_new() + prog{st(BPF_DW, r6, 24, 0)} + drop() + ret0, cls, EACCES, "direct access to bpf_list_node is disallowed"},
        {"nor a part of it", make_new() + prog{ldx(BPF_B, r1, r6, 31)} + drop() + ret0, cls, EACCES, "direct access to bpf_list_node is disallowed"},
        {"a pointer in it is a number", make_new() + prog{stx(BPF_DW, r6, r10, 0), ldx(BPF_DW, r1, r6, 0), ldx(BPF_DW, r1, r1, 0)} + drop() + ret0, cls,
         EACCES, "R1 invalid mem access 'scalar'"},
        {"not when it is dropped", make_new() + drop() + prog{ldx(BPF_DW, r1, r6, 0)} + ret0, cls, EACCES, "R6 invalid mem access 'scalar'"},
        {"read while the list's lock is held", make_new() + lock() + push() + prog{ldx(BPF_DW, r1, r6, 0)} + unlock() + ret0, cls},
        {"not behind", make_new() + lock() + push() + unlock() + prog{ldx(BPF_DW, r1, r6, 0)} + ret0, cls, EACCES, "R6 invalid mem access 'scalar'"},

        {"a CPU's copy", cell() + this_cpu() + prog{st(BPF_DW, r0, 8, 1)} + ret0, cls},
        {"not beyond it", cell() + this_cpu() + prog{st(BPF_DW, r0, 16, 1)} + ret0, cls, EACCES, "access beyond struct cell at off 16 size 8"},
        {"not the pointer itself", cell() + prog{ldx(BPF_DW, r0, r7, 0)} + ret0, cls, EACCES, "access percpu memory"},
        {"of a CPU that is there", cell() + prog{mov_x(r1, r7), mov(r2, 0), call(BPF_FUNC_per_cpu_ptr), jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, 8, 1)} + ret0, cls},
        // Linux takes this one for a pointer that is never NULL.
        {"which may not be", cell() + prog{mov_x(r1, r7), mov(r2, 0), call(BPF_FUNC_per_cpu_ptr), st(BPF_DW, r0, 8, 1)} + ret0, cls, EACCES,
         "R0 invalid mem access '"},
        {"in the map it stays for the section",
         exchange() + prog{jmp(BPF_JEQ, r0, 0, 2)} + ret0 + this_cpu() + prog{st(BPF_DW, r0, 0, 1)} + ret0, cls, EINVAL, "Unreleased reference id="},
        {"in an empty map", exchange() + prog{mov_x(r8, r0)} + this_cpu() + prog{st(BPF_DW, r0, 0, 1), jmp(BPF_JEQ, r8, 0, 3), mov_x(r1, r8), mov(r2, 0)} +
         prog{kcall(k().percpu_drop)} + ret0, cls},
        {"but is owned no more", exchange() + prog{mov_x(r8, r0), jmp(BPF_JEQ, r8, 0, 3), mov_x(r1, r8), mov(r2, 0), kcall(k().percpu_drop), mov_x(r1, r7), mov(r2, 0),
         kcall(k().percpu_drop)} + ret0, cls, EINVAL, ""},

        {"an object is made and dropped", make_new() + drop() + ret0, cls},
        {"an object is left", make_new() + ret0, cls, EINVAL, "Unreleased reference id="},
        {"it may be NULL", prog{mov(r1, static_cast<s32>(own_types().element)), mov(r2, 0), kcall(k().obj_new), mov_x(r6, r0)} + drop() + ret0, cls, EACCES,
         "Possibly NULL pointer passed to trusted arg0"},
        {"it is dropped once", make_new() + drop() + drop() + ret0, cls, EINVAL, ""},
        {"dropped where it starts", make_new() + prog{add(r6, 8)} + drop() + ret0, cls, EINVAL, "R1 must have zero offset when passed to release func"},
        {"a number is no object", prog{mov(r6, 7)} + drop() + ret0, cls, EINVAL, ""},
        {"of a structure", prog{mov(r1, static_cast<s32>(own_types().number)), mov(r2, 0), kcall(k().obj_new)} + ret0, cls, EINVAL,
         "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct"},
        {"of a structure alone", prog{mov(r1, static_cast<s32>(own_types().either)), mov(r2, 0), kcall(k().obj_new)} + ret0, cls, EINVAL,
         "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct"},
        {"of a known type", prog{call(BPF_FUNC_get_prandom_u32), mov_x(r1, r0), mov(r2, 0), kcall(k().obj_new)} + ret0, cls, EINVAL,
         "R1 must be a known constant"},

        {"pushed under the lock", make_new() + lock() + push() + unlock() + ret0, cls},
        {"not without", make_new() + push() + ret0, cls, EINVAL, "bpf_spin_lock at off=16 must be held for bpf_list_head"},
        {"the list owns it", make_new() + lock() + push() + unlock() + drop() + ret0, cls, EINVAL, ""},
        {"pushed once", make_new() + lock() + push() + push() + unlock() + ret0, cls, EINVAL, "arg#1 expected pointer to allocated object"},
        {"by its node", make_new() + lock() + push(0) + unlock() + ret0, cls, EINVAL, "bpf_list_node not found at offset=0"},
        {"popped and dropped",
         lock() + pop() + unlock() + prog{jmp(BPF_JNE, r7, 0, 2)} + ret0 + prog{add(r7, -8)} + drop(r7) + ret0, cls},
        {"popped and left", lock() + pop() + unlock() + ret0, cls, EINVAL, "Unreleased reference id="},
        {"popped: at its node", lock() + pop() + unlock() + prog{jmp(BPF_JNE, r7, 0, 2)} + ret0 + drop(r7) + ret0, cls, EINVAL,
         "R1 must have zero offset when passed to release func"},
        {"no other function under the lock", lock() + make_new() + drop() + unlock() + ret0, cls, EINVAL,
         "function calls are not allowed while holding a lock"},

        {"a counted object has several owners", make_two(0) + drop() + drop(r7) + ret0, cls},
        {"each of them drops it", make_two(0) + drop() + ret0, cls, EINVAL, "Unreleased reference id="},
        // Linux counts at the wrong place.
        {"counted from its start", make_two(8) + drop() + drop(r7) + ret0, cls, EINVAL, "R1 must point to the start of the object"},
        {"an object without a count has one", make_new() + prog{mov_x(r1, r6), mov(r2, 0), kcall(k().acquire), mov_x(r7, r0)} + drop() + drop(r7) + ret0, cls,
         EINVAL, "doesn't point to a type with bpf_refcount field"},
        {"a work of its map", init_work(works_fd), cls},
        {"not of another", init_work(works2_fd), cls, EINVAL, "workqueue pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0"},

        {"a throw ends the program", prog{mov(r1, 0), kcall(k().throw_)} + ret0, cls},
        {"nothing is held there", make_new() + prog{mov(r1, 0), kcall(k().throw_)} + drop() + ret0, cls, EINVAL, "Unreleased reference id="},
        {"in any frame", make_new() + prog{call_pc(5)} + drop() + ret0 + prog{mov(r1, 0), kcall(k().throw_)} + ret0, cls, EINVAL, "Unreleased reference id="},
        {"dropped before", make_new() + drop() + prog{mov(r1, 0), kcall(k().throw_)} + ret0, cls},
    };
}

TEST(Objects, Rows) {
    verifier_maps::get();
    for (bool no_pruning : {false, true})
        for (u32 flags : {0u, u32{BPF_F_TEST_STATE_FREQ}})
            for (const row &r : object_rows()) {
                options o{.type = r.type, .flags = flags, .no_pruning = no_pruning, .verify_only = true, .kernel = &*k().types, .map_from_fd = typed_map::from_fd};
                o.types = &*own_types().types;
                auto out = check(r.p, o);
                EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
                EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << "\n" << out.log;
                EXPECT_EQ(out.log.find("verifier bug"), std::string::npos) << r.name << "\n" << out.log;
            }
}

/// What the function of a call is told is one thing: a call that makes objects of two types does not run.
TEST(Objects, OneTypeACall) {
    verifier_maps::get();
    auto make_either = [](u32 other) {
        return prog{call(BPF_FUNC_get_prandom_u32), mov(r1, static_cast<s32>(own_types().element)), jmp(BPF_JEQ, r0, 0, 1),
                    mov(r1, static_cast<s32>(other)), mov(r2, 0), kcall(k().obj_new), jmp(BPF_JEQ, r0, 0, 3), mov_x(r1, r0), mov(r2, 0), kcall(k().obj_drop)} + ret0;
    };
    options o{.type = cls, .kernel = &*k().types, .map_from_fd = typed_map::from_fd};
    o.types = &*own_types().types;
    auto one = check(make_either(own_types().element), o), two = check(make_either(own_types().cell), o);
    ASSERT_TRUE(one.program && two.program) << one.log << two.log;
    EXPECT_STREQ(one.program->absent, "");
    EXPECT_STREQ(two.program->absent, "call of a kernel function for several types");
}

}  // namespace

}  // namespace modbpf::test
