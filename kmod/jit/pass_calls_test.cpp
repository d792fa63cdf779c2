// SPDX-License-Identifier: GPL-2.0-only
// What stands for calls: look-ups give the helper's address, whatever the key and whatever becomes of the NULL test; the machine's own
// numbers are the helpers'; and nothing is made of a call whose map is not known.
#include "helpers/families.h"
#include "jit/engines_test.h"
#include "jit/passes.h"
#include "maps/hash.h"
#include "maps/lru.h"
#include "maps/map_test.h"

#include <random>
#include <thread>

namespace modbpf::testing {
namespace {

constexpr jit_pass call_passes[] = {jit_pass::maps, jit_pass::hashes, jit_pass::helpers, jit_pass::direct};

/// All, none, each of the passes above alone, with all others, and without.
std::vector<u32> pass_choices() {
    std::vector<u32> all = {all_passes, 0};
    u32 these = 0;
    for (jit_pass p : call_passes) {
        all.push_back(pass_bit(p));
        all.push_back(all_passes & ~pass_bit(p));
        these |= pass_bit(p);
    }
    all.push_back(these);
    all.push_back(all_passes & ~these);
    return all;
}

/// One image in nine: with all of these passes and no others on each machine, and with all on one.
bool blinds(const machine &m, u32 passes) {
    static const u32 these = pass_choices()[pass_choices().size() - 2];
    return passes == these || (passes == all_passes && &m == &machines()[2]);
}

/// r0 of the program by the interpreter and by images of all machines and choices of passes.
u64 run_all(const code &c, const void *ctx) {
    program_section here;
    u64 want = run_interp(c, ctx);
    for (const machine &m : machines())
        for (u32 passes : pass_choices()) {
            jit_options o;
            o.passes = passes;
            o.blind = blinds(m, passes);
            auto image = compile_for(m, c, o);
            if (!image.ok()) {
                ADD_FAILURE() << image.code();
                return ~0ull;
            }
            check_image(*image, &m.env);
            EXPECT_EQ(image->entry()(ctx), want) << m.name << " passes " << passes << "\n" << listing(*image);
            if (::testing::Test::HasFailure())
                return want;
        }
    return want;
}
std::string text_of(const code &c, u32 passes = all_passes) {
    jit_options o;
    o.passes = passes;
    auto image = jit_compile(c, o);
    EXPECT_TRUE(image.ok());
    return image.ok() ? listing(*image) : "";
}
bool calls(const code &c, u32 passes = all_passes) { return text_of(c, passes).find("call") != std::string::npos; }

/// What follows a look-up.
enum class behind { nothing, jeq, jne, jeq_entered, wide_use };

constexpr u32 key_words = 9;
struct key_context {
    u64 words[key_words] = {};
    u64 enter = 0; ///< 77: the look-up is jumped over
};

/// r0 = what is behind the look-up of the key at ctx, which goes to the stack first.
code look_up(map *m, behind what, u32 id = BPF_FUNC_map_lookup_elem) {
    program_text p;
    s32 room = static_cast<s32>(align_up(max(m->params.key_size, 16u), 8));
    p.add(mov_r(6, 1)).add(mov_k(7, 5)).add(st(BPF_DW, 10, -16, 0)).add(st(BPF_DW, 10, -8, 0));
    for (u32 i = 0; i < m->params.key_size; i += 4)
        p.add(ldx(BPF_W, 3, 6, static_cast<s16>(i))).add(stx(BPF_W, 10, 3, static_cast<s16>(static_cast<s32>(i) - room)));
    if (what == behind::jeq_entered) // something else comes to the branch
        p.add(ldx(BPF_DW, 0, 6, __builtin_offsetof(key_context, enter))).add(jmp_k(BPF_JEQ, 0, 77, 5));
    p.add(mov_r(2, 10)).add(alu64_k(BPF_ADD, 2, -room)).ld64(1, addr_of(m));
    u32 at = static_cast<u32>(p.size());
    p.add(call_id(id));
    switch (what) {
        case behind::nothing:
            break;
        case behind::jeq:
        case behind::jeq_entered:
            p.add(jmp_k(BPF_JEQ, 0, 0, 2)).add(alu64_r(BPF_ADD, 0, 7)).add(exit_insn()).add(mov_r(0, 7));
            break;
        case behind::jne:
            p.add(jmp_k(BPF_JNE, 0, 0, 2)).add(alu64_k(BPF_ADD, 0, 1)).add(exit_insn()).add(alu64_k(BPF_SUB, 0, 3));
            break;
        case behind::wide_use: // the address in callee-saved registers, over another look-up
            p.add(mov_r(8, 0)).add(mov_r(2, 10)).add(alu64_k(BPF_ADD, 2, -room)).ld64(1, addr_of(m)).add(call_id(id)).add(alu64_r(BPF_XOR, 0, 8));
            break;
    }
    p.add(exit_insn());
    code c = make_code(p, {}, static_cast<u16>(room));
    for (u32 i = at; i < p.size(); i++)
        if (p[i].code == (BPF_JMP | BPF_CALL)) {
            EXPECT_TRUE(c.maps.push({i, m}).ok());
        }
    return c;
}
constexpr behind all_behind[] = {behind::nothing, behind::jeq, behind::jne, behind::jeq_entered, behind::wide_use};

/// With and without sleeping, which wants the helper called in a section.
TEST(jit_calls, helpers_that_only_pass_on) {
    for (bool sleepable : {false, true}) {
        code c = make_code({call_id(BPF_FUNC_get_current_uid_gid), exit_insn()}, {}, 0);
        c.sleepable = sleepable;
        EXPECT_EQ(run_all(c, nullptr), port_current_uid_gid());
    }
}

TEST(jit_calls, arrays) {
    for (u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY})
        for (u32 value : {4u, 8u, 20u, 64u, 4096u})
            for (u32 entries : {1u, 7u, 1000u}) {
                test_map m(params_of(type, 4, value, entries));
                ASSERT_EQ(m.error, 0);
                for (behind b : all_behind) {
                    code c = look_up(m.m, b);
                    EXPECT_FALSE(calls(c));
                    EXPECT_TRUE(calls(c, all_passes & ~pass_bit(jit_pass::maps)));
                    for (u32 i : {0u, 1u, entries - 1, entries, entries + 1, 0x7fffffffu, 0x80000000u, ~0u}) {
                        key_context k{{i}, i % 2 ? 77u : 0u};
                        u64 got = run_all(c, &k);
                        if (b == behind::nothing) {
                            EXPECT_EQ(got != 0, i < entries);
                        }
                    }
                }
                if (HasFailure())
                    return;
            }
}

/// An index that was stored as a number: no check is left, and no load of it.
TEST(jit_calls, constant_indices) {
    for (u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY}) {
        test_map m(params_of(type, 4, 24, 100));
        for (s32 index : {0, 1, 99, 100, -1})
            for (u32 way = 0; way < 5; way++) {
                program_text p = {mov_r(6, 1), mov_k(3, index)};
                p.add(way == 1 ? stx(BPF_W, 10, 3, -4) : st(BPF_W, 10, -4, index));
                if (way == 2) // something that may be the key is written
                    p.add(mov_r(4, 10)).add(alu64_k(BPF_ADD, 4, -8)).add(stx(BPF_DW, 10, 4, -16)).add(ldx(BPF_DW, 4, 10, -16)).add(st(BPF_B, 4, 4, 7));
                if (way == 3)
                    p.add(st(BPF_B, 10, -3, 1));
                if (way == 4)
                    p.add(ldx(BPF_W, 3, 6, 0)).add(atomic_op(BPF_W, BPF_ADD, 10, 3, -4));
                p.add(mov_r(2, 10)).add(alu64_k(BPF_ADD, 2, -4)).ld64(1, addr_of(m.m));
                u32 at = static_cast<u32>(p.size());
                p.add(call_id(BPF_FUNC_map_lookup_elem)).add(jmp_k(BPF_JNE, 0, 0, 1)).add(mov_k(0, 9)).add(exit_insn());
                code c = make_code(p, {}, 16);
                ASSERT_TRUE(c.maps.push({at, m.m}).ok());
                key_context k{{3}};
                run_all(c, &k);
                EXPECT_EQ(text_of(c).find("cmp") == std::string::npos, way < 2) << way << "\n" << text_of(c);
                if (HasFailure())
                    return;
            }
    }
}

