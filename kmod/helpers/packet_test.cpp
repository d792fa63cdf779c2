// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/packet.h"

#include "helpers/dynptr.h"
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/kfuncs.h"

#include <gtest/gtest.h>
#include <vector>

using namespace modbpf;

namespace {

s64 num(u64 r) {
    return static_cast<s64>(r);
}

/// A frame of 64 bytes 0, 1, 2 ... with 16 bytes of room on each side, 8 of them metadata; optionally 32 bytes of
/// fragments.
struct frame {
    std::vector<u8> room = std::vector<u8>(96), frags;
    packet_run run{};

    explicit frame(u32 frag_size = 0) : frags(frag_size) {
        for (u32 i = 0; i < 64; i++)
            room[16 + i] = static_cast<u8>(i);
        for (u32 i = 0; i < frag_size; i++)
            frags[i] = static_cast<u8>(64 + i);
        run.hard_start = addr_of(room.data());
        run.hard_end = run.hard_start + room.size();
        run.data = run.mac_header = run.hard_start + 16;
        run.data_meta = run.data - 8;
        run.net_header = run.data + 14;
        run.data_end = run.data + 64;
        run.frags = addr_of(frags.data());
        run.frag_size = frag_size;
    }
    u64 ctx() { return addr_of(&run); }
};

TEST(packet, legacy_loads) {
    frame f;
    u64 v = 99;
    EXPECT_TRUE(load_packet_bytes(&f.run, 3, 1, &v));
    EXPECT_EQ(v, 3u);
    EXPECT_TRUE(load_packet_bytes(&f.run, 1, 4, &v));
    EXPECT_EQ(v, 0x01020304u);
    EXPECT_TRUE(load_packet_bytes(&f.run, 62, 2, &v));
    EXPECT_EQ(v, 0x3e3fu);
    v = 99;
    EXPECT_FALSE(load_packet_bytes(&f.run, 63, 2, &v));
    EXPECT_FALSE(load_packet_bytes(&f.run, 64, 1, &v));
    EXPECT_FALSE(load_packet_bytes(&f.run, 0x7fffffff, 4, &v));
    EXPECT_EQ(v, 99u);
    EXPECT_TRUE(load_packet_bytes(&f.run, -0x100000, 2, &v));  // SKF_NET_OFF
    EXPECT_EQ(v, 0x0e0fu);
    EXPECT_TRUE(load_packet_bytes(&f.run, -0x200000 + 2, 1, &v));  // SKF_LL_OFF
    EXPECT_EQ(v, 2u);
    EXPECT_FALSE(load_packet_bytes(&f.run, -0x100000 + 50, 1, &v));
    EXPECT_FALSE(load_packet_bytes(&f.run, -0x200000 - 1, 1, &v));
    EXPECT_FALSE(load_packet_bytes(&f.run, -1, 1, &v));
    EXPECT_FALSE(load_packet_bytes(&f.run, -0x7fffffff - 1, 4, &v));
}

TEST(packet, skb_load_bytes) {
    frame f;
    u8 b[8];
    EXPECT_EQ(bpf_skb_load_bytes(f.ctx(), 56, addr_of(b), 8, 0), 0u);
    EXPECT_EQ(b[7], 63);
    for (u64 off : {57ull, 64ull, 0x80000000ull, 0xffffffffull}) {
        memset(b, 1, sizeof(b));
        EXPECT_EQ(num(bpf_skb_load_bytes(f.ctx(), off, addr_of(b), 8, 0)), -EFAULT);
        EXPECT_EQ(b[0] | b[7], 0);  // zeroed
    }
    EXPECT_EQ(bpf_skb_load_bytes_relative(f.ctx(), 1, addr_of(b), 1, 0), 0u);
    EXPECT_EQ(b[0], 1);
    EXPECT_EQ(bpf_skb_load_bytes_relative(f.ctx(), 1, addr_of(b), 1, 1), 0u);
    EXPECT_EQ(b[0], 15);
    EXPECT_EQ(num(bpf_skb_load_bytes_relative(f.ctx(), 0, addr_of(b), 1, 2)), -EFAULT);
    EXPECT_EQ(num(bpf_skb_load_bytes_relative(f.ctx(), 0x10000, addr_of(b), 1, 0)), -EFAULT);
    EXPECT_EQ(num(bpf_skb_load_bytes_relative(f.ctx(), 50, addr_of(b), 1, 1)), -EFAULT);
    EXPECT_EQ(bpf_skb_pull_data(f.ctx(), 64, 0, 0, 0), 0u);
    EXPECT_EQ(bpf_skb_pull_data(f.ctx(), 0, 0, 0, 0), 0u);
    EXPECT_EQ(num(bpf_skb_pull_data(f.ctx(), 65, 0, 0, 0)), -ENOMEM);
}

/// What a program writes to its buffer, which is in its stack, must not show through a slice that it may write to.
TEST(packet, slices_are_in_place) {
    frame f(32);
    run_dynptr d;
    u64 buffer = 0, at = addr_of(&d);
    ASSERT_EQ(kfunc_dynptr_from_xdp(f.ctx(), 0, at, 0, 0), 0u);
    EXPECT_EQ(kfunc_dynptr_slice(at, 60, addr_of(&buffer), 8, 0), addr_of(&buffer));
    EXPECT_EQ(buffer, 0x434241403f3e3d3cull);
    EXPECT_EQ(kfunc_dynptr_slice_rdwr(at, 60, addr_of(&buffer), 8, 0), 0u);
    EXPECT_EQ(kfunc_dynptr_slice_in_place(at, 60, addr_of(&buffer), 8, 0), 0u);
    for (helper_fn fn : {kfunc_dynptr_slice, kfunc_dynptr_slice_rdwr, kfunc_dynptr_slice_in_place})
        EXPECT_EQ(fn(at, 8, addr_of(&buffer), 8, 0), f.run.data + 8);
}

TEST(packet, xdp_bytes_cross_into_fragments) {
    frame f(32);
    u8 b[16];
    EXPECT_EQ(bpf_xdp_get_buff_len(f.ctx(), 0, 0, 0, 0), 96u);
    EXPECT_EQ(bpf_xdp_load_bytes(f.ctx(), 56, addr_of(b), 16, 0), 0u);
    for (u32 i = 0; i < 16; i++)
        EXPECT_EQ(b[i], 56 + i);
    EXPECT_EQ(bpf_xdp_load_bytes(f.ctx(), 80, addr_of(b), 16, 0), 0u);
    EXPECT_EQ(b[15], 95);
    for (u64 off : {81ull, 0x10000ull, 0xffffffffull}) {
        memset(b, 1, sizeof(b));
        EXPECT_EQ(num(bpf_xdp_load_bytes(f.ctx(), off, addr_of(b), 16, 0)), off == 81 ? -EINVAL : -EFAULT);
        EXPECT_EQ(b[0] | b[15], 0);  // zeroed
    }
    memset(b, 0xee, sizeof(b));
    EXPECT_EQ(bpf_xdp_store_bytes(f.ctx(), 60, addr_of(b), 8, 0), 0u);
    EXPECT_EQ(f.room[16 + 59], 59);
    EXPECT_EQ(f.room[16 + 60], 0xee);
    EXPECT_EQ(f.frags[3], 0xee);
    EXPECT_EQ(f.frags[4], 68);
    EXPECT_EQ(num(bpf_xdp_store_bytes(f.ctx(), 89, addr_of(b), 8, 0)), -EINVAL);
}

TEST(packet, xdp_adjust_head_moves_the_metadata) {
    frame f;
    f.room[8] = 0xaa;
    u64 data = f.run.data;
    EXPECT_EQ(bpf_xdp_adjust_head(f.ctx(), static_cast<u64>(-8), 0, 0, 0), 0u);
    EXPECT_EQ(f.run.data, data - 8);
    EXPECT_EQ(f.run.data_meta, f.run.hard_start);
    EXPECT_EQ(f.room[0], 0xaa);
    EXPECT_EQ(num(bpf_xdp_adjust_head(f.ctx(), static_cast<u64>(-1), 0, 0, 0)), -EINVAL);  // no room
    EXPECT_EQ(bpf_xdp_adjust_head(f.ctx(), 58, 0, 0, 0), 0u);
    EXPECT_EQ(f.run.data_end - f.run.data, 14u);
    EXPECT_EQ(num(bpf_xdp_adjust_head(f.ctx(), 1, 0, 0, 0)), -EINVAL);  // an Ethernet header must stay
    EXPECT_EQ(num(bpf_xdp_adjust_head(f.ctx(), 0x7fffffff, 0, 0, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_xdp_adjust_head(f.ctx(), 0x80000000, 0, 0, 0)), -EINVAL);
}

TEST(packet, xdp_adjust_meta) {
    frame f;
    EXPECT_EQ(bpf_xdp_adjust_meta(f.ctx(), static_cast<u64>(-8), 0, 0, 0), 0u);
    EXPECT_EQ(f.run.data - f.run.data_meta, 16u);
    EXPECT_EQ(num(bpf_xdp_adjust_meta(f.ctx(), static_cast<u64>(-4), 0, 0, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_xdp_adjust_meta(f.ctx(), 20, 0, 0, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_xdp_adjust_meta(f.ctx(), 2, 0, 0, 0)), -EACCES);
    EXPECT_EQ(bpf_xdp_adjust_meta(f.ctx(), 16, 0, 0, 0), 0u);
    EXPECT_EQ(f.run.data, f.run.data_meta);
}

TEST(packet, xdp_adjust_tail_clears_what_it_adds) {
    frame f;
    f.room[80] = 0x55;
    EXPECT_EQ(bpf_xdp_adjust_tail(f.ctx(), 16, 0, 0, 0), 0u);
    EXPECT_EQ(f.room[80], 0);
    EXPECT_EQ(f.run.data_end, f.run.hard_end);
    EXPECT_EQ(num(bpf_xdp_adjust_tail(f.ctx(), 1, 0, 0, 0)), -EINVAL);
    EXPECT_EQ(bpf_xdp_adjust_tail(f.ctx(), static_cast<u64>(-66), 0, 0, 0), 0u);
    EXPECT_EQ(num(bpf_xdp_adjust_tail(f.ctx(), static_cast<u64>(-1), 0, 0, 0)), -EINVAL);
    frame g(32);
    EXPECT_EQ(num(bpf_xdp_adjust_tail(g.ctx(), static_cast<u64>(-1), 0, 0, 0)), -EOPNOTSUPP);
}

u16 fold(u64 sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(sum);
}

TEST(packet, csum_diff) {
    u32 from[4] = {1, 2, 3, 4}, to[4] = {5, 6, 0xffffffff, 8};
    // Replacing `from` by `to` in a checksum gives what summing `to` gives.
    u64 sum_from = 1 + 2 + 3 + 4, sum_to = 5ull + 6 + 0xffffffff + 8;
    u64 diff = bpf_csum_diff(addr_of(from), 16, addr_of(to), 16, sum_from);
    EXPECT_LE(diff, 0xffffffffu);
    EXPECT_EQ(fold(diff), fold(sum_to));
    EXPECT_EQ(fold(bpf_csum_diff(0, 0, addr_of(to), 16, 0)), fold(sum_to));
    EXPECT_EQ(fold(bpf_csum_diff(addr_of(to), 16, 0, 0, sum_to % 0xffffffff)), 0xffff);  // minus itself: a zero
    EXPECT_EQ(num(bpf_csum_diff(addr_of(from), 15, 0, 0, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_csum_diff(0, 0, addr_of(to), 2, 0)), -EINVAL);
    std::vector<u32> large(129);
    EXPECT_EQ(num(bpf_csum_diff(addr_of(large.data()), 516, 0, 0, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_csum_diff(addr_of(large.data()), 512, addr_of(to), 4, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_csum_diff(0, 0xfffffffc, addr_of(to), 4, 0)), -EINVAL);  // the sum of the sizes would wrap
    EXPECT_EQ(bpf_csum_diff(0, 0, 0, 0, 7), 7u);
}

}  // namespace
