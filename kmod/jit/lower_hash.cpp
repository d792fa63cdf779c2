// SPDX-License-Identifier: GPL-2.0-only
// hashes: the look-up of a hash table as native code: maps/hash.h has the table, hash_map::hash_key and find what this repeats, load by load.
//
// Everything that a call may destroy is free: rax, rdi, rdx, rcx, r8 to r11. rsi (r2) has the key's address. Keys of up to 16 bytes are read into
// registers, longer ones again for each comparison with an element of their hash. Where constants are blinded a register has the size of
// elements: that and the number of buckets are the program's author's.
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

namespace {

constexpr reg hash_reg = reg::rdi, bucket = reg::r11, elem = reg::rcx, number = reg::rdx, key = reg::r9, key_high = reg::r8;

bool is_long(const map_lookup &how) { return how.key_size > 16; }
reg size_reg(const map_lookup &how) { return is_long(how) ? key_high : reg::rsi; } // what the key leaves

/// rax = both halves of rax * by, folded.
void mix(x86::encoder &e, reg by = reg::r10) {
    e.op(x86::unary::mul, true, by);
    e.op(x86::alu::xor_, true, reg::rax, reg::rdx);
}
void xor_imm(x86::encoder &e, reg r, u64 v) {
    e.mov_imm(reg::r10, v);
    e.op(x86::alu::xor_, true, r, reg::r10);
}

/// rax = what hash_bytes() has of a long key before its last step. The bucket's register has the second seed.
void hash_long(x86::encoder &e, const map_lookup &how) {
    auto word = [](u32 at) { return x86::mem{reg::rsi, static_cast<s32>(at)}; };
    e.mov_imm(bucket, how.seed[1]);
    e.mov_imm(hash_reg, how.seed[0] ^ how.key_size);
    for (u32 at = 0; at < how.key_size; at += 16) {
        u32 second = min(at + 8, how.key_size - 8); // of an odd number of words the last one counts twice
        if (at)
            e.mov(true, hash_reg, reg::rax);
        e.mov(true, reg::rax, bucket);
        e.op(x86::alu::xor_, true, reg::rax, word(at));
        e.op(x86::alu::xor_, true, hash_reg, word(second));
        mix(e, hash_reg);
    }
}

/// The key into its registers; rax = what is before the last step.
void hash_short(x86::encoder &e, const map_lookup &how) {
    e.load(how.key_size == 4 ? 4 : 8, false, key, {reg::rsi});
    if (how.key_size < 16) {
        e.mov(true, reg::rax, key);
        return;
    }
    e.load(8, false, key_high, {reg::rsi, 8});
    e.mov_imm(reg::rax, how.seed[1]);
    e.op(x86::alu::xor_, true, reg::rax, key);
    e.mov_imm(reg::r10, how.seed[0] ^ 16);
    e.op(x86::alu::xor_, true, reg::r10, key_high);
    mix(e);
}

/// The key into its registers if it fits, its hash into rax, and unless the key is a register's into hash_reg.
void hash_key(x86::encoder &e, const map_lookup &how) {
    if (is_long(how))
        hash_long(e, how);
    else
        hash_short(e, how);
    xor_imm(e, reg::rax, how.seed[0]);
    e.mov_imm(reg::r10, how.seed[1]);
    mix(e);
    e.mov_imm(reg::r10, how.last_factor);
    e.imul(true, reg::rax, reg::r10);
    e.op(x86::shift::shr, true, reg::rax, 32);
    if (how.key_size > 8)
        e.mov(false, hash_reg, reg::rax);
}

/// elem = address of element `elem`; its number stays in `number` where it is needed.
void locate(x86::encoder &e, const map_lookup &how, bool size_in_register) {
    if (how.marks || how.cpu_values)
        e.mov(false, number, elem);
    u64 size = how.elem_size;
    if (size & (size - 1))
        size_in_register ? e.imul(true, elem, size_reg(how)) : e.imul(true, elem, elem, static_cast<s32>(size));
    else
        e.op(x86::shift::shl, true, elem, static_cast<u8>(__builtin_ctzll(size)));
    e.op(x86::alu::add, true, elem, reg::r10);
}

constexpr u32 max_words = max_looked_up_key / 8;

/// Compares the element's hash, where the key has more than a word, and its key; the last word decides. other[0 .. n - 1] were the wrong one
/// before. -> n
u32 compare_key(x86::encoder &e, const map_lookup &how, u8 *(&other)[max_words]) {
    if (how.key_size <= 8) {
        e.op(x86::alu::cmp, how.key_size == 8, key, x86::mem{elem, looked_up_key});
        return 0;
    }
    u32 n = 0;
    e.op(x86::alu::cmp, false, hash_reg, x86::mem{elem, looked_up_hash});
    for (u32 at = 0; at < how.key_size; at += 8) {
        other[n++] = e.jcc_ahead(x86::cond::ne);
        reg word = how.key_size == 16 && at ? key_high : key;
        if (is_long(how))
            e.load(8, false, word, {reg::rsi, static_cast<s32>(at)});
        e.op(x86::alu::cmp, true, word, x86::mem{elem, static_cast<s32>(looked_up_key + at)});
    }
    return n;
}

/// A look-up marks what it found, unless it is marked.
void mark(x86::encoder &e, const map_lookup &how) {
    x86::mem of_number{reg::r10, 0, number, true};
    e.mov_imm(reg::r10, how.marks);
    e.load(1, false, reg::r8, of_number);
    e.op(x86::alu::cmp, false, reg::r8, how.mark_live);
    u8 *marked = e.jcc_ahead(x86::cond::ne);
    e.store_imm(1, of_number, how.mark_used);
    e.land(marked);
}

} // namespace