/// An index that a mask bounds, in a slot that becomes a register: it is checked where the mask leaves room for more than there are.
TEST(jit_calls, masked_indices) {
    for (u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY})
        for (u32 value : {1u, 4u, 8u, 24u, 64u})
            for (u32 entries : {255u, 256u, 257u}) {
                test_map m(params_of(type, 4, value, entries));
                ASSERT_EQ(m.error, 0);
                for (behind b : {behind::nothing, behind::jeq, behind::jne}) {
                    program_text p = {ldx(BPF_DW, 3, 1, 0), alu64_k(BPF_AND, 3, 0xff), stx(BPF_W, 10, 3, -4), mov_r(2, 10), alu64_k(BPF_ADD, 2, -4)};
                    p.ld64(1, addr_of(m.m));
                    u32 at = static_cast<u32>(p.size());
                    p.add(call_id(BPF_FUNC_map_lookup_elem));
                    if (b != behind::nothing)
                        p.add(jmp_k(b == behind::jeq ? BPF_JEQ : BPF_JNE, 0, 0, 2)).add(alu64_k(BPF_ADD, 0, 3)).add(exit_insn()).add(alu64_k(BPF_ADD, 0, 5));
                    p.add(exit_insn());
                    code c = make_code(p, {}, 8);
                    ASSERT_TRUE(c.maps.push({at, m.m}).ok());
                    EXPECT_EQ(text_of(c).find("cmp") == std::string::npos, entries > 255) << text_of(c);
                    EXPECT_NE(text_of(c, all_passes & ~pass_bit(jit_pass::ranges)).find("cmp"), std::string::npos);
                    for (u64 index : {0ull, 1ull, 253ull, 254ull, 255ull, 256ull, 0x7fffffffull, ~0ull}) {
                        key_context k{{index}};
                        u64 got = run_all(c, &k);
                        if (b == behind::nothing) {
                            EXPECT_EQ(got != 0, (index & 255) < entries);
                        }
                    }
                }
                if (HasFailure())
                    return;
            }
}

