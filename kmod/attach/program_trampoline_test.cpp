// SPDX-License-Identifier: GPL-2.0-only
// Programs at functions of other programs: what they get and give, what may stand where, and what holds what; by both engines.
#include "attach/trampoline.h"

#include <atomic>
#include <thread>

#include "attach/event_test.h"
#include "btf/btf_builder_test.h"
#include "cmd/code_test.h"
#include "prog/hooks.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

constexpr u8 r0 = 0, r1 = 1, r2 = 2, r3 = 3, r6 = 6, r7 = 7;

insns alu(u8 op, u8 dst, u8 src) { return {{static_cast<u8>(BPF_ALU64 | op | BPF_X), dst, src, 0, 0}}; }
insns alu_imm(u8 op, u8 dst, s32 v) { return {{static_cast<u8>(BPF_ALU64 | op | BPF_K), dst, 0, 0, v}}; }
insns word(u8 dst, u8 src, s16 off) { return {{BPF_LDX | BPF_MEM | BPF_DW, dst, src, off, 0}}; }
insns call_sub(s32 to) { return {{BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, to}}; }
insns tail_call(const fd &array, s32 index) { return ld_map(r2, array) + imm(r3, index) + call(BPF_FUNC_tail_call); }

/// The types of all programs of these tests.
struct types {
    btf_builder b;
    u32 main, add, keep, wide, small, raw_part, sized, fills[4]; ///< fills: of memory of 4, 8 and 64 bytes; of 8 that are there
    fd loaded;

    types() {
        u32 i = b.int32(), l = b.integer("long", 8, BTF_INT_SIGNED << 24 | 64);
        u32 md = b.composite(btf_kind::structure, "xdp_md", 4, {{"data", i, 0}}), ctx = b.refer(btf_kind::pointer, md);
        main = b.func("main", b.proto(i, {{"ctx", ctx, 0}}));
        add = b.func("add", b.proto(i, {{"a", i, 0}, {"b", i, 0}}));
        keep = b.func("keep", b.proto(i, {{"ctx", ctx, 0}}), BTF_FUNC_STATIC);
        wide = b.func("wide", b.proto(i, {{"a", i, 0}, {"b", l, 0}}));
        small = b.func("small", b.proto(i, {{"ctx", ctx, 0}}));
        u32 args = b.composite(btf_kind::structure, "bpf_raw_tracepoint_args", 8, {{"args", l, 0}});
        raw_part = b.func("raw_part", b.proto(i, {{"ctx", b.refer(btf_kind::pointer, args), 0}}));
        u32 dynptr = b.composite(btf_kind::structure, "bpf_dynptr", 16, {});
        sized = b.func("sized", b.proto(i, {{"d", b.refer(btf_kind::pointer, dynptr), 0}}));
        constexpr u32 sizes[] = {4, 8, 64, 8};
        for (u32 k = 0; k < 4; k++) {
            u32 words = b.array(i, i, sizes[k] / 4), memory = b.composite(btf_kind::structure, "memory", sizes[k], {{"words", words, 0}});
            fills[k] = b.func("fill", b.proto(i, {{"m", b.refer(btf_kind::pointer, memory), 0}}));
        }
        b.type("arg:nonnull", b.info(btf_kind::decl_tag), fills[3], {0});
        loaded = load_types(b.bytes());
    }
};

struct part {
    u32 type_id;
    insns code;
};

class programs_at_programs : public core_test, public ::testing::WithParamInterface<bool> {
protected:
    std::unique_ptr<types> t;
    fd seen; ///< ARRAY that tracers write to

    void SetUp() override {
        core_test::SetUp();
        run_by_interpreter = GetParam();
        t = std::make_unique<types>();
        ASSERT_TRUE(t->loaded.ok());
        seen = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    }
    void TearDown() override {
        seen.close();
        t.reset();
        run_by_interpreter = false;
        core_test::TearDown();
    }

