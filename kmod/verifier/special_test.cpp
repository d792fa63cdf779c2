// SPDX-License-Identifier: GPL-2.0-only
// Special fields: found in BTF, left alone by loads and stores; locks and kernel pointers.
#include "btf/btf_builder_test.h"
#include "btf/fields.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

constexpr u32 filter = BPF_PROG_TYPE_SOCKET_FILTER, cls = BPF_PROG_TYPE_SCHED_CLS;

/// struct value { int a; struct bpf_spin_lock lock; struct own __kptr_untrusted *p; struct own __kptr *q; long b; } and others.
struct library {
    ref<btf> types;
    u32 value, two_locks, bad_tag, nested, unlocked_list, list, pointers;
    library() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64);
        u32 lock = b.composite(K::structure, "bpf_spin_lock", 4, {{"val", i, 0}});
        u32 own_type = b.composite(K::structure, "own_type_of_test", 8, {{"x", w, 0}});
        auto tagged = [&](const char *tag, u32 to) { return b.refer(K::pointer, b.type(tag, b.info(K::type_tag), to)); };
        u32 unref = tagged("kptr_untrusted", own_type), counted = tagged("kptr", own_type), odd = tagged("kptr_of_sorts", own_type);
        value = b.composite(K::structure, "value", 32, {{"a", i, 0}, {"lock", lock, 32}, {"p", unref, 64}, {"q", counted, 128}, {"b", w, 192}});
        two_locks = b.composite(K::structure, "two", 8, {{"a", lock, 0}, {"b", lock, 32}});
        bad_tag = b.composite(K::structure, "odd", 8, {{"p", odd, 0}});
        nested = b.composite(K::structure, "outer", 40, {{"a", w, 0}, {"in", value, 64}});
        u32 array = b.array(unref, i, 3);
        pointers = b.composite(K::structure, "pointers", 32, {{"a", w, 0}, {"p", array, 64}});
        u32 node = b.composite(K::structure, "bpf_list_node", 24, {{"o", w, 0}});
        u32 head = b.composite(K::structure, "bpf_list_head", 16, {{"o", w, 0}});
        b.composite(K::structure, "element", 32, {{"x", w, 0}, {"n", node, 64}});
        list = b.composite(K::structure, "list", 24, {{"head", head, 0}, {"lock", lock, 128}});
        b.type("contains:element:n", b.info(K::decl_tag), list, {0});
        unlocked_list = b.composite(K::structure, "unlocked", 16, {{"head", head, 0}});
        b.type("contains:element:n", b.info(K::decl_tag), unlocked_list, {0});
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const library &lib() {
    static library l;
    return l;
}

own<field_table> fields(u32 id) { return move(parse_fields(*lib().types, id, map_fields, nullptr)).value(); }

TEST(Fields, OfAValue) {
    auto t = fields(lib().value);
    ASSERT_EQ(t->fields.size(), 3u);
    EXPECT_EQ(t->find(field_kind::spin_lock)->off, 4u);
    EXPECT_EQ(t->at(8, kptr_fields)->kind, field_kind::kptr_unref);
    EXPECT_EQ(t->at(16, kptr_fields)->kind, field_kind::kptr_ref);
    EXPECT_EQ(t->at(16, field_bit(field_kind::spin_lock)), nullptr);
    EXPECT_FALSE(t->has(field_kind::timer));
}

TEST(Fields, NestedAndRepeated) {
    auto t = fields(lib().nested);
    ASSERT_EQ(t->fields.size(), 3u);
    EXPECT_EQ(t->find(field_kind::spin_lock)->off, 12u);
    auto p = fields(lib().pointers);
    ASSERT_EQ(p->fields.size(), 3u);
    EXPECT_EQ(p->fields[2].off, 24u);
}

TEST(Fields, Roots) {
    auto t = fields(lib().list);
    ASSERT_EQ(t->fields.size(), 2u);
    EXPECT_EQ(t->find(field_kind::list_head)->node_off, 8u);
}

TEST(Fields, NoneWhereTheyAreNotAsTheyShouldBe) {
    EXPECT_EQ(fields(lib().two_locks)->kinds, 0u);
    EXPECT_EQ(fields(lib().bad_tag)->kinds, 0u);
    EXPECT_EQ(fields(lib().unlocked_list)->kinds, 0u);
}

