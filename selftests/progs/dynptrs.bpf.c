// SPDX-License-Identifier: GPL-2.0-only
// Dynptrs: of a map's value, of ring buffer records, of packets; slices, and what is refused.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[64]);
} bytes SEC(".maps");

extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start, __u32 end) __ksym __weak;
extern _Bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym __weak;
extern _Bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym __weak;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym __weak;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone) __ksym __weak;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset, void *buffer__opt, __u32 buffer__szk) __ksym __weak;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, __u32 offset, void *buffer__opt, __u32 buffer__szk) __ksym __weak;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *p) __ksym __weak;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *p) __ksym __weak;

static void *the_bytes(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&bytes, &zero);
}

// EXPECT: accept
// RETVAL: 7
SEC("raw_tp")
int memory_is_written_and_read(void *ctx)
{
	struct bpf_dynptr p;
	__u32 in = 7, out = 0;
	__u8 *mem = the_bytes();

	if (!mem || bpf_dynptr_from_mem(mem, 64, 0, &p))
		return -1;
	if (bpf_dynptr_write(&p, 60, &in, sizeof(in), 0) || mem[60] != 7)
		return -2;
	if (bpf_dynptr_read(&out, sizeof(out), &p, 60, 0))
		return -3;
	return out;
}

// EXPECT: accept
// RETVAL: -58
SEC("raw_tp")
int memory_ends(void *ctx)
{
	struct bpf_dynptr p;
	__u32 word = 0;
	__u8 *mem = the_bytes();
	long a, b, c;

	if (!mem || bpf_dynptr_from_mem(mem, 64, 0, &p))
		return -1;
	a = bpf_dynptr_write(&p, 61, &word, sizeof(word), 0);
	b = bpf_dynptr_read(&word, sizeof(word), &p, -1, 0);
	c = bpf_dynptr_read(&word, sizeof(word), &p, 0, 1);
	return bpf_dynptr_data(&p, 62, 4) ? 1 : a + b + c + bpf_dynptr_write(&p, 0, &word, 4, 1);
}

// EXPECT: accept
// NEEDS: bpf_dynptr_adjust
// RETVAL: -22
SEC("raw_tp")
int flags_leave_a_null_dynptr(void *ctx)
{
	struct bpf_dynptr p;
	__u32 word;
	__u8 *mem = the_bytes();

	if (!mem)
		return -1;
	bpf_dynptr_from_mem(mem, 64, 8, &p);
	if (!bpf_dynptr_is_null(&p) || bpf_dynptr_is_rdonly(&p) || bpf_dynptr_size(&p) != (__u32)-22)
		return -2;
	if (bpf_dynptr_data(&p, 0, 4))
		return -3;
	return bpf_dynptr_read(&word, sizeof(word), &p, 0, 0);
}

// EXPECT: accept
// NEEDS: bpf_dynptr_adjust
// RETVAL: 2030
SEC("raw_tp")
int adjusts_and_clones(void *ctx)
{
	struct bpf_dynptr p, q;
	__u8 *mem = the_bytes(), *s;

	if (!mem || bpf_dynptr_from_mem(mem, 64, 0, &p))
		return -1;
	mem[30] = 200;
	if (bpf_dynptr_clone(&p, &q) || bpf_dynptr_adjust(&p, 10, 40))
		return -2;
	if (bpf_dynptr_size(&q) != 64 || bpf_dynptr_adjust(&p, 3, 2) != -22 || bpf_dynptr_adjust(&p, 0, 31) != -34)
		return -3;
	s = bpf_dynptr_slice(&p, 20, 0, 10);
	if (!s || bpf_dynptr_slice(&p, 21, 0, 10))
		return -4;
	return s[0] * 10 + bpf_dynptr_size(&p);
}

// EXPECT: accept
// RETVAL: 24
SEC("raw_tp")
int records_are_submitted(void *ctx)
{
	struct bpf_dynptr p;
	__u64 *w;

	if (bpf_ringbuf_reserve_dynptr(&records, 16, 0, &p)) {
		bpf_ringbuf_discard_dynptr(&p, 0);
		return -1;
	}
	w = bpf_dynptr_data(&p, 8, 8);
	if (w)
		*w = 5;
	bpf_ringbuf_submit_dynptr(&p, 0);
	return bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA);
}

// EXPECT: accept
// RETVAL: -22
SEC("raw_tp")
int records_that_do_not_fit(void *ctx)
{
	struct bpf_dynptr p;
	long err = bpf_ringbuf_reserve_dynptr(&records, 5000, 0, &p);

	bpf_ringbuf_submit_dynptr(&p, 0);
	return err;
}

// EXPECT: accept
// DATA: 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 zero:48
// NEEDS: bpf_dynptr_adjust
// RETVAL: 15
// DATA_OUT: 01 63 03
SEC("tc")
int packets(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	__u8 copy[4] = {}, *s;
	__u8 v = 0x63;

	if (bpf_dynptr_from_skb(skb, 0, &p) || bpf_dynptr_size(&p) != skb->len || bpf_dynptr_is_rdonly(&p))
		return -1;
	if (bpf_dynptr_write(&p, 1, &v, 1, 0) || bpf_dynptr_data(&p, 0, 1))
		return -2;
	s = bpf_dynptr_slice(&p, 14, copy, sizeof(copy));
	if (bpf_dynptr_slice(&p, 62, copy, sizeof(copy)))
		return -3;
	return s ? s[0] : -4;
}

// EXPECT: accept
// DATA: zero:14 45 02 zero:48
// NEEDS: bpf_dynptr_adjust
// RETVAL: 69
SEC("socket")
int packets_of_filters(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	__u8 copy[2] = {}, *s;

	if (bpf_dynptr_from_skb(skb, 0, &p) || !bpf_dynptr_is_rdonly(&p))
		return -1;
	s = bpf_dynptr_slice(&p, 0, copy, sizeof(copy));
	return s ? s[0] : -4;
}

// EXPECT: accept
// DATA: 01 02 03 04 zero:60
// NEEDS: bpf_dynptr_adjust
// RETVAL: 64
// DATA_OUT: 09 02
SEC("xdp")
int frames(struct xdp_md *xdp)
{
	struct bpf_dynptr p;
	__u8 copy[4] = {}, *s;

	if (bpf_dynptr_from_xdp(xdp, 0, &p))
		return -1;
	s = bpf_dynptr_slice_rdwr(&p, 0, copy, sizeof(copy));
	if (!s)
		return -2;
	s[0] = 9;
	return bpf_dynptr_size(&p);
}