    std::string log;
    fd load_parts(u32 type, const std::vector<part> &parts, u32 attach = 0, const fd *target = nullptr, u32 target_id = 0,
                  u32 flags = 0) {
        insns all;
        std::vector<func_info> funcs;
        for (const part &p : parts) {
            funcs.push_back({static_cast<u32>(all.size()), p.type_id});
            all = all + p.code;
        }
        static char text[65536];
        prog_load_attr a = load_attr(type, all);
        a.expected_attach_type = attach;
        a.prog_flags = flags;
        a.prog_btf_fd = t->loaded.u(), a.func_info = addr_of(funcs.data()), a.func_info_rec_size = sizeof(func_info);
        a.func_info_cnt = static_cast<u32>(funcs.size());
        a.attach_prog_fd = target ? target->u() : 0, a.attach_btf_id = target_id;
        a.log_level = 1, a.log_buf = addr_of(text), a.log_size = sizeof(text);
        text[0] = 0;
        fd p(bpf_load(a));
        log = text;
        return p;
    }
    /// XDP: main returns add(3, 4) + 100.
    fd adder() {
        return load_parts(BPF_PROG_TYPE_XDP, {{t->main, imm(r1, 3) + imm(r2, 4) + call_sub(2) + alu_imm(BPF_ADD, r0, 100) + stop()},
                                              {t->add, mov(r0, r1) + alu(BPF_ADD, r0, r2) + stop()}});
    }
    /// seen = a * 16 + b, or with the result: (a * 16 + b) * 256 + result.
    insns see(bool result) {
        insns c = word(r6, r1, 0) + word(r2, r1, 8) + alu_imm(BPF_AND, r6, 15) + alu_imm(BPF_LSH, r6, 4) + alu(BPF_OR, r6, r2);
        if (result)
            c = c + alu_imm(BPF_LSH, r6, 8) + word(r3, r1, 16) + alu_imm(BPF_AND, r3, 255) + alu(BPF_OR, r6, r3);
        return c;
    }
    fd tracer_of(const fd &target, u32 id, u32 attach, insns what) {
        return load_parts(BPF_PROG_TYPE_TRACING, {{t->main, store_r6(seen, what)}}, attach, &target, id);
    }
    fd extension_of(const fd &target, u32 id, insns what, u32 own_id) {
        return load_parts(BPF_PROG_TYPE_EXT, {{own_id, what}}, 0, &target, id);
    }
    /// a * b
    fd multiplier(const fd &target) { return extension_of(target, t->add, mov(r0, r1) + alu(BPF_MUL, r0, r2) + stop(), t->add); }

    static fd attach(const fd &p) {
        raw_tracepoint_attr a{};
        a.prog_fd = p.u();
        return fd(bpf(BPF_RAW_TRACEPOINT_OPEN, a));
    }
    static fd attach_to(const fd &p, u32 attach_type, const fd *target, u32 id, u64 cookie = 0) {
        link_create_attr l{};
        l.prog_fd = p.u(), l.attach_type = attach_type, l.target_fd = target ? target->u() : 0, l.cookie = id, l.more[0] = cookie;
        return fd(bpf(BPF_LINK_CREATE, l, 60));
    }
    static u32 run(const fd &p) {
        u8 packet[64] = {};
        test_run_attr a{};
        a.prog_fd = p.u(), a.data_in = addr_of(packet), a.data_size_in = sizeof(packet);
        EXPECT_EQ(bpf(BPF_PROG_TEST_RUN, a, 76), 0);
        return a.retval;
    }
    static u32 id_of(const fd &p) {
        bpf_prog_info i{};
        EXPECT_EQ(get_info(p, i), 0);
        return i.id;
    }
};
INSTANTIATE_TEST_SUITE_P(engines, programs_at_programs, ::testing::Bool());

TEST_P(programs_at_programs, EntryAndExit) {
    fd target = adder();
    ASSERT_TRUE(target.ok()) << log;
    EXPECT_EQ(run(target), 107u);
    fd entry = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false)), exit = tracer_of(target, t->add, BPF_TRACE_FEXIT, see(true));
    ASSERT_TRUE(entry.ok() && exit.ok()) << log;
    fd first = attach(entry);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(run(target), 107u);
    EXPECT_EQ(stored(seen), 0x34u);
    fd second = attach(exit);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(run(target), 107u);
    EXPECT_EQ(stored(seen), 0x3407u);
    store(seen, 0);
    second.close();
    EXPECT_EQ(run(target), 107u);
    EXPECT_EQ(stored(seen), 0x34u);
    store(seen, 0);
    first.close();
    EXPECT_EQ(run(target), 107u);
    EXPECT_EQ(stored(seen), 0u);
    EXPECT_EQ(attach(entry).get(), -EINVAL); // it let go of its target
}

/// The program's own entry, and a function whose prototype nobody checked: five words.
/// What was blinded when it was loaded is so in the image with hooks, whatever is asked for by then, and the other way round.
TEST_P(programs_at_programs, HookedImagesAreBlinded) {
    constexpr s32 number = 0x3c9a71e5;
    for (bool blinded : {true, false}) {
        setenv("MODBPF_JIT_HARDEN", blinded ? "2" : "0", 1);
        fd target = load_parts(BPF_PROG_TYPE_XDP, {{t->main, imm(r1, 3) + imm(r2, 4) + call_sub(2) + alu_imm(BPF_ADD, r0, number) + stop()},
                                                   {t->add, mov(r0, r1) + alu(BPF_ADD, r0, r2) + stop()}});
        setenv("MODBPF_JIT_HARDEN", blinded ? "0" : "2", 1);
        ASSERT_TRUE(target.ok()) << log;
        fd entry = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false)), link = attach(entry);
        unsetenv("MODBPF_JIT_HARDEN");
        ASSERT_TRUE(link.ok()) << log;
        auto p = prog_from_fd(target.get());
        ASSERT_TRUE(p.ok() && (*p)->hooks);
        span<const u8> text = (*p)->hooks->image.text();
        EXPECT_EQ(memmem(text.data(), text.size(), &number, sizeof(number)) != nullptr, !blinded);
        EXPECT_EQ(run(target), static_cast<u32>(number) + 7);
    }
}

