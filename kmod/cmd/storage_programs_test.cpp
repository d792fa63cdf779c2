// SPDX-License-Identifier: GPL-2.0-only
// Programs that use local storage, user ring buffers and commands, verified, compiled and run here.
#include "btf/btf_builder_test.h"
#include "cmd/code_test.h"
#include "prog/test_run.h"

#include <sys/syscall.h>

using namespace modbpf;
using namespace modbpf::test;

namespace {

using code = insns;
code ld_value(u8 reg, const fd &m, s32 off = 0) {
    return {{BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_VALUE, 0, m.get()}, {0, 0, 0, 0, off}};
}

struct number_types : btf_builder {
    u32 number = int32();
    u32 wide = integer("u64", 8, 64);
    u32 no_args = proto(number, {}), callback = proto(number, {{"dynptr", refer(btf_kind::pointer, 0), 0}, {"ctx", refer(btf_kind::pointer, 0), 0}});
    u32 entry = func("entry", no_args), on_record = func("on_record", callback, 0); // static
};

class storage_programs : public core_test {
protected:
    void SetUp() override {
        core_test::SetUp();
        btf_ = load_types(types_.bytes());
    }
    void TearDown() override {
        btf_.close();
        core_test::TearDown();
    }
    fd make(u32 type) {
        map_create_attr a = map_attr(type, 4, 8, 0, BPF_F_NO_PREALLOC);
        a.btf_fd = btf_.u(), a.btf_key_type_id = types_.number, a.btf_value_type_id = types_.wide;
        return fd(bpf(BPF_MAP_CREATE, a));
    }
    static s64 run(const fd &prog, u32 flags = 0, void *ctx = nullptr, u32 size = 0) {
        test_run_attr a{};
        a.prog_fd = prog.u();
        a.ctx_in = addr_of(ctx), a.ctx_size_in = size;
        a.flags = flags;
        long rc = bpf(BPF_PROG_TEST_RUN, a);
        return rc ? rc : static_cast<s32>(a.retval);
    }
    static fd syscall_program(const code &c) {
        prog_load_attr a = load_attr(BPF_PROG_TYPE_SYSCALL, c);
        a.prog_flags = BPF_F_SLEEPABLE;
        fd p(bpf_load(a));
        EXPECT_TRUE(p.ok()) << p.get();
        return p;
    }

    number_types types_;
    fd btf_;
};

TEST_F(storage_programs, values_of_the_current_task) {
    const void *data;
    size_t size;
    if (port_vmlinux_btf(&data, &size))
        GTEST_SKIP() << "this kernel has no BTF";
    fd m = make(BPF_MAP_TYPE_TASK_STORAGE);
    ASSERT_TRUE(m.ok()) << m.get();
    bpf_map_info info{};
    ASSERT_EQ(get_info(m, info), 0);
    EXPECT_EQ(info.max_entries, 0u);
    EXPECT_EQ(info.key_size, 4u);
    auto count = [&](s32 flags) { // ++*value, or -1
        code c = call(BPF_FUNC_get_current_task_btf) + ld_map(BPF_REG_1, m) + mov(BPF_REG_2, BPF_REG_0) + imm(BPF_REG_3, 0) +
                 imm(BPF_REG_4, flags) + call(BPF_FUNC_task_storage_get) + null_is(-1) +
                 code{{BPF_LDX | BPF_MEM | BPF_DW, 1, 0, 0, 0}, {BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 1}, {BPF_STX | BPF_MEM | BPF_DW, 0, 1, 0, 0}} +
                 mov(BPF_REG_0, BPF_REG_1) + stop();
        return load(BPF_PROG_TYPE_RAW_TRACEPOINT, c);
    };
    fd create = count(1), plain = count(0), bad = count(2);
    ASSERT_TRUE(create.ok() && plain.ok() && bad.ok());
    EXPECT_EQ(run(plain), -1);
    EXPECT_EQ(run(bad), -1);
    EXPECT_EQ(run(create), 1);
    EXPECT_EQ(run(create), 2);
    EXPECT_EQ(run(plain), 3);
    int pidfd = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
    u64 value = 0;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &pidfd, &value), 0);
    EXPECT_EQ(value, 3u);
    value = 40;
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &pidfd, &value, BPF_EXIST), 0);
    EXPECT_EQ(run(plain), 41);
    fd remove = load(BPF_PROG_TYPE_RAW_TRACEPOINT, call(BPF_FUNC_get_current_task_btf) + ld_map(BPF_REG_1, m) + mov(BPF_REG_2, BPF_REG_0) +
                                                       call(BPF_FUNC_task_storage_delete) + stop());
    ASSERT_TRUE(remove.ok());
    EXPECT_EQ(run(remove), 0);
    EXPECT_EQ(run(remove), -ENOENT);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &pidfd, &value), -ENOENT);
    EXPECT_EQ(elem(BPF_MAP_GET_NEXT_KEY, m, nullptr, &value), -ENOTSUPP);
    ::close(pidfd);
}

