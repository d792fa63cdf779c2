// SPDX-License-Identifier: GPL-2.0-only
// Reading maps by their types.
#include "loader/cli/maps.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cstring>

namespace cli {

namespace {

const struct btf_type *resolve(const struct btf *btf, __u32 id) {
    id = btf && id ? skip_modifiers(btf, id) : 0;
    return id ? btf__type_by_id(btf, id) : nullptr;
}

bool is_integer_size(size_t n) { return n == 1 || n == 2 || n == 4 || n == 8; }

slot_layout find_slots(const map_view &v) {
    const struct btf_type *t = resolve(v.btf, v.value_type);
    slot_layout out;
    if (t && btf_is_struct(t)) {
        const struct btf_member *m = btf_members(t);
        __u32 i = 0;
        while (i < btf_vlen(t)) {
            const char *name = btf__name_by_offset(v.btf, m[i].name_off);
            if (name && !strcmp(name, "slots"))
                break;
            i++;
        }
        if (i == btf_vlen(t))
            return {};
        out.offset = btf_member_bit_offset(t, i) / 8;
        t = resolve(v.btf, m[i].type);
    }
    if (!t || !btf_is_array(t))
        return {};
    long long unit = btf__resolve_size(v.btf, btf_array(t)->type);
    const struct btf_type *element = resolve(v.btf, btf_array(t)->type);
    out.count = btf_array(t)->nelems;
    out.unit = static_cast<size_t>(unit);
    bool fits = (unit == 4 || unit == 8) && out.count <= 4096 && out.offset + out.unit * out.count <= v.value_size;
    return fits && element && btf_is_int(element) ? out : slot_layout{};
}

slot_layout find_rank(const map_view &v) {
    if (is_number(v, v.value_type, v.value_size))
        return {0, v.value_size, 1};
    const struct btf_type *t = resolve(v.btf, v.value_type);
    for (__u32 i = 0; t && btf_is_struct(t) && i < btf_vlen(t); i++) {
        const struct btf_type *m = resolve(v.btf, btf_members(t)[i].type);
        size_t at = btf_member_bit_offset(t, i) / 8;
        if (m && btf_is_int(m) && !btf_member_bitfield_size(t, i) && is_integer_size(m->size) && at + m->size <= v.value_size)
            return {at, m->size, 1};
    }
    return {};
}

} // namespace

map_view view_of(struct bpf_object *o, struct bpf_map *m) {
    map_view v = {};
    v.map = m;
    v.btf = bpf_object__btf(o);
    v.name = bpf_map__name(m);
    v.type = bpf_map__type(m);
    v.key_size = bpf_map__key_size(m);
    v.value_size = bpf_map__value_size(m);
    v.key_type = v.btf ? bpf_map__btf_key_type_id(m) : 0;
    v.value_type = v.btf ? bpf_map__btf_value_type_id(m) : 0;
    v.percpu = v.type == BPF_MAP_TYPE_PERCPU_ARRAY || v.type == BPF_MAP_TYPE_PERCPU_HASH || v.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    int cpus = libbpf_num_possible_cpus();
    v.cpus = v.percpu && cpus > 0 ? static_cast<size_t>(cpus) : 1;
    v.stride = v.percpu ? (v.value_size + 7) & ~7u : v.value_size;
    v.slots = find_slots(v);
    v.rank = find_rank(v);
    return v;
}

bool is_hash(const map_view &v) {
    return v.type == BPF_MAP_TYPE_HASH || v.type == BPF_MAP_TYPE_PERCPU_HASH || v.type == BPF_MAP_TYPE_LRU_HASH ||
           v.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
bool is_array(const map_view &v) { return v.type == BPF_MAP_TYPE_ARRAY || v.type == BPF_MAP_TYPE_PERCPU_ARRAY; }

std::vector<map_entry> read_all(const map_view &v, size_t most) {
    std::vector<map_entry> out;
    std::vector<unsigned char> key(v.key_size), next(v.key_size), value(v.stride * v.cpus);
    int fd = bpf_map__fd(v.map);
    void *from = nullptr;
    // A key that is deleted between two calls restarts the walk; the bound ends it.
    while (out.size() < most && bpf_map_get_next_key(fd, from, next.data()) == 0) {
        if (bpf_map_lookup_elem(fd, next.data(), value.data()) == 0)
            out.push_back({next, value});
        key = next;
        from = key.data();
    }
    return out;
}

__u64 load_number(const unsigned char *p, size_t n) {
    __u64 v = 0;
    memcpy(&v, p, std::min<size_t>(n, 8));
    return v;
}

bool is_number(const map_view &v, __u32 type, size_t size) {
    const struct btf_type *t = resolve(v.btf, type);
    return is_integer_size(size) && (t ? btf_is_int(t) : size >= 4);
}

__u64 rank_of(const map_view &v, const map_entry &e) {
    __u64 sum = 0;
    for (size_t c = 0; v.rank.count && c < v.cpus; c++)
        sum += load_number(e.value.data() + c * v.stride + v.rank.offset, v.rank.unit);
    return sum;
}

bool is_zero(const map_entry &e) {
    return std::all_of(e.value.begin(), e.value.end(), [](unsigned char b) { return b == 0; });
}

void sort_by_rank(const map_view &v, std::vector<map_entry> &entries) {
    std::stable_sort(entries.begin(), entries.end(), [&](const map_entry &a, const map_entry &b) { return rank_of(v, a) > rank_of(v, b); });
}

std::string key_text(const map_view &v, const map_entry &e) {
    if (v.key_type)
        return format_value(v.btf, v.key_type, e.key.data(), e.key.size());
    if (v.key_size == 4 || v.key_size == 8)
        return std::to_string(load_number(e.key.data(), v.key_size));
    return format_bytes(e.key.data(), e.key.size());
}

std::string value_text(const map_view &v, const map_entry &e) {
    if (is_number(v, v.value_type, v.value_size))
        return v.percpu || !v.value_type ? std::to_string(rank_of(v, e))
                                         : format_value(v.btf, v.value_type, e.value.data(), v.value_size);
    std::string out;
    for (size_t c = 0; c < v.cpus; c++) {
        const unsigned char *p = e.value.data() + c * v.stride;
        if (v.percpu && std::all_of(p, p + v.value_size, [](unsigned char b) { return b == 0; }))
            continue;
        if (v.percpu)
            out += (out.empty() ? "cpu" : " cpu") + std::to_string(c) + ": ";
        out += v.value_type ? format_value(v.btf, v.value_type, p, v.value_size) : format_bytes(p, v.value_size);
    }
    return out;
}

std::string entry_json(const map_view &v, const map_entry &e) {
    std::string value;
    if (v.percpu && is_number(v, v.value_type, v.value_size)) {
        value = std::to_string(rank_of(v, e));
    } else {
        for (size_t c = 0; c < v.cpus; c++)
            value += (c ? ", " : "") + json_value(v.btf, v.value_type, e.value.data() + c * v.stride, v.value_size);
        if (v.percpu)
            value = "[" + value + "]";
    }
    return "\"key\": " + json_value(v.btf, v.key_type, e.key.data(), e.key.size()) + ", \"value\": " + value;
}

} // namespace cli