TEST_P(programs_at_programs, MainAndUntypedFunctions) {
    fd target = load_parts(BPF_PROG_TYPE_XDP, {{t->main, imm(r1, 3) + imm(r2, 4) + call_sub(1) + stop()},
                                               {t->keep, mov(r0, r1) + alu(BPF_MUL, r0, r2) + stop()}});
    ASSERT_TRUE(target.ok()) << log;
    // main: one word and the result.
    fd main = tracer_of(target, t->main, BPF_TRACE_FEXIT, word(r6, r1, 8)); // int: the upper half is anything
    fd untyped = tracer_of(target, t->keep, BPF_TRACE_FEXIT, word(r6, r1, 0) + word(r2, r1, 40) + alu_imm(BPF_LSH, r6, 8) + alu(BPF_OR, r6, r2));
    ASSERT_TRUE(main.ok() && untyped.ok()) << log;
    {
        fd link = attach(main);
        ASSERT_TRUE(link.ok());
        EXPECT_EQ(run(target), 12u);
        EXPECT_EQ(static_cast<u32>(stored(seen)), 12u);
    }
    fd link = attach(untyped);
    ASSERT_TRUE(link.ok());
    EXPECT_EQ(run(target), 12u);
    EXPECT_EQ(stored(seen), 0x30cu);
}

TEST_P(programs_at_programs, Cookies) {
    fd target = adder();
    fd entry = tracer_of(target, t->add, BPF_TRACE_FENTRY, call(BPF_FUNC_get_attach_cookie) + mov(r6, r0));
    ASSERT_TRUE(entry.ok()) << log;
    EXPECT_EQ(attach_to(entry, BPF_TRACE_FENTRY, &target, t->add).get(), -EINVAL); // extensions alone
    fd link = attach_to(entry, BPF_TRACE_FENTRY, nullptr, 0, 0x1234);
    ASSERT_TRUE(link.ok());
    run(target);
    EXPECT_EQ(stored(seen), 0x1234u);
    link.close();
    store(seen, 1);
    fd again = tracer_of(target, t->add, BPF_TRACE_FENTRY, call(BPF_FUNC_get_attach_cookie) + mov(r6, r0));
    raw_tracepoint_attr a{};
    a.prog_fd = again.u(), a.cookie = 0x1234; // not passed on to functions
    link = fd(bpf(BPF_RAW_TRACEPOINT_OPEN, a));
    ASSERT_TRUE(link.ok());
    run(target);
    EXPECT_EQ(stored(seen), 0u);
}

TEST_P(programs_at_programs, Replaced) {
    fd target = adder();
    fd ext = multiplier(target), other = multiplier(target);
    ASSERT_TRUE(ext.ok() && other.ok()) << log;
    fd link = attach(ext);
    ASSERT_TRUE(link.ok());
    EXPECT_EQ(run(target), 112u);
    EXPECT_EQ(attach(other).get(), -EBUSY);
    fd entry = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false));
    EXPECT_EQ(attach(entry).get(), -EBUSY);
    link.close();
    EXPECT_EQ(run(target), 107u);
    fd tracing = attach(entry);
    ASSERT_TRUE(tracing.ok());
    EXPECT_EQ(attach(other).get(), -EBUSY);
    tracing.close();
    EXPECT_EQ(attach(ext).get(), -EINVAL); // where?
    fd again = attach_to(ext, 0, &target, t->add);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(run(target), 112u);
}

/// An extension can be traced, also before it is attached, and under another program than it was loaded for.
TEST_P(programs_at_programs, TracedExtension) {
    fd target = adder(), second = adder();
    fd ext = multiplier(target);
    fd entry = tracer_of(ext, t->add, BPF_TRACE_FENTRY, see(false)), exit = tracer_of(ext, t->add, BPF_TRACE_FEXIT, see(true));
    ASSERT_TRUE(entry.ok() && exit.ok()) << log;
    fd before = attach(entry);
    fd link = attach_to(ext, 0, &second, t->add), more = attach_to(ext, 0, &target, t->add);
    ASSERT_TRUE(before.ok() && link.ok() && more.ok());
    EXPECT_EQ(run(second), 112u);
    EXPECT_EQ(stored(seen), 0x34u);
    fd after = attach(exit);
    ASSERT_TRUE(after.ok());
    EXPECT_EQ(run(target), 112u);
    EXPECT_EQ(stored(seen), 0x340cu);
    before.close();
    link.close();
    EXPECT_EQ(run(second), 107u);
    EXPECT_EQ(run(target), 112u);
}

