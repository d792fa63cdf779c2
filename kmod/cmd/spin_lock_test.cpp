// SPDX-License-Identifier: GPL-2.0-only
// Values with a bpf_spin_lock: programs that take it, updates and look-ups with BPF_F_LOCK, and what user space sees of the lock.
#include "btf/btf_builder_test.h"
#include "cmd/core_test.h"

#include <thread>

using namespace modbpf;
using namespace modbpf::test;

namespace {

struct value {
    u64 a;
    u32 lock, pad;
    u64 b;
};
static_assert(sizeof(value) == 24);

/// struct { u64 a; struct bpf_spin_lock lock; u64 b; }
struct lock_types : btf_builder {
    u32 number = int32();
    u32 wide = integer("u64", 8, 64);
    u32 lock = composite(btf_kind::structure, "bpf_spin_lock", 4, {{"val", number, 0}});
    u32 value = composite(btf_kind::structure, "value", 24, {{"a", wide, 0}, {"lock", lock, 64}, {"b", wide, 128}});
};

class spin_lock : public core_test {
protected:
    void SetUp() override {
        core_test::SetUp();
        btf_ = load_types(types_.bytes());
        ASSERT_TRUE(btf_.ok()) << btf_.get();
    }
    void TearDown() override {
        btf_.close();
        core_test::TearDown();
    }
    fd make(u32 type, u32 entries = 2, u32 flags = 0) {
        map_create_attr a = map_attr(type, 4, sizeof(value), entries, flags);
        a.btf_fd = btf_.u(), a.btf_key_type_id = types_.number, a.btf_value_type_id = types_.value;
        return fd(bpf(BPF_MAP_CREATE, a));
    }

private:
    lock_types types_;
    fd btf_;
};

TEST_F(spin_lock, updates_and_lookups) {
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY}) {
        fd m = make(type), plain = make_map(type, 4, sizeof(value), 2);
        ASSERT_TRUE(m.ok()) << m.get();
        u32 key = 1;
        value in{5, 0xffffffff, 7, 9}, out{1, 1, 1, 1};
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, plain, &key, &in, BPF_F_LOCK), -EINVAL);
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &in, BPF_F_LOCK | BPF_NOEXIST), type == BPF_MAP_TYPE_HASH ? 0 : -EEXIST);
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &in, BPF_F_LOCK), 0);  // would hang if the first update had set the lock
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &in, BPF_F_LOCK | BPF_EXIST), 0);
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &in), 0);
        for (u64 flags : {0ull, +BPF_F_LOCK}) {
            EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out, flags), 0);
            EXPECT_EQ(out.a, 5u);
            EXPECT_EQ(out.lock, 0u);
            EXPECT_EQ(out.pad, 7u);
            EXPECT_EQ(out.b, 9u);
        }
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, plain, &key, &out, BPF_F_LOCK), -EINVAL);
        if (type == BPF_MAP_TYPE_HASH) {
            EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &in, BPF_F_LOCK | BPF_NOEXIST), -EEXIST);
            EXPECT_EQ(elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, m, &key, &out, BPF_F_LOCK), 0);
            EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &in, BPF_F_LOCK | BPF_EXIST), -ENOENT);
        }
    }
}

/// r0 = look-up of key 0; then, under the lock, a and b each grow by one.
std::vector<bpf_insn> add_one(const fd &m) {
    auto growing = [](s16 off) -> std::vector<bpf_insn> {
        return {{BPF_LDX | BPF_MEM | BPF_DW, 1, 6, off, 0}, {BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 1}, {BPF_STX | BPF_MEM | BPF_DW, 6, 1, off, 0}};
    };
    std::vector<bpf_insn> c = {
        {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0},
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, m.get()},
        {0, 0, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0},
        {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem},
        {BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0},
        mov_imm(0, 1),
        exit_insn(),
        {BPF_ALU64 | BPF_MOV | BPF_X, 6, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_X, 1, 0, 0, 0},
        {BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 8},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_spin_lock},
    };
    for (s16 off : {0, 16}) {
        std::vector<bpf_insn> g = growing(off);
        c.insert(c.end(), g.begin(), g.end());
    }
    for (bpf_insn i : std::vector<bpf_insn>{{BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0},
                                            {BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 8},
                                            {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_spin_unlock},
                                            mov_imm(0, 0),
                                            exit_insn()})
        c.push_back(i);
    return c;
}

/// Programs and user space under the same lock: a and b are always the same, and no step is lost.
TEST_F(spin_lock, programs) {
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY}) {
        fd m = make(type);
        ASSERT_TRUE(m.ok()) << m.get();
        fd p = load(BPF_PROG_TYPE_SCHED_CLS, add_one(m));
        ASSERT_TRUE(p.ok()) << p.get();
        u32 key = 0;
        value v{};
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &v), 0);
        auto run = [&](u32 times) {
            u8 packet[64] = {};
            test_run_attr a{};
            a.prog_fd = p.u(), a.data_in = addr_of(packet), a.data_size_in = sizeof(packet), a.repeat = times;
            EXPECT_EQ(bpf(BPF_PROG_TEST_RUN, a), 0);
            EXPECT_EQ(a.retval, 0u);
        };
        std::thread first([&] { run(20000); }), second([&] { run(20000); });
        u32 torn = 0;
        for (u32 i = 0; i < 2000; i++) {
            value out{};
            EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out, BPF_F_LOCK), 0);
            torn += out.a != out.b;
        }
        first.join(), second.join();
        EXPECT_EQ(torn, 0u);
        ASSERT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &v), 0);
        EXPECT_EQ(v.a, 40000u);
        EXPECT_EQ(v.b, 40000u);
    }
}

TEST_F(spin_lock, batches) {
    fd m = make(BPF_MAP_TYPE_HASH, 8);
    u32 keys[4] = {1, 2, 3, 4};
    value values[4] = {{1, 9, 0, 1}, {2, 9, 0, 2}, {3, 9, 0, 3}, {4, 9, 0, 4}};
    batch_attr a{};
    a.keys = addr_of(keys), a.values = addr_of(values), a.count = 4, a.map_fd = m.u(), a.elem_flags = BPF_F_LOCK;
    EXPECT_EQ(bpf(BPF_MAP_UPDATE_BATCH, a), 0);
    a.count = 4;
    EXPECT_EQ(bpf(BPF_MAP_UPDATE_BATCH, a), 0);
    u32 token = 0;
    a.count = 4, a.out_batch = addr_of(&token);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, a), -ENOENT);
    EXPECT_EQ(a.count, 4u);
    for (u32 i = 0; i < 4; i++) {
        EXPECT_EQ(values[i].a, keys[i]);
        EXPECT_EQ(values[i].lock, 0u);
    }
}

}  // namespace
