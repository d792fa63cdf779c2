// SPDX-License-Identifier: GPL-2.0-only
// bpf_cpumask_*: CPU masks that programs make are objects (maps/object.h) that lie as the kernel's struct bpf_cpumask, whose references
// kptrs hold; what is only read may be one of the kernel's own masks. Bits behind the last CPU are of no meaning.
#include "base/errno.h"
#include "helpers/kfuncs.h"
#include "maps/object.h"

namespace modbpf {

namespace {

u32 cpu_count() { return port_cpu_count(); }
u32 word_count() { return (cpu_count() + 63) / 64; }
u64 *words_of(u64 mask) { return ptr_of<u64>(mask); }

/// The bits of word `w` that stand for CPUs.
u64 valid(u32 w) {
    u32 left = cpu_count() - w * 64;
    return left >= 64 ? ~0ull : (1ull << left) - 1;
}
u64 load(u64 mask, u32 w) { return __atomic_load_n(words_of(mask) + w, __ATOMIC_RELAXED) & valid(w); }

/// The first CPU from `from` on for which word(w) has a bit, or the number of CPUs.
template <class W> u32 first_from(u32 from, W word) {
    for (u32 w = from / 64; w < word_count(); w++) {
        u64 bits = word(w) & valid(w);
        if (w == from / 64)
            bits &= ~0ull << from % 64;
        if (bits)
            return w * 64 + static_cast<u32>(__builtin_ctzll(bits));
    }
    return cpu_count();
}
template <class W> u32 first(W word) { return first_from(0, word); }

/// dst = word(w), everywhere. -> is any CPU in it?
template <class W> u64 assign(u64 dst, W word) {
    u64 any = 0;
    for (u32 w = 0; w < word_count(); w++) {
        u64 v = word(w) & valid(w);
        __atomic_store_n(words_of(dst) + w, v, __ATOMIC_RELAXED);
        any |= v;
    }
    return any != 0;
}
template <class W> bool no_word(W word) {
    for (u32 w = 0; w < word_count(); w++)
        if (word(w) & valid(w))
            return false;
    return true;
}

constinit u32 turn = 0; ///< where the next search for any CPU begins: they are all to have their share. Atomic

template <class W> u32 any_of(W word) {
    u32 n = cpu_count(), from = __atomic_load_n(&turn, __ATOMIC_RELAXED) % n;
    u32 found = first_from(from, word);
    if (found == n)
        found = first(word);
    if (found < n)
        __atomic_store_n(&turn, found + 1, __ATOMIC_RELAXED);
    return found;
}

u64 bit_of(u32 cpu) { return 1ull << cpu % 64; }

} // namespace

result<ref<object_type>> cpumask_type() {
    field_table t;
    auto size = static_cast<u32>(port_cpumask_size());
    TRY(t.fields.push({field_kind::refcount, size, 4}));
    t.kinds = field_bit(field_kind::refcount);
    return object_type::create(size + 4, false, &t, nullptr);
}

/// cpumask_create(), the type
u64 kfunc_cpumask_create(u64 r1, u64, u64, u64, u64) { return addr_of(object_new(ptr_of<object_type>(r1))); }
u64 kfunc_cpumask_acquire(u64 r1, u64, u64, u64, u64) { return object_hold(ptr_of<>(r1)) ? r1 : 0; }

u64 kfunc_cpumask_first(u64 r1, u64, u64, u64, u64) {
    return first([=](u32 w) { return load(r1, w); });
}
u64 kfunc_cpumask_first_zero(u64 r1, u64, u64, u64, u64) {
    return first([=](u32 w) { return ~load(r1, w); });
}
u64 kfunc_cpumask_first_and(u64 r1, u64 r2, u64, u64, u64) {
    return first([=](u32 w) { return load(r1, w) & load(r2, w); });
}

/// set_cpu(cpu, mask)
u64 kfunc_cpumask_set_cpu(u64 r1, u64 r2, u64, u64, u64) {
    u32 cpu = static_cast<u32>(r1);
    if (cpu < cpu_count())
        __atomic_fetch_or(words_of(r2) + cpu / 64, bit_of(cpu), __ATOMIC_RELAXED);
    return 0;
}
u64 kfunc_cpumask_clear_cpu(u64 r1, u64 r2, u64, u64, u64) {
    u32 cpu = static_cast<u32>(r1);
    if (cpu < cpu_count())
        __atomic_fetch_and(words_of(r2) + cpu / 64, ~bit_of(cpu), __ATOMIC_RELAXED);
    return 0;
}
u64 kfunc_cpumask_test_cpu(u64 r1, u64 r2, u64, u64, u64) {
    u32 cpu = static_cast<u32>(r1);
    return cpu < cpu_count() && (load(r2, cpu / 64) & bit_of(cpu));
}
u64 kfunc_cpumask_test_and_set_cpu(u64 r1, u64 r2, u64, u64, u64) {
    u32 cpu = static_cast<u32>(r1);
    return cpu < cpu_count() && (__atomic_fetch_or(words_of(r2) + cpu / 64, bit_of(cpu), __ATOMIC_SEQ_CST) & bit_of(cpu));
}
u64 kfunc_cpumask_test_and_clear_cpu(u64 r1, u64 r2, u64, u64, u64) {
    u32 cpu = static_cast<u32>(r1);
    return cpu < cpu_count() && (__atomic_fetch_and(words_of(r2) + cpu / 64, ~bit_of(cpu), __ATOMIC_SEQ_CST) & bit_of(cpu));
}

u64 kfunc_cpumask_setall(u64 r1, u64, u64, u64, u64) {
    assign(r1, [](u32) { return ~0ull; });
    return 0;
}
u64 kfunc_cpumask_clear(u64 r1, u64, u64, u64, u64) {
    assign(r1, [](u32) { return 0ull; });
    return 0;
}
u64 kfunc_cpumask_and(u64 r1, u64 r2, u64 r3, u64, u64) {
    return assign(r1, [=](u32 w) { return load(r2, w) & load(r3, w); });
}
u64 kfunc_cpumask_or(u64 r1, u64 r2, u64 r3, u64, u64) {
    assign(r1, [=](u32 w) { return load(r2, w) | load(r3, w); });
    return 0;
}
u64 kfunc_cpumask_xor(u64 r1, u64 r2, u64 r3, u64, u64) {
    assign(r1, [=](u32 w) { return load(r2, w) ^ load(r3, w); });
    return 0;
}
u64 kfunc_cpumask_copy(u64 r1, u64 r2, u64, u64, u64) {
    assign(r1, [=](u32 w) { return load(r2, w); });
    return 0;
}

u64 kfunc_cpumask_equal(u64 r1, u64 r2, u64, u64, u64) {
    return no_word([=](u32 w) { return load(r1, w) ^ load(r2, w); });
}
u64 kfunc_cpumask_intersects(u64 r1, u64 r2, u64, u64, u64) {
    return !no_word([=](u32 w) { return load(r1, w) & load(r2, w); });
}
u64 kfunc_cpumask_subset(u64 r1, u64 r2, u64, u64, u64) {
    return no_word([=](u32 w) { return load(r1, w) & ~load(r2, w); });
}
u64 kfunc_cpumask_empty(u64 r1, u64, u64, u64, u64) {
    return no_word([=](u32 w) { return load(r1, w); });
}
u64 kfunc_cpumask_full(u64 r1, u64, u64, u64, u64) {
    return no_word([=](u32 w) { return ~load(r1, w); });
}
u64 kfunc_cpumask_weight(u64 r1, u64, u64, u64, u64) {
    u32 n = 0;
    for (u32 w = 0; w < word_count(); w++)
        for (u64 bits = load(r1, w); bits; bits &= bits - 1)
            n++;
    return n;
}
u64 kfunc_cpumask_any_distribute(u64 r1, u64, u64, u64, u64) {
    return any_of([=](u32 w) { return load(r1, w); });
}
u64 kfunc_cpumask_any_and_distribute(u64 r1, u64 r2, u64, u64, u64) {
    return any_of([=](u32 w) { return load(r1, w) & load(r2, w); });
}

} // namespace modbpf