TEST_P(programs_at_programs, OtherTargetsMustFit) {
    fd target = adder();
    fd ext = multiplier(target);
    ASSERT_TRUE(ext.ok());
    insns main = imm(r1, 3) + imm(r2, 4) + call_sub(1) + stop(), sum = mov(r0, r1) + alu(BPF_ADD, r0, r2) + stop();
    fd wide = load_parts(BPF_PROG_TYPE_XDP, {{t->main, main}, {t->wide, sum}});
    fd clas = load_parts(BPF_PROG_TYPE_SOCKET_FILTER, {{t->keep, main}, {t->add, sum}});
    ASSERT_TRUE(wide.ok() && clas.ok()) << log;
    EXPECT_EQ(attach_to(ext, 0, &wide, t->wide).get(), -EINVAL);   // another argument
    EXPECT_EQ(attach_to(ext, 0, &wide, t->add).get(), -EINVAL);    // has no such function
    EXPECT_EQ(attach_to(ext, 0, &wide, t->main).get(), -EINVAL);
    EXPECT_EQ(attach_to(ext, 0, &clas, t->add).get(), -EINVAL);    // another type
    EXPECT_EQ(attach_to(ext, 0, &wide, 0).get(), -EINVAL);         // half a target
    EXPECT_EQ(attach_to(ext, 0, nullptr, t->add).get(), -EINVAL);
    EXPECT_EQ(attach_to(ext, 0, &seen, t->add).get(), -EINVAL);    // no program
    fd link = attach(ext); // and still knows what it was loaded for
    ASSERT_TRUE(link.ok());
    EXPECT_EQ(run(target), 112u);
}

TEST_P(programs_at_programs, LinksTell) {
    fd target = adder(), ext = multiplier(target);
    bpf_prog_info of_ext{};
    ASSERT_EQ(get_info(ext, of_ext), 0);
    EXPECT_EQ(of_ext.attach_btf_id, t->add);
    EXPECT_NE(of_ext.attach_btf_obj_id, 0u);
    fd link = attach(ext);
    bpf_link_info i{};
    ASSERT_EQ(get_info(link, i), 0);
    EXPECT_EQ(i.tracing.target_obj_id, id_of(target));
    EXPECT_EQ(i.tracing.target_btf_id, t->add);
    std::string text = fdinfo(link.get());
    EXPECT_NE(text.find("target_obj_id:\t" + std::to_string(id_of(target))), std::string::npos) << text;
    of_ext = {};
    ASSERT_EQ(get_info(ext, of_ext), 0);
    EXPECT_EQ(of_ext.attach_btf_obj_id, 0u);
}

/// A target lives as long as somebody stands at it or may do so.
TEST_P(programs_at_programs, TargetsAreHeld) {
    fd target = adder();
    u32 id = id_of(target);
    fd ext = multiplier(target), entry = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false));
    auto there = [&] {
        get_id_attr a{};
        a.id = id;
        return fd(bpf(BPF_PROG_GET_FD_BY_ID, a)).ok();
    };
    target.close();
    EXPECT_TRUE(there());
    fd link = attach(ext);
    entry.close();
    ext.close();
    EXPECT_TRUE(there());
    link.close();
    for (u32 i = 0; i < 5000 && there(); i++) // programs go behind a grace period, and let go of their targets then
        usleep(1000);
    EXPECT_FALSE(there());
}

/// An extended program is in no PROG_ARRAY.
TEST_P(programs_at_programs, ProgArrays) {
    fd target = adder(), ext = multiplier(target), other = multiplier(target);
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
    u32 key = 0, value = target.u(), second = ext.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &second), -EINVAL); // extensions are not called
    EXPECT_EQ(attach(ext).get(), -EBUSY);
    EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, array, &key, nullptr), 0);
    {
        fd link = attach(ext);
        ASSERT_TRUE(link.ok());
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EBUSY);
    }
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    array.close();
    EXPECT_TRUE(attach(other).ok());
}