/// Adds what user space wrote; the callback ends the walk at a record of 99.
TEST_F(storage_programs, user_ring_is_drained) {
    fd ring = make_map(BPF_MAP_TYPE_USER_RINGBUF, 0, 0, PORT_PAGE_SIZE);
    ASSERT_TRUE(ring.ok());
    // main: r6 = sum at fp-8; drain(ring, cb, &sum, flags); r0 = result * 1000 + sum
    code cb = mov(BPF_REG_6, BPF_REG_2) + mov(BPF_REG_3, BPF_REG_1) + mov(BPF_REG_1, BPF_REG_10) +
              code{{BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -8}, {BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0}} + imm(BPF_REG_2, 8) + imm(BPF_REG_4, 0) +
              imm(BPF_REG_5, 0) + call(BPF_FUNC_dynptr_read) +
              code{{BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -8, 0}, {BPF_LDX | BPF_MEM | BPF_DW, 2, 6, 0, 0}, {BPF_ALU64 | BPF_ADD | BPF_X, 2, 1, 0, 0},
                   {BPF_STX | BPF_MEM | BPF_DW, 6, 2, 0, 0}} +
              imm(BPF_REG_0, 0) + code{{BPF_JMP | BPF_JNE | BPF_K, 1, 0, 1, 99}} + imm(BPF_REG_0, 1) + stop();
    auto program = [&](s32 flags) {
        code head = code{{BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0}} + ld_map(BPF_REG_1, ring);
        code tail = mov(BPF_REG_3, BPF_REG_10) + code{{BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -8}} + imm(BPF_REG_4, flags) +
                    call(BPF_FUNC_user_ringbuf_drain) +
                    code{{BPF_ALU64 | BPF_MUL | BPF_K, 0, 0, 0, 1000}, {BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -8, 0}, {BPF_ALU64 | BPF_ADD | BPF_X, 0, 1, 0, 0}} + stop();
        s32 distance = static_cast<s32>(tail.size()) + 1; // from the second word of the load to the callback
        code fn{{BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_FUNC, 0, distance}, {0, 0, 0, 0, 0}};
        code all = head + fn + tail + cb;
        const func_info funcs[] = {{0, types_.entry}, {static_cast<u32>(all.size() - cb.size()), types_.on_record}};
        prog_load_attr a = load_attr(BPF_PROG_TYPE_RAW_TRACEPOINT, all);
        a.prog_btf_fd = btf_.u(), a.func_info = addr_of(funcs), a.func_info_cnt = 2, a.func_info_rec_size = sizeof(func_info);
        return fd(bpf_load(a));
    };
    fd p = program(0), bad = program(64);
    ASSERT_TRUE(p.ok() && bad.ok()) << p.get();
    EXPECT_EQ(run(bad), -EINVAL * 1000);
    EXPECT_EQ(run(p), 0);
    long consumer = port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ, MAP_SHARED, ring.get(), 0);
    long producer = port_user_mmap(nullptr, 3 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ring.get(), PORT_PAGE_SIZE);
    ASSERT_GT(consumer, 0);
    ASSERT_GT(producer, 0);
    u8 *data = ptr_of<u8>(static_cast<u64>(producer)) + PORT_PAGE_SIZE;
    u64 *end = ptr_of<u64>(static_cast<u64>(producer)), at = 0;
    auto write = [&](u64 value, bool discarded = false) {
        u32 len = 8 | (discarded ? BPF_RINGBUF_DISCARD_BIT : 0);
        memcpy(data + at % PORT_PAGE_SIZE, &len, 4);
        memcpy(data + at % PORT_PAGE_SIZE + 8, &value, 8);
        at += 16;
        __atomic_store_n(end, at, __ATOMIC_RELEASE);
    };
    write(3), write(500, true), write(4);
    EXPECT_EQ(run(p), 2007);
    EXPECT_EQ(run(p), 0);
    write(1), write(99), write(5);
    EXPECT_EQ(run(p), 2100); // ends behind 99
    EXPECT_EQ(run(p), 1005);
    EXPECT_EQ(*ptr_of<u64>(static_cast<u64>(consumer)), at);
    munmap(ptr_of(static_cast<u64>(consumer)), PORT_PAGE_SIZE);
    port_user_unmapped(ptr_of(static_cast<u64>(consumer)), PORT_PAGE_SIZE);
    munmap(ptr_of(static_cast<u64>(producer)), 3 * PORT_PAGE_SIZE);
    port_user_unmapped(ptr_of(static_cast<u64>(producer)), 3 * PORT_PAGE_SIZE);
}

