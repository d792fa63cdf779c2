// SPDX-License-Identifier: GPL-2.0-only
// Writes BTF byte for byte, well-formed or not, for tests.
#pragma once

#include <string>
#include <vector>

#include "btf/btf.h"
#include "btf/format.h"

namespace modbpf {

struct btf_builder {
    std::string strings = std::string(1, '\0');
    std::vector<u32> words; ///< the type section
    u32 count = 0;          ///< types so far; ids are 1..count
    btf_header hdr{btf_magic, 1, 0, sizeof(btf_header), 0, 0, 0, 0};

    u32 str(const std::string &s) {
        if (s.empty())
            return 0;
        u32 at = static_cast<u32>(strings.size());
        strings += s + '\0';
        return at;
    }
    static u32 info(btf_kind k, u32 vlen = 0, bool kflag = false) {
        return static_cast<u32>(k) << 24 | vlen | (kflag ? 1u << 31 : 0);
    }
    u32 type(const std::string &name, u32 info_word, u32 size_or_type, std::vector<u32> tail = {}) {
        words.insert(words.end(), {str(name), info_word, size_or_type});
        words.insert(words.end(), tail.begin(), tail.end());
        return ++count;
    }
    u32 integer(const std::string &name, u32 size, u32 data) { return type(name, info(btf_kind::integer), size, {data}); }
    u32 int32() { return integer("int", 4, BTF_INT_SIGNED << 24 | 32); }
    u32 refer(btf_kind k, u32 to, const std::string &name = "") { return type(name, info(k), to); }
    u32 array(u32 elem, u32 index, u32 n) { return type("", info(btf_kind::array), 0, {elem, index, n}); }
    /// members: name, type, offset.
    struct member {
        std::string name;
        u32 type, offset;
    };
    u32 composite(btf_kind k, const std::string &name, u32 size, const std::vector<member> &members, bool kflag = false) {
        std::vector<u32> tail;
        for (const member &m : members)
            tail.insert(tail.end(), {str(m.name), m.type, m.offset});
        return type(name, info(k, static_cast<u32>(members.size()), kflag), size, tail);
    }
    u32 proto(u32 ret, const std::vector<member> &params) {
        std::vector<u32> tail;
        for (const member &m : params)
            tail.insert(tail.end(), {str(m.name), m.type});
        return type("", info(btf_kind::func_proto, static_cast<u32>(params.size())), ret, tail);
    }
    u32 func(const std::string &name, u32 proto_id, u32 linkage = BTF_FUNC_GLOBAL) {
        return type(name, info(btf_kind::func, linkage), proto_id);
    }

    std::vector<u8> bytes() {
        hdr.type_len = static_cast<u32>(words.size() * 4);
        hdr.str_off = hdr.type_len;
        hdr.str_len = static_cast<u32>(strings.size());
        std::vector<u8> out(sizeof(hdr) + hdr.type_len + hdr.str_len);
        memcpy(out.data(), &hdr, sizeof(hdr));
        if (hdr.type_len)
            memcpy(out.data() + sizeof(hdr), words.data(), hdr.type_len);
        memcpy(out.data() + sizeof(hdr) + hdr.type_len, strings.data(), hdr.str_len);
        return out;
    }
};

/// What BTF_LOAD answers: errno (0 when accepted), the log, and the object.
struct btf_answer {
    int err;
    std::string log;
    ref<btf> types;
};
inline btf_answer load_btf(const std::vector<u8> &bytes, u32 level = BPF_LOG_LEVEL1) {
    static char text[1 << 22];
    verifier_log log;
    text[0] = 0;
    status s = log.init(level, level ? addr_of(text) : 0, level ? sizeof(text) : 0);
    vec<u8> data;
    if (s.ok())
        s = data.resize(bytes.size());
    if (!s.ok())
        return {-s.code(), "", {}};
    if (!bytes.empty())
        memcpy(data.data(), bytes.data(), bytes.size());
    auto r = btf::parse(move(data), log);
    u32 size;
    if (!log.finalize(&size).ok())
        return {ENOSPC, text, {}};
    if (!r.ok())
        return {-r.code(), text, {}};
    return {0, text, move(r).value()};
}

}  // namespace modbpf