TEST(Fields, FailedAllocations) {
    lib(); // made while nothing fails
    for (u64 n = 1;; n++) {
        port_fail_nth_set(n);
        auto r = parse_fields(*lib().types, lib().value, map_fields, nullptr);
        u64 counted = port_fail_nth_set(0);
        if (counted < n)
            break;
        EXPECT_EQ(r.ok() ? 0 : r.err().code(), ENOMEM) << n;
    }
}

// ---- programs ---------------------------------------------------------------------------------------------------------------------

constexpr int locked_fd = 2000; ///< 4 elements of `value`

struct typed_map {
    map *m = nullptr;
    typed_map() {
        map_params p{.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 32, .max_entries = 4};
        snprintf(p.name, sizeof(p.name), "locked");
        m = find_map_ops(BPF_MAP_TYPE_ARRAY)->create(p).value();
        m->user_get();
        m->btf_ref = const_cast<btf *>(&*lib().types);
        m->fields = fields(lib().value).release();
    }
    static typed_map &get() {
        static typed_map t;
        return t;
    }
    static result<ref<map>> from_fd(int fd) {
        if (fd == locked_fd)
            return ref<map>(get().m);
        return verifier_maps::from_fd(fd);
    }
    ~typed_map() {
        destroy(const_cast<field_table *>(m->fields));
        m->btf_ref = nullptr, m->fields = nullptr;
        m->user_put();
        m->put();
        map_free_barrier();
    }
};

struct special_row {
    const char *name;
    prog p;
    int err = 0;
    const char *text = "";
    u32 type = cls;
};

const prog ret0 = {mov(r0, 0), exit_()};
/// r6 = an element, or the program ends.
prog element(u8 dst = r6) {
    return prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4)} + ld_map(r1, locked_fd) +
           prog{call(BPF_FUNC_map_lookup_elem), jmp(BPF_JNE, r0, 0, 2)} + ret0 + prog{mov_x(dst, r0)};
}
prog lock(u8 reg = r6, s32 off = 4) { return {mov_x(r1, reg), add(r1, off), call(BPF_FUNC_spin_lock)}; }
prog unlock(u8 reg = r6, s32 off = 4) { return {mov_x(r1, reg), add(r1, off), call(BPF_FUNC_spin_unlock)}; }

/// A place where paths may be joined.
const prog join = prog(8, mov(r5, 0)) + prog{jmp(BPF_JEQ, r5, 1, 0), jmp(BPF_JEQ, r5, 1, 0)};

