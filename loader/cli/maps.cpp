// SPDX-License-Identifier: GPL-2.0-only
// Maps as text when a run ends: histograms, tables, global variables.
#include "loader/cli/cli.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cstdio>
#include <cstring>

namespace cli {

namespace {

constexpr size_t max_rows = 40;
constexpr size_t max_read = 10000;

struct entry {
    std::vector<unsigned char> key, value; ///< per-CPU maps: the values of all CPUs, each on 8 bytes
};

struct map_view {
    struct bpf_map *map;
    const struct btf *btf;
    std::string name;
    enum bpf_map_type type;
    __u32 key_size, value_size, key_type, value_type;
    bool percpu;
    size_t cpus;
    size_t stride; ///< of one CPU's value
};

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
    return v;
}

bool is_hash(const map_view &v) {
    return v.type == BPF_MAP_TYPE_HASH || v.type == BPF_MAP_TYPE_PERCPU_HASH || v.type == BPF_MAP_TYPE_LRU_HASH ||
           v.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
bool is_array(const map_view &v) { return v.type == BPF_MAP_TYPE_ARRAY || v.type == BPF_MAP_TYPE_PERCPU_ARRAY; }

std::vector<entry> read_all(const map_view &v) {
    std::vector<entry> out;
    std::vector<unsigned char> key(v.key_size), next(v.key_size), value(v.stride * v.cpus);
    int fd = bpf_map__fd(v.map);
    void *from = nullptr;
    // A key that is deleted between two calls restarts the walk; the bound ends it.
    while (out.size() < max_read && bpf_map_get_next_key(fd, from, next.data()) == 0) {
        if (bpf_map_lookup_elem(fd, next.data(), value.data()) == 0)
            out.push_back({next, value});
        key = next;
        from = key.data();
    }
    return out;
}

__u64 load(const unsigned char *p, size_t n) {
    __u64 v = 0;
    memcpy(&v, p, std::min<size_t>(n, 8));
    return v;
}

/// The type is an integer (or unknown, of 4 or 8 bytes).
bool is_number(const map_view &v, __u32 type, size_t size) {
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return false;
    __u32 id = type ? skip_modifiers(v.btf, type) : 0;
    const struct btf_type *t = id ? btf__type_by_id(v.btf, id) : nullptr;
    return t ? btf_is_int(t) : size >= 4;
}

/// Counts inside a value: an array of integers, or a structure's member `slots`. Null when the value is none.
struct slot_layout {
    size_t offset, unit, count;
};
bool find_slots(const map_view &v, slot_layout &out) {
    __u32 id = v.value_type ? skip_modifiers(v.btf, v.value_type) : 0;
    const struct btf_type *t = id ? btf__type_by_id(v.btf, id) : nullptr;
    out.offset = 0;
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
            return false;
        out.offset = btf_member_bit_offset(t, i) / 8;
        id = skip_modifiers(v.btf, m[i].type);
        t = id ? btf__type_by_id(v.btf, id) : nullptr;
    }
    if (!t || !btf_is_array(t))
        return false;
    long long unit = btf__resolve_size(v.btf, btf_array(t)->type);
    out.count = btf_array(t)->nelems;
    out.unit = static_cast<size_t>(unit);
    return (unit == 4 || unit == 8) && out.count <= 4096 && out.offset + out.unit * out.count <= v.value_size;
}

__u64 sum_cpus(const map_view &v, const entry &e) {
    __u64 sum = 0;
    for (size_t c = 0; c < v.cpus; c++)
        sum += load(e.value.data() + c * v.stride, v.value_size);
    return sum;
}

std::string key_text(const map_view &v, const entry &e) {
    if (v.key_type)
        return format_value(v.btf, v.key_type, e.key.data(), e.key.size());
    if (v.key_size == 4 || v.key_size == 8)
        return std::to_string(load(e.key.data(), v.key_size));
    return format_bytes(e.key.data(), e.key.size());
}

std::string value_text(const map_view &v, const entry &e) {
    if (is_number(v, v.value_type, v.value_size))
        return v.percpu || !v.value_type ? std::to_string(sum_cpus(v, e))
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

std::string lower(std::string s) {
    for (char &c : s)
        c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return s;
}

std::string unit_of(const std::string &name) {
    std::string n = lower(name);
    return n.find("usec") != std::string::npos || n.find("_us") != std::string::npos   ? "usecs"
           : n.find("nsec") != std::string::npos || n.find("_ns") != std::string::npos ? "nsecs"
           : n.find("msec") != std::string::npos || n.find("_ms") != std::string::npos ? "msecs"
           : n.find("bytes") != std::string::npos                                        ? "bytes"
                                                                                         : "value";
}

/// True when the map was a histogram and has been printed.
bool print_histogram(const map_view &v, const std::vector<entry> &entries) {
    slot_layout layout;
    if (find_slots(v, layout)) {
        for (const entry &e : entries) {
            std::vector<__u64> slots(layout.count);
            for (size_t c = 0; c < v.cpus; c++)
                for (size_t i = 0; i < layout.count; i++)
                    slots[i] += load(e.value.data() + c * v.stride + layout.offset + i * layout.unit, layout.unit);
            std::string text = format_histogram(slots, unit_of(v.name));
            if (!text.empty())
                printf("\n%s[%s]\n%s", v.name.c_str(), key_text(v, e).c_str(), text.c_str());
        }
        return true;
    }
    if (v.key_size != 4 && v.key_size != 8)
        return false;
    if (!is_number(v, v.key_type, v.key_size) || !is_number(v, v.value_type, v.value_size))
        return false;
    std::vector<__u64> slots;
    for (const entry &e : entries) {
        __u64 slot = load(e.key.data(), v.key_size);
        if (slot >= 64)
            return false; // not powers of two
        if (slots.size() <= slot)
            slots.resize(slot + 1);
        slots[slot] += sum_cpus(v, e);
    }
    std::string text = format_histogram(slots, unit_of(v.name));
    printf("\n%s\n%s", v.name.c_str(), text.empty() ? "  (empty)\n" : text.c_str());
    return true;
}

void print_table(const map_view &v, std::vector<entry> entries) {
    bool numbers = is_number(v, v.value_type, v.value_size);
    if (is_array(v))
        std::erase_if(entries, [](const entry &e) {
            return std::all_of(e.value.begin(), e.value.end(), [](unsigned char b) { return b == 0; });
        });
    else if (numbers)
        std::stable_sort(entries.begin(), entries.end(),
                         [&](const entry &a, const entry &b) { return sum_cpus(v, a) > sum_cpus(v, b); });
    if (entries.empty())
        return;
    printf("\n%s (%zu %s)\n", v.name.c_str(), entries.size(), entries.size() == 1 ? "entry" : "entries");
    size_t rows = std::min(entries.size(), max_rows), width = 0;
    std::vector<std::string> keys;
    for (size_t i = 0; i < rows; i++) {
        keys.push_back(key_text(v, entries[i]));
        width = std::max(width, std::min<size_t>(keys.back().size(), 60));
    }
    for (size_t i = 0; i < rows; i++)
        printf("  %-*s  %s\n", static_cast<int>(width), keys[i].c_str(), value_text(v, entries[i]).c_str());
    if (entries.size() > rows)
        printf("  ... %zu more; modbpf exec -- bpftool map dump shows all while the programs are loaded\n", entries.size() - rows);
}

/// .bss and .data: each variable that the section's BTF names and that is not zero.
void print_variables(const map_view &v) {
    const struct btf_type *sec = v.value_type ? btf__type_by_id(v.btf, v.value_type) : nullptr;
    std::vector<unsigned char> value(v.value_size);
    __u32 zero = 0;
    if (!sec || !btf_is_datasec(sec) || bpf_map_lookup_elem(bpf_map__fd(v.map), &zero, value.data()))
        return;
    const struct btf_var_secinfo *s = btf_var_secinfos(sec);
    bool headed = false;
    for (__u32 i = 0; i < btf_vlen(sec); i++) {
        const struct btf_type *var = btf__type_by_id(v.btf, s[i].type);
        const char *name = var && btf_is_var(var) ? btf__name_by_offset(v.btf, var->name_off) : nullptr;
        if (!name || !strncmp(name, "unused", 6) || s[i].offset > value.size() || s[i].size > value.size() - s[i].offset)
            continue;
        const unsigned char *p = value.data() + s[i].offset;
        if (std::all_of(p, p + s[i].size, [](unsigned char b) { return b == 0; }))
            continue;
        if (!headed)
            puts("\nglobal variables");
        headed = true;
        printf("  %s = %s\n", name, format_value(v.btf, var->type, p, s[i].size).c_str());
    }
}

} // namespace

std::string format_histogram(const std::vector<__u64> &slots, std::string_view unit) {
    size_t first = slots.size(), last = 0, width = 40;
    __u64 most = 0;
    for (size_t i = 0; i < slots.size(); i++)
        if (slots[i]) {
            first = std::min(first, i);
            last = i + 1;
            most = std::max(most, slots[i]);
        }
    if (!most)
        return "";
    char line[160];
    snprintf(line, sizeof(line), "%26.*s : count      distribution\n", static_cast<int>(unit.size()), unit.data());
    std::string out = line;
    for (size_t i = first; i < last; i++) {
        unsigned long long low = i ? 1ull << (i > 63 ? 63 : i) : 0, high = i >= 63 ? ~0ull : (2ull << i) - 1;
        size_t stars = static_cast<size_t>(static_cast<double>(slots[i]) / static_cast<double>(most) * static_cast<double>(width));
        if (slots[i] && !stars)
            stars = 1; // seen is not nothing
        snprintf(line, sizeof(line), "%11llu -> %-11llu : %-10llu |%-40s|\n", low, high, static_cast<unsigned long long>(slots[i]),
                 std::string(std::min(stars, width), '*').c_str());
        out += line;
    }
    return out;
}

void print_maps(struct bpf_object *object) {
    struct bpf_map *m;
    bpf_object__for_each_map(m, object) {
        map_view v = view_of(object, m);
        if (bpf_map__fd(m) < 0)
            continue;
        if (bpf_map__is_internal(m)) {
            if (v.type == BPF_MAP_TYPE_ARRAY && (v.name.ends_with(".bss") || v.name.ends_with(".data")))
                print_variables(v);
            continue;
        }
        if (!is_hash(v) && !is_array(v))
            continue;
        std::vector<entry> entries = read_all(v);
        bool done = lower(v.name).find("hist") != std::string::npos && print_histogram(v, entries);
        if (!done && (is_hash(v) || bpf_map__max_entries(m) <= 256))
            print_table(v, std::move(entries));
    }
}

} // namespace cli