/// The sum of table and index is the address of the access behind it, unless somebody else wants it, too.
TEST(jit_calls, addresses_with_an_index) {
    const struct {
        const char *what;
        program_text p; ///< behind a look-up that found something; r6 is the context, r7 is 5
        bool folded;
    } rows[] = {
        {"load", {ldx(BPF_DW, 0, 0, 0)}, true},
        {"narrow load", {ldx(BPF_B, 0, 0, 3)}, true},
        {"signed load", {ldsx(BPF_H, 0, 0, 2)}, true},
        {"load elsewhere", {ldx(BPF_DW, 3, 0, 0), mov_r(0, 3), alu64_r(BPF_XOR, 0, 7)}, true},
        {"two loads", {ldx(BPF_W, 3, 0, 0), ldx(BPF_W, 4, 0, 4), mov_r(0, 3), alu64_r(BPF_MUL, 0, 4)}, false},
        {"operand", {ldx(BPF_DW, 3, 0, 0), alu64_r(BPF_ADD, 7, 3), mov_r(0, 7)}, true},
        {"two operands", {ldx(BPF_DW, 3, 0, 0), ldx(BPF_DW, 4, 0, 0), alu64_r(BPF_ADD, 7, 3), alu64_r(BPF_ADD, 7, 4), mov_r(0, 7)}, false},
        {"operand, multiplied", {ldx(BPF_DW, 3, 0, 0), alu64_r(BPF_MUL, 7, 3), mov_r(0, 7)}, true},
        {"update", {ldx(BPF_DW, 3, 0, 0), alu64_k(BPF_OR, 3, 0x155), stx(BPF_DW, 0, 3, 0), mov_k(0, 3)}, true},
        {"update by a register", {ldx(BPF_W, 3, 0, 4), alu64_r(BPF_OR, 3, 7), stx(BPF_W, 0, 3, 4), mov_k(0, 3)}, true},
        {"store", {stx(BPF_DW, 0, 7, 0), mov_k(0, 3)}, true},
        {"store of a number", {st(BPF_H, 0, 6, 0x1234), mov_k(0, 3)}, true},
        {"store of itself", {stx(BPF_DW, 0, 0, 0), st(BPF_DW, 0, 0, 77)}, false},
        {"address that is read again", {ldx(BPF_DW, 3, 0, 0), alu64_r(BPF_XOR, 0, 3)}, false},
        {"atomic addition", {atomic_op(BPF_DW, BPF_OR, 0, 7, 0), mov_k(0, 3)}, false},
    };
    for (u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY})
        for (u32 value : {8u, 24u, 64u}) {
            test_map m(params_of(type, 4, value, 256));
            ASSERT_EQ(m.error, 0);
            for (const auto &row : rows) {
                program_text look = {ldx(BPF_DW, 3, 6, 0), alu64_k(BPF_AND, 3, 0xff), stx(BPF_W, 10, 3, -4), mov_r(2, 10), alu64_k(BPF_ADD, 2, -4)};
                look.ld64(1, addr_of(m.m));
                program_text p = {mov_r(6, 1), mov_k(7, 5)};
                std::vector<u32> at;
                auto look_up = [&](const program_text &then) {
                    for (const bpf_insn &i : look)
                        p.add(i);
                    at.push_back(static_cast<u32>(p.size()));
                    p.add(call_id(BPF_FUNC_map_lookup_elem)).add(jmp_k(BPF_JEQ, 0, 0, static_cast<s16>(then.size())));
                    for (const bpf_insn &i : then)
                        p.add(i);
                };
                look_up(row.p);
                program_text once = p;
                once.add(exit_insn());
                code c = make_code(once, {}, 8);
                ASSERT_TRUE(c.maps.push({at[0], m.m}).ok());
                std::string text = text_of(c);
                EXPECT_EQ(text.find("lea r") == std::string::npos && text.find("add rax, rdi") == std::string::npos, row.folded) << row.what << "\n" << text;
                p.add(mov_r(8, 0)); // what was computed, and what is there then
                look_up({ldx(BPF_DW, 0, 0, 0), alu64_k(BPF_MUL, 8, 31), alu64_r(BPF_ADD, 0, 8)});
                p.add(exit_insn());
                code both = make_code(p, {}, 8);
                for (u32 a : at)
                    ASSERT_TRUE(both.maps.push({a, m.m}).ok());
                for (u64 index : {0ull, 1ull, 200ull, 255ull}) {
                    key_context k{{index}};
                    u64 start = 0x1122334455667788 * (index + 1);
                    u8 *v = static_cast<u8 *>(m.m->ops->lookup(m.m, &index));
                    memcpy(v, &start, 8);
                    run_all(both, &k);
                }
                if (HasFailure())
                    return;
            }
        }
}

