// SPDX-License-Identifier: GPL-2.0-only
// Modules of the kernel: their types' ids and their end, a program at a function of one by the commands that user space gives, and who
// keeps a module. The module is one that the test loads; its function is port/user's.
#include "attach/event_test.h"
#include "btf/btf_builder_test.h"

extern "C" u64 hooked_add(int a, u64 b);

using namespace modbpf;
using namespace modbpf::test;

namespace {

constexpr const char *module_name = "hooked";

/// Types split off the kernel's.
struct split_builder : btf_builder {
    u32 shift;
    split_builder(u32 kernel_types, u32 kernel_strings) : shift(kernel_strings) {
        strings.clear(); // the first string is the base's
        count = kernel_types - 1;
    }
    u32 named(const std::string &name, u32 info_word, u32 to, std::vector<u32> tail = {}) {
        u32 id = type(name, info_word, to, tail);
        words[words.size() - tail.size() - 3] += name.empty() ? 0 : shift;
        return id;
    }
};

struct types_info {
    u32 id = 0;
    std::string name;
    bool kernel = false;
    fd file{-1};
};

class modules : public core_test {
protected:
    u32 function = 0, variable = 0;

    void SetUp() override {
        core_test::SetUp();
        if (!btf::vmlinux().ok())
            GTEST_SKIP() << "this kernel has no BTF";
    }
    void TearDown() override {
        EXPECT_FALSE(port_user_unload_module(module_name));
        core_test::TearDown();
    }
    void load_module() {
        ref<btf> kernel = btf::vmlinux().value();
        btf_header h;
        memcpy(&h, kernel->data().data(), sizeof(h));
        split_builder b(kernel->type_count(), h.str_len);
        u32 number = b.named("hooked_int", btf_builder::info(btf_kind::integer), 4, {BTF_INT_SIGNED << 24 | 32});
        u32 word = b.named("hooked_word", btf_builder::info(btf_kind::integer), 8, {64});
        u32 proto = b.named("", btf_builder::info(btf_kind::func_proto, 2), word, {0, number, 0, word});
        function = b.named("hooked_add", btf_builder::info(btf_kind::func), proto);
        variable = b.named("hooked_variable", btf_builder::info(btf_kind::var), word, {1});
        std::vector<u8> bytes = b.bytes();
        ASSERT_TRUE(port_user_load_module(module_name, bytes.data(), bytes.size()));
    }
    static types_info find(const char *name) {
        for (u32 id = 0;;) {
            get_id_attr next{};
            next.id = id;
            if (bpf(BPF_BTF_GET_NEXT_ID, next, 12))
                return {};
            get_id_attr by{};
            by.id = id = next.next_id;
            fd file(bpf(BPF_BTF_GET_FD_BY_ID, by, 12));
            types_info t = tell(file);
            if (t.name == name) {
                t.file = std::move(file);
                return t;
            }
        }
    }
    static types_info tell(const fd &file) {
        char name[64] = "";
        bpf_btf_info i{};
        i.name = addr_of(name), i.name_len = sizeof(name);
        EXPECT_EQ(get_info(file, i), 0);
        types_info t;
        t.id = i.id, t.name = name, t.kernel = i.kernel_btf;
        return t;
    }
    prog_load_attr at_function(const std::vector<bpf_insn> &insns, const fd &types, u32 id) {
        prog_load_attr a = load_attr(BPF_PROG_TYPE_TRACING, insns);
        a.expected_attach_type = BPF_TRACE_FEXIT;
        a.attach_prog_fd = types.u(), a.attach_btf_id = id;
        return a;
    }
};

TEST_F(modules, ids_come_and_go) {
    EXPECT_EQ(find(module_name).id, 0u);
    load_module();
    types_info t = find(module_name);
    EXPECT_TRUE(t.id && t.kernel);
    EXPECT_EQ(find(module_name).id, t.id);
    EXPECT_TRUE(port_user_unload_module(module_name));
    EXPECT_EQ(find(module_name).id, 0u);
    types_info left = tell(t.file); // who has them open keeps them
    EXPECT_EQ(left.name, module_name);
    EXPECT_EQ(left.id, 0u);
    std::vector<bpf_insn> insns = return_zero();
    prog_load_attr a = at_function(insns, t.file, function); // of a module that went
    EXPECT_EQ(bpf_load(a), -ENOENT);
    load_module();
    types_info again = find(module_name);
    EXPECT_TRUE(again.id && again.id != t.id);
    EXPECT_EQ(bpf_load(a), -ENOENT); // the new one is another
    EXPECT_TRUE(port_user_unload_module(module_name));
}

/// A program that refers to a module's variable needs the module.
TEST_F(modules, symbols) {
    load_module();
    types_info t = find(module_name);
    std::vector<bpf_insn> insns = {{BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_BTF_ID, 0, static_cast<s32>(variable)}, {0, 0, 0, 0, t.file.get()}};
    for (const bpf_insn &in : return_zero())
        insns.push_back(in);
    prog_load_attr a = load_attr(BPF_PROG_TYPE_RAW_TRACEPOINT, insns);
    EXPECT_EQ(bpf_load(a), -ENOTSUPP); // it is safe; in a process no symbol has an address
    EXPECT_TRUE(port_user_unload_module(module_name));
    EXPECT_EQ(bpf_load(a), -ENXIO);
}

TEST_F(modules, program_at_a_function) {
    load_module();
    types_info t = find(module_name);
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    // first argument times 16, and the result
    std::vector<bpf_insn> insns = store_r6(m, {{BPF_LDX | BPF_MEM | BPF_DW, 6, 1, 0, 0},
                                               {BPF_ALU | BPF_LSH | BPF_K, 6, 0, 0, 4},
                                               {BPF_LDX | BPF_MEM | BPF_DW, 2, 1, 16, 0},
                                               {BPF_ALU64 | BPF_ADD | BPF_X, 6, 2, 0, 0}});
    prog_load_attr a = at_function(insns, t.file, function + 1);
    EXPECT_EQ(bpf_load(a), -EINVAL); // there is no such type
    a.attach_btf_id = function;
    fd p(bpf_load(a));
    ASSERT_TRUE(p.ok()) << p.get();
    t.file = fd(-1);
    EXPECT_FALSE(port_user_unload_module(module_name)); // the program keeps it
    link_create_attr l{};
    l.prog_fd = p.u(), l.attach_type = BPF_TRACE_FEXIT;
    fd link(bpf(BPF_LINK_CREATE, l));
    ASSERT_TRUE(link.ok()) << link.get();
    EXPECT_EQ(hooked_add(3, 4), 7u);
    EXPECT_EQ(stored(m), 3u * 16 + 7);
    bpf_link_info i{};
    ASSERT_EQ(get_info(link, i), 0);
    EXPECT_EQ(i.tracing.target_obj_id, find(module_name).id);
    EXPECT_EQ(i.tracing.target_btf_id, function);
    p = fd(-1);
    EXPECT_FALSE(port_user_unload_module(module_name)); // the link keeps it
    link = fd(-1);
    port_user_sweep();
    core->dead.flush();
    port_rcu_barrier();
    core->dead.flush();
    EXPECT_TRUE(port_user_unload_module(module_name));
    EXPECT_EQ(hooked_add(3, 5), 8u);
    EXPECT_EQ(stored(m), 3u * 16 + 7);
}

}  // namespace