/// r0 = address of this CPU's value of element `number`.
void lowering::cpu_value(const map_lookup &how) {
    x86::encoder &e = out_.e;
    bool word = how.cpu_value_size == 8; // which an address can be scaled by
    if (!word)
        multiply_constant(true, number, static_cast<s32>(how.cpu_value_size));
    e.load_segment(env_.per_cpu.segment, false, reg::rax, env_.per_cpu.cpu);
    multiply_constant(true, reg::rax, static_cast<s32>(how.cpu_stride));
    if (word)
        e.lea(true, reg::rax, {reg::rax, 0, number, true, 3});
    else
        e.op(x86::alu::add, true, reg::rax, number);
    e.mov_imm(reg::r10, how.cpu_values);
    e.op(x86::alu::add, true, reg::rax, reg::r10);
}

/// r0 = address of the value of the key at r2, or 0.
void lowering::hash(const map_lookup &how) {
    x86::encoder &e = out_.e;
    hash_key(e, how);
    op_constant(x86::alu::and_, false, reg::rax, static_cast<s32>(how.bucket_mask));
    if (options_.blind)
        constant(size_reg(how), how.elem_size);
    e.mov_imm(bucket, how.buckets);
    e.mov_imm(reg::r10, how.base);
    u8 *again = e.at();
    e.load(4, false, elem, {bucket, 0, reg::rax, true, 3});
    u8 *walk = e.at();
    e.test(false, elem, elem);
    u8 *ended = e.jcc_ahead(x86::cond::l);
    locate(e, how, options_.blind);
    u8 *other[max_words];
    u32 others = compare_key(e, how, other);
    u8 *found = e.jcc_ahead(x86::cond::e);
    for (u32 i = 0; i < others; i++)
        e.land(other[i]);
    e.load(4, false, elem, {elem});
    e.jmp_back(walk);
    e.land(ended);
    e.op(x86::alu::xor_, false, elem, static_cast<s32>(looked_up_end)); // the number of the bucket whose chain it was
    e.op(x86::alu::cmp, false, elem, reg::rax);
    e.jcc_back(x86::cond::ne, again); // an element went to another chain under the walk
    e.zero(reg::rax);
    u8 *none = e.jmp_ahead();
    e.land(found);
    if (how.marks)
        mark(e, how);
    if (how.cpu_values)
        cpu_value(how);
    else
        e.lea(true, reg::rax, {elem, static_cast<s32>(how.value_offset)});
    e.land(none);
}

} // namespace modbpf