/// A loader: makes a map, fills it and closes it, with everything in one map's value.
TEST_F(storage_programs, syscall_programs_run_commands) {
    struct {
        map_create_attr create;
        u64 pad;
    } image{};
    image.create = map_attr(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd data = make_map(BPF_MAP_TYPE_ARRAY, 4, 256, 1);
    u32 key = 0;
    u8 value[256] = {};
    memcpy(value, &image, sizeof(image));
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, data, &key, value), 0);
    auto command = [&](s32 cmd) {
        return imm(BPF_REG_1, cmd) + ld_value(BPF_REG_2, data) + imm(BPF_REG_3, sizeof(map_create_attr)) + call(BPF_FUNC_sys_bpf);
    };
    s64 made = run(syscall_program(command(BPF_MAP_CREATE) + stop()));
    ASSERT_GE(made, 0);
    EXPECT_STREQ(port_user_class(static_cast<int>(made)), "bpf-map");
    ::close(static_cast<int>(made));
    port_user_sweep();
    EXPECT_EQ(run(syscall_program(command(BPF_MAP_CREATE) + mov(BPF_REG_1, BPF_REG_0) + call(BPF_FUNC_sys_close) + stop())), 0);
    EXPECT_EQ(run(syscall_program(imm(BPF_REG_1, 100000) + call(BPF_FUNC_sys_close) + stop())), -EBADF);
    EXPECT_EQ(run(syscall_program(command(BPF_PROG_TEST_RUN) + stop())), -EINVAL); // not from a program
    EXPECT_EQ(run(syscall_program(command(BPF_MAP_FREEZE) + stop())), -EINVAL);    // bytes behind the command's own
    port_user_sweep();
}

TEST_F(storage_programs, names_are_looked_up) {
    fd data = make_map(BPF_MAP_TYPE_ARRAY, 4, 64, 1);
    u32 key = 0;
    u8 value[64] = "task_struct\0no_such_type_here";
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, data, &key, value), 0);
    auto find = [&](s32 off, s32 size, s32 kind, s32 flags) {
        return run(syscall_program(ld_value(BPF_REG_1, data, off) + imm(BPF_REG_2, size) + imm(BPF_REG_3, kind) + imm(BPF_REG_4, flags) +
                                   call(BPF_FUNC_btf_find_by_name_kind) + stop()));
    };
    EXPECT_EQ(find(0, 12, 4, 1), -EINVAL);
    EXPECT_EQ(find(0, 11, 4, 0), -EINVAL); // the NUL is left out
    const void *types;
    size_t bytes;
    if (!port_vmlinux_btf(&types, &bytes)) {
        s64 id = find(0, 12, 4, 0);
        EXPECT_GT(id, 0);
        auto types_of = btf::vmlinux();
        ref<btf> kernel = modbpf::move(types_of.value());
        EXPECT_EQ(id, static_cast<s64>(kernel->find("task_struct", btf_kind::structure)));
        EXPECT_EQ(find(12, 18, 4, 0), -ENOENT);
    }
    code ask = ld_value(BPF_REG_1, data) + imm(BPF_REG_2, 12) + imm(BPF_REG_3, 0) + mov(BPF_REG_4, BPF_REG_10) +
               code{{BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, -8}} + call(BPF_FUNC_kallsyms_lookup_name) + stop();
    fd p = syscall_program(ask);
    EXPECT_EQ(run(p), -ENOENT); // a process knows no symbols
}

}  // namespace