std::vector<special_row> special_rows() {
    return {
        {"plain members", element() + prog{ldx(BPF_W, r1, r6, 0), stx(BPF_DW, r6, r1, 24)} + ret0},
        {"a lock is not read", element() + prog{ldx(BPF_W, r1, r6, 4)} + ret0, EACCES, "bpf_spin_lock cannot be accessed directly by load/store"},
        {"nor written", element() + prog{st(BPF_W, r6, 4, 0)} + ret0, EACCES, "bpf_spin_lock cannot be accessed directly by load/store"},
        {"nor touched", element() + prog{st(BPF_DW, r6, 0, 0)} + ret0, EACCES, "bpf_spin_lock cannot be accessed directly by load/store"},
        {"nor touched at a variable offset",
         element() + prog{call(BPF_FUNC_get_prandom_u32), alu(BPF_AND, r0, 7), add_x(r6, r0), st(BPF_B, r6, 0, 0)} + ret0, EACCES,
         "bpf_spin_lock cannot be accessed directly by load/store"},
        {"a variable offset elsewhere",
         element() + prog{call(BPF_FUNC_get_prandom_u32), alu(BPF_AND, r0, 7), add_x(r6, r0), st(BPF_B, r6, 24, 0)} + ret0},
        {"nor by an atomic operation", element() + prog{mov(r1, 1), atomic(BPF_W, BPF_ADD, r6, r1, 4)} + ret0, EACCES,
         "bpf_spin_lock cannot be accessed directly by load/store"},
        {"nor by a helper", element() + prog{mov_x(r1, r6), mov(r2, 8), mov(r3, 0), mov(r4, 0), mov(r5, 0)} + prog{mov_x(r2, r6), mov_x(r1, r10), add(r1, -8),
         mov(r2, 8), mov_x(r3, r6), call(BPF_FUNC_probe_read_kernel)} + prog{mov_x(r1, r6), mov(r2, 8), mov_x(r3, r6), call(BPF_FUNC_probe_read_kernel)} + ret0,
         EACCES, "bpf_spin_lock cannot be accessed directly by load/store"},
        {"lock and unlock", element() + lock() + prog{ldx(BPF_W, r7, r6, 0), st(BPF_DW, r6, 24, 1)} + unlock() + ret0, 0, ""},
        {"a lock is left", element() + lock() + ret0, EINVAL, "bpf_spin_unlock is missing"},
        {"twice", element() + lock() + lock() + unlock() + ret0, EINVAL, "function calls are not allowed while holding a lock"},
        {"unlock without a lock", element() + unlock() + ret0, EINVAL, "bpf_spin_unlock without taking a lock"},
        {"unlock of another element", element(r6) + element(r7) + lock(r6) + unlock(r7) + ret0, EINVAL, "bpf_spin_unlock of different lock"},
        {"not at the lock", element() + lock(r6, 8) + ret0, EINVAL, "off 8 doesn't point to 'struct bpf_spin_lock' that is at 4"},
        {"at a variable offset",
         element() + prog{call(BPF_FUNC_get_prandom_u32), alu(BPF_AND, r0, 4), mov_x(r1, r6), add_x(r1, r0), call(BPF_FUNC_spin_lock)} + ret0, EINVAL,
         "R1 doesn't have constant offset. bpf_spin_lock has to be at the constant offset"},
        {"a map without types", lookup() + prog{jmp(BPF_JNE, r0, 0, 2)} + ret0 + prog{mov_x(r1, r0), call(BPF_FUNC_spin_lock)} + ret0, EINVAL,
         "map 'm1000' has to have BTF in order to use bpf_spin_lock"},
        {"no call under a lock", element() + lock() + prog{call(BPF_FUNC_get_prandom_u32)} + unlock() + ret0, EINVAL,
         "function calls are not allowed while holding a lock"},
        {"no packet load under a lock", prog{mov_x(r9, r1)} + element() + lock() + prog{mov_x(r8, r6), mov_x(r6, r9), ld_abs(BPF_B, 0)} + unlock(r8) + ret0, EINVAL,
         "BPF_LD_[ABS|IND] cannot be used inside bpf_spin_lock-ed region"},
        {"one path unlocks", element() + lock() + prog{ldx(BPF_W, r7, r6, 0), jmp(BPF_JEQ, r7, 0, 3)} + unlock() + ret0, EINVAL, "bpf_spin_unlock is missing"},
        {"a lock on the arm that is explored first, none on the other",
         element() + prog{ldx(BPF_W, r7, r6, 0), jmp(BPF_JEQ, r7, 0, 3)} + lock() + join + unlock() + ret0, EINVAL, "bpf_spin_unlock without taking a lock"},
        {"none on the arm that is explored first, a lock on the other",
         element() + prog{ldx(BPF_W, r7, r6, 0), jmp(BPF_JEQ, r7, 0, 1), ja(3)} + lock() + join + ret0, EINVAL, "bpf_spin_unlock is missing"},
        {"a lock on both arms", element() + lock() + prog{ldx(BPF_W, r7, r6, 0), jmp(BPF_JEQ, r7, 0, 1), mov(r8, 0)} + join + unlock() + ret0, 0, ""},
        {"both paths unlock", element() + lock() + prog{ldx(BPF_W, r7, r6, 0), jmp(BPF_JEQ, r7, 0, 1), st(BPF_W, r6, 0, 1)} + unlock() + ret0, 0, ""},

        {"a kernel pointer is loaded", element() + prog{ldx(BPF_DW, r1, r6, 8), jmp(BPF_JEQ, r1, 0, 0)} + ret0, 0, ""},
        {"it may be NULL", element() + prog{ldx(BPF_DW, r1, r6, 8), ldx(BPF_DW, r2, r1, 0)} + ret0, EACCES, "R1 invalid mem access 'untrusted_ptr_or_null_'"},
        {"half of it", element() + prog{ldx(BPF_W, r1, r6, 8)} + ret0, EACCES, "kptr access size must be BPF_DW"},
        {"beside it", element() + prog{ldx(BPF_B, r1, r6, 9)} + ret0, EACCES, "kptr access misaligned expected=8 off=9"},
        {"NULL is stored", element() + prog{st(BPF_DW, r6, 8, 0)} + ret0, 0, ""},
        {"NULL in a register is stored", element() + prog{mov(r1, 0), stx(BPF_DW, r6, r1, 8)} + ret0, 0, ""},
        {"no number is stored", element() + prog{st(BPF_DW, r6, 8, 1)} + ret0, EACCES, "BPF_ST imm must be 0 when storing to kptr at off=8"},
        {"nor from a register", element() + prog{mov(r1, 1), stx(BPF_DW, r6, r1, 8)} + ret0, EACCES, "invalid kptr access, R1 type=scalar"},
        {"nor another pointer", element() + prog{stx(BPF_DW, r6, r10, 8)} + ret0, EACCES, "invalid kptr access, R10 type=fp"},
        {"a counted one is not stored", element() + prog{st(BPF_DW, r6, 16, 0)} + ret0, EACCES, "store to referenced kptr disallowed"},
        {"not by an atomic operation", element() + prog{mov(r1, 0), atomic(BPF_DW, BPF_XCHG, r6, r1, 8)} + ret0, EACCES,
         "kptr in map can only be accessed using BPF_MEM instruction mode"},
        {"not by a helper", element() + prog{mov_x(r1, r6), add(r1, 8), mov(r2, 8), mov_x(r3, r6), call(BPF_FUNC_probe_read_kernel)} + ret0, EACCES,
         "kptr cannot be accessed indirectly by helper"},
        // NULL that is a number on another path: the verdict on the store may not be taken over.
        {"a number that was NULL once",
         prog{call(BPF_FUNC_get_prandom_u32), mov_x(r8, r0), mov(r7, 0), jmp(BPF_JEQ, r8, 1, 1), mov(r7, 1)} + element() + prog{stx(BPF_DW, r6, r7, 8)} + ret0, EACCES,
         "invalid kptr access, R7 type=scalar"},
    };
}