/// The class of CVE-2024-50063: a tail call takes no program to where its arguments, or the leave to sleep, are others.
TEST_P(programs_at_programs, TailCallsStayAtTheirHook) {
    fd target = adder();
    ASSERT_TRUE(target.ok()) << log;
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
    u32 key = 0;
    auto put = [&](const fd &p) {
        u32 value = p.u();
        return elem(BPF_MAP_UPDATE_ELEM, array, &key, &value);
    };
    fd first = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false)), same = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false));
    fd other = tracer_of(target, t->main, BPF_TRACE_FENTRY, word(r6, r1, 0)), later = tracer_of(target, t->add, BPF_TRACE_FEXIT, see(false));
    ASSERT_TRUE(first.ok() && same.ok() && other.ok() && later.ok()) << log;
    EXPECT_EQ(put(first), 0);
    EXPECT_EQ(put(same), 0);
    EXPECT_EQ(put(other), -EINVAL);
    EXPECT_EQ(put(later), -EINVAL);
    // A program's types may go, and others take their place in memory.
    fd again = adder();
    fd of_another = tracer_of(again, t->add, BPF_TRACE_FENTRY, see(false));
    EXPECT_EQ(put(of_another), 0); // of the same types
    auto calls = [&](const fd &at) {
        return tracer_of(target, t->main, BPF_TRACE_FENTRY,
                         insns{{BPF_ALU64 | BPF_MOV | BPF_X, r6, r1, 0, 0}} + ld_map(r2, at) + imm(r3, 0) + call(BPF_FUNC_tail_call) + word(r6, r6, 0));
    };
    EXPECT_FALSE(calls(array).ok()); // nor may it be the one who calls
    fd empty = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
    EXPECT_TRUE(calls(empty).ok()) << log;
    u32 value = first.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, empty, &key, &value), -EINVAL);
}

class tail_calls : public core_test {};

/// It would sleep where its caller may not, and look for what only callers of its kind leave in front of a context.
TEST_F(tail_calls, ProgramsThatSleepAreNotCalledByOthers) {
    auto zero = return_zero();
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
    u32 key = 0;
    prog_load_attr a = load_attr(BPF_PROG_TYPE_KPROBE, zero);
    fd plain(bpf_load(a));
    a.prog_flags = BPF_F_SLEEPABLE;
    fd sleeps(bpf_load(a));
    ASSERT_TRUE(plain.ok() && sleeps.ok());
    u32 value = plain.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    value = sleeps.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EINVAL);
}

/// Tail calls from a traced function, and from what stands in its place: the count goes on, or begins anew.
TEST_P(programs_at_programs, TailCalls) {
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
    fd counts = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    // main: counts[0]++; small(ctx), which calls array[0] or returns 1; returns 2.
    insns count = mov(r6, r1) + insns{{BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0}} + ld_map(r1, counts) + mov(r2, 10) +
                  alu_imm(BPF_ADD, r2, -4) + call(BPF_FUNC_map_lookup_elem) + null_is(9) + word(r1, r0, 0) + alu_imm(BPF_ADD, r1, 1) +
                  insns{{BPF_STX | BPF_MEM | BPF_DW, r0, r1, 0, 0}};
    insns small = tail_call(array, 0) + imm(r0, 1) + stop();
    fd target = load_parts(BPF_PROG_TYPE_XDP, {{t->main, count + mov(r1, r6) + call_sub(2) + imm(r0, 2) + stop()}, {t->small, small}});
    ASSERT_TRUE(target.ok()) << log;
    u32 key = 0, value = target.u();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    auto counted = [&] {
        store(counts, 0);
        EXPECT_EQ(run(target), 2u);
        return stored(counts);
    };
    EXPECT_EQ(counted(), 34u);
    fd entry = tracer_of(target, t->small, BPF_TRACE_FENTRY, imm(r6, 7)), exit = tracer_of(target, t->small, BPF_TRACE_FEXIT, word(r6, r1, 8));
    ASSERT_TRUE(entry.ok() && exit.ok()) << log;
    {
        fd one = attach(entry);
        ASSERT_TRUE(one.ok());
        EXPECT_EQ(counted(), 34u);
        EXPECT_EQ(stored(seen), 7u);
        fd two = attach(exit);
        ASSERT_TRUE(two.ok());
        EXPECT_EQ(counted(), 34u);
        EXPECT_EQ(static_cast<u32>(stored(seen)), 2u); // what the called program gave
    }
    EXPECT_EQ(counted(), 34u);
    ASSERT_EQ(elem(BPF_MAP_DELETE_ELEM, array, &key, nullptr), 0);
    fd other = load_parts(BPF_PROG_TYPE_XDP, {{t->main, count + mov(r1, r6) + tail_call(array, 0) + imm(r0, 3) + stop()}});
    value = other.u();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    fd ext = extension_of(target, t->small, mov(r6, r1) + tail_call(array, 0) + imm(r0, 5) + stop(), t->small);
    ASSERT_TRUE(ext.ok()) << log;
    fd link = attach(ext);
    ASSERT_TRUE(link.ok());
    EXPECT_EQ(counted(), 34u); // main and 33 of the extension's
}

