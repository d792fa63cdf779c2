// SPDX-License-Identifier: GPL-2.0-only
#include "attach/packet_shadow.h"

#include "btf/format.h"

namespace modbpf {

namespace {

struct shown {
    const char *member;
    u16 from; ///< in packet_run
    u8 size;
};
constexpr u16 user(u32 at) { return static_cast<u16>(packet_run_user + at); }
#define OF_RUN(member) static_cast<u16>(__builtin_offsetof(packet_run, member)), 8
constexpr shown of_skb[] = {
    {"len", user(skb_at_len), 4}, {"mark", user(8), 4}, {"queue_mapping", user(12), 2}, {"protocol", user(16), 2},
    {"priority", user(32), 4}, {"skb_iif", user(36), 4}, {"tc_index", user(44), 2}, {"hash", user(skb_at_hash), 4},
    {"tstamp", user(152), 8}, {"data", OF_RUN(data)},
};
constexpr shown of_xdp[] = {
    {"data", OF_RUN(data)}, {"data_end", OF_RUN(data_end)}, {"data_meta", OF_RUN(data_meta)}, {"data_hard_start", OF_RUN(hard_start)},
};
#undef OF_RUN

/// A member by name, of the structure or of those without a name in it. -> its offset and size; size 0: none, or a bit field.
struct found_member {
    u32 at = 0, size = 0;
};
found_member find_member(const btf &types, const btf_type *t, const char *name) {
    constexpr u32 max_open = 16;
    struct {
        const btf_type *type;
        u32 at;
    } open[max_open] = {{t, 0}};
    for (u32 n = 1; n;) {
        auto in = open[--n];
        if (const btf_member *m = types.member(in.type, name, strlen(name))) {
            found_member f;
            if (!types.bytes_of(in.type, m, &f.at, &f.size))
                return {};
            f.at += in.at;
            return f;
        }
        const auto *members = types.tail<btf_member>(in.type);
        for (u32 i = 0; i < in.type->vlen() && n < max_open; i++) {
            const btf_type *inner = types.type(types.skip_modifiers(members[i].type));
            if (!members[i].name_off && inner && inner->is_composite())
                open[n++] = {inner, in.at + members[i].bit_offset(in.type->kind_flag()) / 8};
        }
    }
    return {};
}

}  // namespace

void packet_layout::find(u32 prog_type) {
    bool xdp = prog_type == BPF_PROG_TYPE_XDP;
    span<const shown> members = xdp ? span<const shown>(of_xdp) : span<const shown>(of_skb);
    static_assert(count_of(of_skb) <= max_members && count_of(of_xdp) <= max_members);
    auto types = btf::vmlinux();
    const btf_type *t = types.ok() ? (*types)->type((*types)->find(xdp ? "xdp_buff" : "sk_buff", btf_kind::structure)) : nullptr;
    if (!t || t->size_or_type > max_bytes)
        return;
    for (u32 i = 0; i < members.size(); i++) {
        found_member f = find_member(**types, t, members[i].member);
        if (f.size && f.at + f.size <= t->size_or_type)
            copies_[i] = {static_cast<u16>(f.at), members[i].from, static_cast<u8>(min<u32>(f.size, members[i].size))};
    }
}

void packet_layout::fill(u8 (&to)[max_bytes], const packet_run &from) const {
    memset(to, 0, sizeof(to));
    for (const copy &c : copies_)
        memcpy(to + c.to, reinterpret_cast<const u8 *>(&from) + c.from, c.size);
}

}  // namespace modbpf