/// On each CPU its own values: of an array that is one per-CPU allocation, and of one that is too large.
TEST(jit_calls, each_cpu_has_its_own_values) {
    for (u32 entries : {10u, 8192u}) {
        test_map m(params_of(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, entries));
        ASSERT_EQ(m.error, 0);
        EXPECT_EQ(m.m->ops->describe(m.m).this_cpu != 0, entries == 10);
        code any = look_up(m.m, behind::nothing);
        program_text p = {st(BPF_W, 10, -4, 5), mov_r(2, 10), alu64_k(BPF_ADD, 2, -4)};
        p.ld64(1, addr_of(m.m)).add(call_id(BPF_FUNC_map_lookup_elem)).add(exit_insn());
        code fifth = make_code(p, {}, 8);
        ASSERT_TRUE(fifth.maps.push({5, m.m}).ok());
        for (u32 cpu = 0; cpu < port_cpu_count(); cpu++) {
            struct {
                const code *any, *fifth;
                map *m;
                u32 cpu;
            } here{&any, &fifth, m.m, cpu};
            if (!port_cpu_online(cpu))
                continue;
            EXPECT_EQ(port_call_on_cpu(cpu, [](void *arg) {
                auto *h = static_cast<decltype(&here)>(arg);
                key_context k{{7}};
                u32 key = 7;
                EXPECT_EQ(run_all(*h->any, &k), addr_of(h->m->ops->lookup_percpu(h->m, &key, h->cpu)));
                key = 5;
                EXPECT_EQ(run_all(*h->fifth, &k), addr_of(h->m->ops->lookup_percpu(h->m, &key, h->cpu)));
            }, &here), 0);
        }
    }
}

/// The n-th key of a table: neighbours differ in one word, mostly another one.
void make_key(u64 n, u64 (&key)[key_words]) {
    for (u64 w = 0; w < key_words; w++)
        key[w] = w == n % key_words ? n << 8 : w;
    key[0] ^= n % 3 ? n : n << 32;
}