/// What a raw tracepoint gives its program is checked when that is attached; what extends it then may read no more, and go nowhere else.
TEST_P(programs_at_programs, ExtensionsReachNoFartherThanTheirProgram) {
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1);
    auto reads = [&](s16 off) { return word(r0, r1, off) + imm(r0, 0) + stop(); };
    insns main = mov(r6, r1) + call_sub(2) + imm(r0, 0) + stop();
    fd target = load_parts(BPF_PROG_TYPE_RAW_TRACEPOINT, {{t->main, main}, {t->raw_part, reads(8)}});
    ASSERT_TRUE(target.ok()) << log;
    fd near = extension_of(target, t->raw_part, reads(8), t->raw_part);
    EXPECT_TRUE(near.ok()) << near.get() << log;
    EXPECT_EQ(extension_of(target, t->raw_part, reads(16), t->raw_part).get(), -ENOTSUPP);
    EXPECT_NE(log.find("extension that reaches farther than its program is not supported"), std::string::npos) << log;
    insns onward = tail_call(array, 0) + imm(r0, 0) + stop();
    EXPECT_EQ(extension_of(target, t->raw_part, onward, t->raw_part).get(), -EINVAL);
    EXPECT_NE(log.find("Extension program changes packet data, while original does not"), std::string::npos) << log;
    // Nor may one that was made for a program that reads more be attached to another.
    fd wide = load_parts(BPF_PROG_TYPE_RAW_TRACEPOINT, {{t->main, main}, {t->raw_part, reads(16)}});
    fd far = extension_of(wide, t->raw_part, reads(16), t->raw_part);
    ASSERT_TRUE(wide.ok() && far.ok()) << log;
    EXPECT_EQ(attach_to(far, 0, &target, t->raw_part).get(), -ENOTSUPP);
    fd link = attach_to(near, 0, &wide, t->raw_part);
    EXPECT_TRUE(link.ok()) << link.get();
    fd calling = load_parts(BPF_PROG_TYPE_RAW_TRACEPOINT, {{t->main, main}, {t->raw_part, word(r0, r1, 8) + onward}});
    ASSERT_TRUE(calling.ok()) << log;
    fd also = extension_of(calling, t->raw_part, onward, t->raw_part);
    EXPECT_TRUE(also.ok()) << also.get() << log;
}

/// Who traces a program at a tracepoint sees the record, also where that program does not look at it.
TEST_P(programs_at_programs, RecordsOfTracepoints) {
    u32 record[8] = {0x5eed};
    auto fire = [&] {
        no_preempt here;
        for (port_event *e : std::vector<port_event *>(events))
            e->on_tracepoint(e->priv, e->use == PORT_RECORD_UNUSED ? std::vector<u32>(8).data() : record, e->use == PORT_RECORD_UNUSED ? 0 : tp_size, nullptr);
    };
    auto open = [] {
        perf_attr a = attr_of(2, tp_id);
        return fd(open_perf(a));
    };
    fd counts = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    constexpr u8 fp = 10;
    insns first = word(r3, r1, 0) + mov(r1, fp) + alu_imm(BPF_ADD, r1, -8) + imm(r2, 4) + call(BPF_FUNC_probe_read_kernel) +
                  insns{{BPF_LDX | BPF_MEM | BPF_W, r6, fp, -8, 0}};
    fd target = load_parts(BPF_PROG_TYPE_TRACEPOINT, {{t->main, store_r6(counts, imm(r6, 7))}});
    fd tracer = tracer_of(target, t->main, BPF_TRACE_FENTRY, first);
    ASSERT_TRUE(target.ok() && tracer.ok()) << log;
    {
        fd event = open();
        ASSERT_EQ(set_bpf(event, target), 0);
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0]->use, PORT_RECORD_UNUSED);
        fire();
        EXPECT_EQ(stored(counts), 7u);
        fd link = attach(tracer);
        ASSERT_TRUE(link.ok());
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0]->use, PORT_RECORD_USED);
        store(counts, 0);
        fire();
        EXPECT_EQ(stored(seen), 0x5eedu);
        EXPECT_EQ(stored(counts), 7u);
    }
    store(seen, 0);
    fd again = tracer_of(target, t->main, BPF_TRACE_FENTRY, first);
    fd link = attach(again), event = open(); // what comes later has it from the start
    ASSERT_TRUE(link.ok()) << log;
    ASSERT_EQ(set_bpf(event, target), 0);
    EXPECT_EQ(events.back()->use, PORT_RECORD_USED);
    fire();
    EXPECT_EQ(stored(seen), 0x5eedu);
}

TEST_P(programs_at_programs, NoChainsOfTracers) {
    fd target = adder();
    fd first = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false));
    ASSERT_TRUE(first.ok()) << log;
    fd second = tracer_of(first, t->main, BPF_TRACE_FENTRY, imm(r6, 1));
    ASSERT_TRUE(second.ok()) << log;
    EXPECT_FALSE(tracer_of(second, t->main, BPF_TRACE_FENTRY, imm(r6, 1)).ok());
    EXPECT_NE(log.find("Cannot nest tracing program attach more than once"), std::string::npos);
    fd ext = multiplier(target);
    EXPECT_FALSE(multiplier(ext).ok());
    EXPECT_NE(log.find("Cannot recursively attach"), std::string::npos);
    fd one = attach(first), two = attach(second);
    ASSERT_TRUE(one.ok() && two.ok());
    EXPECT_EQ(run(target), 107u);
}