TEST(Special, Rows) {
    verifier_maps::get();
    for (bool no_pruning : {false, true})
        for (u32 flags : {0u, u32{BPF_F_TEST_STATE_FREQ}})
            for (const special_row &r : special_rows()) {
                auto out = check(r.p, {.type = r.type, .flags = flags, .no_pruning = no_pruning, .map_from_fd = typed_map::from_fd});
                EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
                EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << "\n" << out.log;
            }
}

/// A map of maps with timers in their values.
struct timer_maps {
    ref<btf> types;
    map *inner = nullptr, *outer = nullptr;
    timer_maps() {
        btf_builder b;
        u32 w = b.integer("u64", 8, 64);
        u32 timer = b.composite(btf_kind::structure, "bpf_timer", 16, {{"a", w, 0}, {"b", w, 64}});
        u32 value = b.composite(btf_kind::structure, "value", 16, {{"t", timer, 0}});
        types = load_btf(b.bytes()).types;
        auto make_map = [](u32 type, u32 value_size) {
            map_params p{.type = type, .key_size = 4, .value_size = value_size, .max_entries = 2};
            map *m = find_map_ops(type)->create(p).value();
            m->user_get();
            return m;
        };
        inner = make_map(BPF_MAP_TYPE_ARRAY, 16);
        inner->btf_ref = const_cast<btf *>(&*types);
        inner->fields = move(parse_fields(*types, value, map_fields, nullptr)).value().release();
        outer = make_map(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4);
        outer->inner = ref<map>(inner);
    }
    static result<ref<map>> from_fd(int fd) {
        static timer_maps *m = new timer_maps; // of the whole process
        return fd == 2300 ? ref<map>(m->outer) : verifier_maps::from_fd(fd);
    }
};

/// A timer is started with the map that it is in, not with another one of the same kind.
TEST(Special, TimersOfInnerMaps) {
    const prog leave{mov(r0, 0), exit_()}, look{call(BPF_FUNC_map_lookup_elem), jmp(BPF_JNE, r0, 0, 2), mov(r0, 0), exit_()};
    const prog key{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4)};
    auto inner = [&](u8 to) { return key + ld_map(r1, 2300) + look + prog{mov_x(to, r0)}; };
    const prog setup = inner(r6) + inner(r7) + key + prog{mov_x(r1, r6)} + look + prog{mov_x(r1, r0)};
    auto start_with = [&](u8 map) { return setup + prog{mov_x(r2, map), mov(r3, 1), call(BPF_FUNC_timer_init)} + leave; };
    options o{.type = cls, .verify_only = true, .map_from_fd = timer_maps::from_fd};
    auto own = check(start_with(r6), o);
    EXPECT_EQ(own.err, 0) << own.log;
    auto other = check(start_with(r7), o);
    EXPECT_EQ(other.err, EINVAL) << other.log;
    EXPECT_NE(other.log.find("doesn't match map pointer in R2 map_uid="), std::string::npos) << other.log;
}

}  // namespace

}  // namespace modbpf::test