TEST(jit_calls, hash_tables) {
    std::mt19937_64 rng(5);
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH})
        for (u32 key_size : {4u, 8u, 16u, 12u, 40u, 64u, 72u})
            for (u32 flags : {0u, static_cast<u32>(BPF_F_ZERO_SEED)})
                for (u32 entries : {1u, 60u, 3000u}) {
                    test_map m(params_of(type, key_size, entries == 60 ? 24 : 8, entries, flags)); // 24: no size is a power of two
                    ASSERT_EQ(m.error, 0);
                    for (u64 i = 0; i < entries; i++) {
                        u64 value[3] = {1, 2, 3}, key[key_words];
                        make_key(i, key);
                        program_section s;
                        m->ops->update(m.m, key, value, BPF_ANY);
                    }
                    for (behind b : {behind::nothing, behind::jeq, behind::wide_use}) {
                        code c = look_up(m.m, b);
                        EXPECT_EQ(calls(c), key_size == 12 || key_size == 72);
                        for (u32 n = 0; n < 8; n++) {
                            key_context k;
                            make_key(rng() % (2 * entries), k.words);
                            if (n % 4 == 0) // a key of the table but for one word
                                k.words[rng() % key_words] ^= 1;
                            run_all(c, &k);
                        }
                    }
                    if (HasFailure())
                        return;
                }
}