/// What cannot run, cannot stand there; at what does not run itself, it can.
TEST_P(programs_at_programs, WhatCannotRun) {
    insns main = imm(r1, 3) + imm(r2, 4) + call_sub(1) + stop(), sum = mov(r0, r1) + alu(BPF_ADD, r0, r2) + stop();
    fd sleeps = load_parts(BPF_PROG_TYPE_SYSCALL, {{t->main, main}, {t->add, sum}}, 0, nullptr, 0, BPF_F_SLEEPABLE);
    ASSERT_TRUE(sleeps.ok()) << log;
    EXPECT_EQ(multiplier(sleeps).get(), -ENOTSUPP);
    EXPECT_NE(log.find("extension of a program that may sleep is not supported by modbpf"), std::string::npos) << log;
    fd entry = tracer_of(sleeps, t->add, BPF_TRACE_FENTRY, see(false));
    fd link = attach(entry);
    EXPECT_TRUE(link.ok()) << log;
    fd sampled = load_parts(BPF_PROG_TYPE_PERF_EVENT, {{t->keep, main}, {t->add, sum}});
    ASSERT_TRUE(sampled.ok()) << log;
    EXPECT_EQ(attach(tracer_of(sampled, t->add, BPF_TRACE_FENTRY, see(false))).get(), -ENOTSUPP);
    EXPECT_TRUE(attach(multiplier(sampled)).ok()) << log;
    fd held = load_parts(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, {{t->keep, imm(r1, 3) + imm(r2, 4) + call_sub(2) + imm(r0, 1) + stop()}, {t->add, sum}},
                         BPF_CGROUP_INET4_CONNECT);
    ASSERT_TRUE(held.ok()) << log;
    EXPECT_FALSE(multiplier(held).ok()); // it gives what such a program may
    EXPECT_NE(log.find("should have been in [0, 1]"), std::string::npos) << log;
    fd ext = extension_of(held, t->add, imm(r0, 1) + stop(), t->add);
    EXPECT_TRUE(attach(ext).ok()) << log;
}

/// An extension takes no more for its argument than the function that it replaces is given.
TEST_P(programs_at_programs, MemoryOfAnExtension) {
    auto word_to = [](u8 base, s16 off) { return insns{{BPF_ST | BPF_MEM | BPF_W, base, 0, off, 7}}; };
    insns checked = insns{{BPF_JMP | BPF_JNE | BPF_K, r1, 0, 2, 0}} + imm(r0, 1) + stop();
    insns main = insns{{BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0}} + mov(r1, 10) + alu_imm(BPF_ADD, r1, -8) + call_sub(2) + word(r0, 10, -8) + stop();
    fd target = load_parts(BPF_PROG_TYPE_XDP, {{t->main, main}, {t->fills[1], checked + imm(r0, 0) + stop()}});
    ASSERT_TRUE(target.ok()) << log;
    EXPECT_EQ(extension_of(target, t->fills[1], checked + word_to(r1, 60) + imm(r0, 0) + stop(), t->fills[2]).get(), -EINVAL);
    EXPECT_NE(log.find("arg0 in fill() has size 64 while fill() has 8"), std::string::npos) << log;
    EXPECT_EQ(extension_of(target, t->fills[1], word_to(r1, 0) + imm(r0, 0) + stop(), t->fills[3]).get(), -EINVAL);
    EXPECT_NE(log.find("arg0 in fill() is tagged for more than in fill()"), std::string::npos) << log;
    for (u32 fitting : {0u, 1u}) {
        fd ext = extension_of(target, t->fills[1], checked + word_to(r1, 0) + imm(r0, 0) + stop(), t->fills[fitting]);
        fd link = attach(ext);
        ASSERT_TRUE(link.ok()) << log;
        EXPECT_EQ(run(target), 7u);
    }
    fd sure = load_parts(BPF_PROG_TYPE_XDP, {{t->main, main}, {t->fills[3], word_to(r1, 0) + imm(r0, 0) + stop()}});
    ASSERT_TRUE(sure.ok()) << log;
    EXPECT_TRUE(attach(extension_of(sure, t->fills[3], checked + word_to(r1, 0) + imm(r0, 0) + stop(), t->fills[1])).ok()) << log;
}

