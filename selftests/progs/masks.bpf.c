// SPDX-License-Identifier: GPL-2.0-only
// CPU masks that programs make, and the iterator over bits.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct cpumask {
	__u64 bits[1];
};
struct bpf_cpumask {
	struct cpumask mask;
};
struct bpf_iter_bits {
	__u64 hidden[2];
} __attribute__((aligned(8)));

extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym __weak;
extern void bpf_cpumask_release(struct bpf_cpumask *m) __ksym __weak;
extern struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *m) __ksym __weak;
extern void bpf_cpumask_set_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym __weak;
extern void bpf_cpumask_clear_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym __weak;
extern _Bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *m) __ksym __weak;
extern _Bool bpf_cpumask_test_and_set_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym __weak;
extern _Bool bpf_cpumask_test_and_clear_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym __weak;
extern void bpf_cpumask_setall(struct bpf_cpumask *m) __ksym __weak;
extern void bpf_cpumask_clear(struct bpf_cpumask *m) __ksym __weak;
extern _Bool bpf_cpumask_and(struct bpf_cpumask *d, const struct cpumask *a, const struct cpumask *b) __ksym __weak;
extern void bpf_cpumask_or(struct bpf_cpumask *d, const struct cpumask *a, const struct cpumask *b) __ksym __weak;
extern void bpf_cpumask_xor(struct bpf_cpumask *d, const struct cpumask *a, const struct cpumask *b) __ksym __weak;
extern _Bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b) __ksym __weak;
extern _Bool bpf_cpumask_subset(const struct cpumask *a, const struct cpumask *b) __ksym __weak;
extern _Bool bpf_cpumask_intersects(const struct cpumask *a, const struct cpumask *b) __ksym __weak;
extern _Bool bpf_cpumask_empty(const struct cpumask *m) __ksym __weak;
extern _Bool bpf_cpumask_full(const struct cpumask *m) __ksym __weak;
extern __u32 bpf_cpumask_first(const struct cpumask *m) __ksym __weak;
extern __u32 bpf_cpumask_first_zero(const struct cpumask *m) __ksym __weak;
extern __u32 bpf_cpumask_weight(const struct cpumask *m) __ksym __weak;
extern __u32 bpf_cpumask_any_distribute(const struct cpumask *m) __ksym __weak;

extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *from, __u32 words) __ksym __weak;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym __weak;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym __weak;

int count, last; // in memory, so that a loop of unknown length is one state

#define mask_of(m) ((const struct cpumask *)(m))

// EXPECT: accept
// NEEDS: bpf_cpumask_create
// RETVAL: 0
SEC("syscall")
int one_mask(void *ctx)
{
	struct bpf_cpumask *m = bpf_cpumask_create(), *more;
	int wrong = 0;

	if (!m)
		return -1;
	if (!bpf_cpumask_empty(mask_of(m)) || bpf_cpumask_test_cpu(0, mask_of(m)))
		wrong |= 1;
	bpf_cpumask_set_cpu(0, m);
	if (!bpf_cpumask_test_cpu(0, mask_of(m)) || bpf_cpumask_first(mask_of(m)) != 0 || bpf_cpumask_weight(mask_of(m)) != 1)
		wrong |= 2;
	if (!bpf_cpumask_test_and_set_cpu(0, m) || !bpf_cpumask_test_and_clear_cpu(0, m) || bpf_cpumask_test_and_clear_cpu(0, m))
		wrong |= 4;
	bpf_cpumask_set_cpu(1 << 20, m); // there is none
	if (!bpf_cpumask_empty(mask_of(m)) || bpf_cpumask_first(mask_of(m)) != bpf_cpumask_first(mask_of(m)))
		wrong |= 8;
	bpf_cpumask_setall(m);
	if (!bpf_cpumask_full(mask_of(m)) || bpf_cpumask_first_zero(mask_of(m)) != bpf_cpumask_weight(mask_of(m)))
		wrong |= 16;
	if (bpf_cpumask_any_distribute(mask_of(m)) >= bpf_cpumask_weight(mask_of(m)))
		wrong |= 32;
	more = bpf_cpumask_acquire(m);
	bpf_cpumask_release(m);
	bpf_cpumask_clear(more);
	if (bpf_cpumask_weight(mask_of(more)))
		wrong |= 64;
	bpf_cpumask_release(more);
	return wrong;
}

// EXPECT: accept
// NEEDS: bpf_cpumask_create
// RETVAL: 0
SEC("syscall")
int two_masks(void *ctx)
{
	struct bpf_cpumask *a = bpf_cpumask_create(), *b;
	int wrong = 0;

	if (!a)
		return -1;
	b = bpf_cpumask_create();
	if (!b) {
		bpf_cpumask_release(a);
		return -2;
	}
	bpf_cpumask_set_cpu(0, a);
	bpf_cpumask_setall(b);
	if (!bpf_cpumask_subset(mask_of(a), mask_of(b)) || !bpf_cpumask_intersects(mask_of(a), mask_of(b)))
		wrong |= 1;
	bpf_cpumask_xor(b, mask_of(a), mask_of(b));
	if (bpf_cpumask_test_cpu(0, mask_of(b)) || bpf_cpumask_intersects(mask_of(a), mask_of(b)))
		wrong |= 2;
	if (bpf_cpumask_and(b, mask_of(a), mask_of(b)) || !bpf_cpumask_empty(mask_of(b)))
		wrong |= 4;
	bpf_cpumask_or(b, mask_of(a), mask_of(b));
	if (!bpf_cpumask_equal(mask_of(a), mask_of(b)))
		wrong |= 8;
	bpf_cpumask_release(a);
	bpf_cpumask_release(b);
	return wrong;
}

// EXPECT: accept
// NEEDS: bpf_iter_bits_new
// RETVAL: 131
SEC("tc")
int bits_of_words(struct __sk_buff *skb)
{
	__u64 words[3] = {1 | 1ull << 63, 0, 8};
	struct bpf_iter_bits it;
	int *bit;

	bpf_iter_bits_new(&it, words, 3);
	while ((bit = bpf_iter_bits_next(&it))) {
		count++;
		last = *bit;
	}
	bpf_iter_bits_destroy(&it);
	return count == 3 ? last : -1;
}

// EXPECT: accept
// NEEDS: bpf_iter_bits_new
// RETVAL: 30
SEC("tc")
int bits_of_a_word(struct __sk_buff *skb)
{
	__u64 word = 0x8421;
	struct bpf_iter_bits it;
	int *bit;

	bpf_iter_bits_new(&it, &word, 1);
	while ((bit = bpf_iter_bits_next(&it)))
		count += *bit;
	bpf_iter_bits_destroy(&it);
	bpf_iter_bits_new(&it, &word, 0);
	if (bpf_iter_bits_next(&it))
		count = -1;
	bpf_iter_bits_destroy(&it);
	return count;
}