/// The largest values; and programs that sleep, which are not on one CPU.
TEST(jit_calls, large_values_of_a_cpu) {
    for (u32 type : {BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        test_map m(params_of(type, 8, 32 << 10, 40));
        ASSERT_EQ(m.error, 0);
        std::vector<u64> value(4096);
        for (u64 k = 0; k < 30; k++) {
            program_section s;
            ASSERT_EQ(m->ops->update(m.m, &k, value.data(), BPF_ANY), 0);
        }
        code c = look_up(m.m, behind::wide_use);
        EXPECT_FALSE(calls(c));
        for (u64 k = 0; k < 40; k++) {
            key_context at{{k}};
            run_all(c, &at);
        }
        c.sleepable = true;
        EXPECT_TRUE(calls(c));
    }
}

/// Elements that can be found nowhere but in their chain, after their neighbours went.
TEST(jit_calls, chains_that_change) {
    test_map m(params_of(BPF_MAP_TYPE_HASH, 8, 8, 64, BPF_F_ZERO_SEED));
    code c = look_up(m.m, behind::nothing);
    auto image = jit_compile(c);
    ASSERT_TRUE(image.ok());
    program_section here;
    std::mt19937_64 rng(6);
    for (u32 n = 0; n < 20000; n++) {
        key_context k{{rng() % 100, rng() % 4}};
        if (n % 3 == 0)
            m->ops->update(m.m, &k.words[0], &k.words[1], BPF_ANY);
        if (n % 5 == 0)
            m->ops->remove(m.m, &k.words[0]);
        ASSERT_EQ(image->entry()(&k), addr_of(m->ops->lookup(m.m, &k.words[0]))) << n;
    }
}

/// A look-up keeps the element in an LRU map, as the helper's does.
TEST(jit_calls, lru_marks) {
    for (u32 passes : {all_passes, all_passes & ~pass_bit(jit_pass::hashes)}) {
        test_map m(params_of(BPF_MAP_TYPE_LRU_HASH, 4, 8, 16));
        program_section here;
        u64 value = 1;
        for (u32 k = 0; k < 3; k++)
            ASSERT_EQ(m->ops->update(m.m, &k, &value, BPF_ANY), 0);
        jit_options o;
        o.passes = passes;
        auto image = jit_compile(look_up(m.m, behind::nothing), o);
        ASSERT_TRUE(image.ok());
        key_context k{{1}};
        EXPECT_NE(image->entry()(&k), 0u);
        hash_map *h = as_hash(m.m);
        u32 used = 0, live = 0;
        for (u32 i = 0; i < 16; i++)
            used += h->marks[i] == lru_used, live += h->marks[i] == lru_live;
        EXPECT_EQ(used, 1u);
        EXPECT_EQ(live, 2u);
    }
}

TEST(jit_calls, maps_operations) {
    test_map m(params_of(BPF_MAP_TYPE_HASH, 8, 8, 50)), q(params_of(BPF_MAP_TYPE_QUEUE, 0, 8, 50)), a(params_of(BPF_MAP_TYPE_ARRAY, 4, 8, 50));
    struct {
        map *m;
        u32 id;
    } const rows[] = {{m.m, BPF_FUNC_map_update_elem}, {m.m, BPF_FUNC_map_delete_elem}, {q.m, BPF_FUNC_map_push_elem},
                      {q.m, BPF_FUNC_map_peek_elem},   {q.m, BPF_FUNC_map_pop_elem},    {a.m, BPF_FUNC_map_update_elem},
                      {a.m, BPF_FUNC_map_delete_elem}};
    for (auto r : rows)
        for (u32 passes : {all_passes, all_passes & ~pass_bit(jit_pass::direct), 0u})
            for (u64 flags : {0ull, 1ull, 2ull, 9ull}) {
                bool stacks = r.m == q.m;
                program_text p = {mov_r(6, 1), ldx(BPF_DW, 3, 6, 0), stx(BPF_DW, 10, 3, -8), mov_r(2, 10), alu64_k(BPF_ADD, 2, -8)};
                p.add(stacks ? mov_k(3, static_cast<s32>(flags)) : mov_r(3, 2)).add(mov_k(4, static_cast<s32>(flags))).ld64(1, addr_of(r.m));
                u32 at = static_cast<u32>(p.size());
                p.add(call_id(r.id)).add(ldx(BPF_DW, 1, 10, -8)).add(alu64_k(BPF_LSH, 1, 20)).add(alu64_r(BPF_ADD, 0, 1)).add(exit_insn());
                code c = make_code(p, {}, 16);
                ASSERT_TRUE(c.maps.push({at, r.m}).ok());
                auto run = [&](bool native) {
                    program_section here;
                    u64 key = 3, value = 4;
                    if (stacks) { // one element
                        while (!q->ops->pop(q.m, &value)) {
                        }
                        q->ops->push(q.m, &key, 0);
                    } else {
                        m->ops->remove(m.m, &key);
                    }
                    key_context k{{3}};
                    if (!native)
                        return run_interp(c, &k);
                    jit_options o;
                    o.passes = passes;
                    auto image = jit_compile(c, o);
                    return image.ok() ? image->entry()(&k) : 12345;
                };
                EXPECT_EQ(run(true), run(false)) << helper_name(r.id) << " " << flags;
            }
}

TEST(jit_calls, unknown_maps_stay_calls) {
    test_map m(params_of(BPF_MAP_TYPE_ARRAY, 4, 8, 5));
    code c = look_up(m.m, behind::jeq);
    c.maps = {};
    EXPECT_TRUE(calls(c));
    key_context k{{3}};
    run_all(c, &k);
    code guarded = look_up(m.m, behind::jeq); // masks keep every operation as it is
    ASSERT_TRUE(guarded.guards.push({0, 0, guard_kind::barrier}).ok());
    EXPECT_TRUE(calls(guarded));
}

TEST(jit_calls, the_machines_numbers) {
    for (u32 id : {BPF_FUNC_get_smp_processor_id, BPF_FUNC_get_current_task, BPF_FUNC_get_current_pid_tgid}) {
        program_text p = {mov_k(6, 1), call_id(id), alu64_r(BPF_ADD, 0, 6), exit_insn()};
        code c = make_code(p, {}, 0);
        EXPECT_FALSE(calls(c)) << text_of(c);
        EXPECT_TRUE(calls(c, all_passes & ~pass_bit(jit_pass::helpers)));
        run_all(c, nullptr);
        jit_machine unknown;
        port_jit_env(&unknown);
        unknown.per_cpu.known = false;
        jit_options o;
        o.env = &unknown;
        auto image = jit_compile(c, o);
        ASSERT_TRUE(image.ok());
        EXPECT_NE(listing(*image).find("call"), std::string::npos);
        c.sleepable = true; // may be elsewhere before it returns
        EXPECT_EQ(calls(c), id == BPF_FUNC_get_smp_processor_id);
    }
    std::thread([] { // each thread has a task of its own
        code c = make_code(program_text{call_id(BPF_FUNC_get_current_pid_tgid), exit_insn()}, {}, 0);
        EXPECT_EQ(run_all(c, nullptr), port_current_pid_tgid());
    }).join();
}

/// A subprogram whose only calls were look-ups is a leaf, and is inlined.
TEST(jit_calls, look_ups_make_leaves) {
    test_map m(params_of(BPF_MAP_TYPE_ARRAY, 4, 8, 5));
    program_text p = {mov_r(6, 1), mov_r(1, 6), call_off(2), alu64_r(BPF_ADD, 0, 6), exit_insn()};
    u32 sub = static_cast<u32>(p.size());
    p.add(mov_r(2, 1)).ld64(1, addr_of(m.m));
    u32 at = static_cast<u32>(p.size());
    p.add(call_id(BPF_FUNC_map_lookup_elem)).add(exit_insn());
    code c = make_code(p, {sub}, 0);
    ASSERT_TRUE(c.maps.push({at, m.m}).ok());
    EXPECT_FALSE(calls(c)) << text_of(c);
    for (u64 i : {0, 4, 5}) {
        key_context k{{i}};
        run_all(c, &k);
    }
}

} // namespace
} // namespace modbpf::testing