/// What an extension is given may be the packet's, wherever such dynptrs are made; what it makes is known.
TEST_P(programs_at_programs, DynptrOfAnExtension) {
    auto at = [](u8 dst, s32 off) { return mov(dst, 10) + alu_imm(BPF_ADD, dst, off); };
    insns to_r6 = insns{{BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0}} + ld_map(r1, seen) + at(r2, -4) + call(BPF_FUNC_map_lookup_elem) +
                  insns{{BPF_JMP | BPF_JNE | BPF_K, r0, 0, 2, 0}} + imm(r0, 0) + stop() + mov(r1, r0) + imm(r2, 8) + imm(r3, 0) + at(4, -24) +
                  call(BPF_FUNC_dynptr_from_mem) + at(r6, -24);
    insns write_r6 = insns{{BPF_ST | BPF_MEM | BPF_DW, 10, 0, -32, 5}} + mov(r1, r6) + imm(r2, 0) + at(r3, -32) + imm(4, 8) + imm(5, 0) +
                     call(BPF_FUNC_dynptr_write) + imm(r0, 0) + stop();
    insns main = to_r6 + mov(r1, r6) + call_sub(5) + imm(r1, 0) + imm(r2, 0) + call_sub(4) + imm(r0, 0) + stop(), nothing = imm(r0, 0) + stop();
    for (u32 type : {BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_KPROBE}) {
        fd target = load_parts(type, {{t->main, main}, {t->sized, nothing}, {t->add, nothing}});
        ASSERT_TRUE(target.ok()) << log;
        fd given = extension_of(target, t->sized, mov(r6, r1) + write_r6, t->sized);
        bool refused = log.find("Extension program changes packet data, while original does not") != std::string::npos;
        EXPECT_EQ(given.ok(), type != BPF_PROG_TYPE_SCHED_CLS) << type << ' ' << log;
        EXPECT_EQ(refused, !given.ok()) << type << ' ' << log;
        EXPECT_TRUE(extension_of(target, t->add, to_r6 + write_r6, t->add).ok()) << type << ' ' << log;
    }
}

/// A sleepable program counts its runs where it is traced: texts go when none is in them.
TEST_P(programs_at_programs, TracedWhileItSleeps) {
    insns main = imm(r1, 3) + imm(r2, 4) + call_sub(1) + stop(), sum = mov(r0, r1) + alu(BPF_ADD, r0, r2) + stop();
    fd target = load_parts(BPF_PROG_TYPE_SYSCALL, {{t->main, main}, {t->add, sum}}, 0, nullptr, 0, BPF_F_SLEEPABLE);
    ASSERT_TRUE(target.ok()) << log;
    auto run_it = [&] {
        test_run_attr a{};
        a.prog_fd = target.u();
        EXPECT_EQ(bpf(BPF_PROG_TEST_RUN, a, 76), 0);
        EXPECT_EQ(a.retval, 7u);
    };
    std::atomic<bool> done{false};
    std::thread runner([&] {
        while (!done)
            run_it();
    });
    for (u32 i = 0; i < 50; i++) {
        fd link = attach(tracer_of(target, t->add, i % 2 ? BPF_TRACE_FENTRY : BPF_TRACE_FEXIT, see(false)));
        EXPECT_TRUE(link.ok());
        run_it();
        EXPECT_EQ(stored(seen), 0x34u);
        store(seen, 0);
    }
    done = true;
    runner.join();
}

/// Two threads run the program; what stands at it comes and goes.
TEST_P(programs_at_programs, WhileItRuns) {
    fd target = adder();
    fd ext = multiplier(target);
    fd entry = tracer_of(target, t->add, BPF_TRACE_FENTRY, see(false)), exit = tracer_of(target, t->main, BPF_TRACE_FEXIT, imm(r6, 1));
    ASSERT_TRUE(ext.ok() && entry.ok() && exit.ok());
    std::atomic<bool> done{false};
    auto runner = [&] {
        while (!done) {
            u32 got = run(target);
            EXPECT_TRUE(got == 107 || got == 112) << got;
        }
    };
    std::thread a(runner), b(runner);
    for (u32 i = 0; i < 200; i++) {
        fd replaced = attach_to(ext, 0, &target, t->add);
        EXPECT_TRUE(replaced.ok());
        replaced.close();
        fd again = tracer_of(target, t->add, i % 2 ? BPF_TRACE_FENTRY : BPF_TRACE_FEXIT, see(i % 2 == 0));
        fd one = attach(again), two = attach(tracer_of(target, t->main, BPF_TRACE_FEXIT, imm(r6, 1)));
        EXPECT_TRUE(one.ok() && two.ok());
    }
    done = true;
    a.join();
    b.join();
}

/// At each allocation that attaching makes, there is no memory.
TEST_P(programs_at_programs, WithoutMemory) {
    fd target = adder(), ext = multiplier(target);
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 100u);
        port_fail_nth_set(n);
        fd link = attach_to(ext, 0, &target, t->add);
        bool all = port_fail_nth_set(0) < n;
        EXPECT_EQ(run(target), link.ok() ? 112u : 107u);
        if (all)
            break;
        EXPECT_EQ(link.get(), -ENOMEM);
    }
    EXPECT_EQ(run(target), 107u);
}

}  // namespace
