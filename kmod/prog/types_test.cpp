// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/packet.h"
#include "verifier/context.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <stddef.h>

namespace {

using namespace modbpf;

TEST(prog_types, are_found) {
    EXPECT_EQ(all_prog_types().size(), 6u);
    for (const prog_type_info &t : all_prog_types())
        EXPECT_EQ(find_prog_type(t.type), &t);
    EXPECT_EQ(find_prog_type(0), nullptr);
    EXPECT_EQ(find_prog_type(7), nullptr);
    EXPECT_EQ(find_prog_type(~0u), nullptr);
}

const ctx_field *at(u32 type, size_t off) {
    for (const ctx_field &f : find_prog_type(type)->fields)
        if (f.off == off)
            return &f;
    return nullptr;
}

// The offsets are numbers in the table; the installed header knows them by name.
TEST(prog_types, offsets_are_those_of_the_header) {
    constexpr u32 filter = 1, cls = 3, xdp = 6;
    EXPECT_EQ(at(cls, offsetof(__sk_buff, data))->yields, ctx_yield::packet);
    EXPECT_EQ(at(cls, offsetof(__sk_buff, data_end))->yields, ctx_yield::packet_end);
    EXPECT_EQ(at(cls, offsetof(__sk_buff, data_meta))->yields, ctx_yield::packet_meta);
    EXPECT_EQ(at(filter, offsetof(__sk_buff, data)), nullptr);
    EXPECT_EQ(at(cls, offsetof(__sk_buff, cb))->size, sizeof(__sk_buff::cb));
    EXPECT_TRUE(at(filter, offsetof(__sk_buff, cb))->any_size);
    for (size_t off :
         {offsetof(__sk_buff, mark), offsetof(__sk_buff, priority), offsetof(__sk_buff, tc_index),
          offsetof(__sk_buff, tc_classid), offsetof(__sk_buff, tstamp), offsetof(__sk_buff, queue_mapping)}) {
        EXPECT_TRUE(at(cls, off)->writable) << off;
        EXPECT_FALSE(at(filter, off) && at(filter, off)->writable) << off;
    }
    for (size_t off : {offsetof(__sk_buff, len), offsetof(__sk_buff, protocol), offsetof(__sk_buff, ifindex),
                       offsetof(__sk_buff, hash), offsetof(__sk_buff, napi_id), offsetof(__sk_buff, gso_size)})
        EXPECT_TRUE(at(cls, off) && at(filter, off) && !at(cls, off)->writable) << off;
    for (size_t off : {offsetof(__sk_buff, family), offsetof(__sk_buff, local_port), offsetof(__sk_buff, flow_keys),
                       offsetof(__sk_buff, sk)})
        EXPECT_TRUE(!at(cls, off) && !at(filter, off)) << off;
    EXPECT_EQ(at(cls, offsetof(__sk_buff, tstamp))->size, 8u);
    EXPECT_EQ(at(cls, offsetof(__sk_buff, hwtstamp))->size, 8u);
    EXPECT_EQ(at(filter, offsetof(__sk_buff, hwtstamp)), nullptr);
    EXPECT_EQ(at(xdp, offsetof(xdp_md, data_meta))->yields, ctx_yield::packet_meta);
    EXPECT_EQ(at(xdp, offsetof(xdp_md, egress_ifindex)), nullptr);
    EXPECT_EQ(find_prog_type(cls)->size, sizeof(__sk_buff));
    EXPECT_EQ(find_prog_type(xdp)->size, sizeof(xdp_md));
}

TEST(prog_types, run_time_places_do_not_overlap) {
    for (const prog_type_info &t : all_prog_types())
        for (const ctx_field &f : t.fields) {
            if (f.yields == ctx_yield::scalar) {
                EXPECT_EQ(f.run_off, packet_run_user + f.off);
            } else {
                EXPECT_LT(f.run_off, packet_run_user);
            }
            EXPECT_LE(f.run_off + (f.run_size ? f.run_size : f.size), sizeof(packet_run));
        }
}

}  // namespace
