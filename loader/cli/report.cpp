// SPDX-License-Identifier: GPL-2.0-only
// Maps when a run ends: histograms, tables, global variables; for people, and as JSON.
#include "loader/cli/maps.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cstdio>
#include <cstring>

namespace cli {

namespace {

constexpr size_t max_rows = 40;

void print_table(const map_view &v, std::vector<map_entry> entries) {
    if (is_array(v))
        std::erase_if(entries, is_zero);
    else
        sort_by_rank(v, entries);
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

/// Of .bss and .data: each variable that the section's BTF names and that is not zero. `all`: the others, too.
struct variable {
    const char *name;
    __u32 type, size;
    const unsigned char *data; ///< in `value`
};
std::vector<variable> read_variables(const map_view &v, std::vector<unsigned char> &value, bool all) {
    const struct btf_type *sec = v.value_type ? btf__type_by_id(v.btf, v.value_type) : nullptr;
    std::vector<variable> out;
    __u32 zero = 0;
    value.resize(v.value_size);
    if (!sec || !btf_is_datasec(sec) || bpf_map_lookup_elem(bpf_map__fd(v.map), &zero, value.data()))
        return out;
    const struct btf_var_secinfo *s = btf_var_secinfos(sec);
    for (__u32 i = 0; i < btf_vlen(sec); i++) {
        const struct btf_type *var = btf__type_by_id(v.btf, s[i].type);
        const char *name = var && btf_is_var(var) ? btf__name_by_offset(v.btf, var->name_off) : nullptr;
        if (!name || !strncmp(name, "unused", 6) || s[i].offset > value.size() || s[i].size > value.size() - s[i].offset)
            continue;
        const unsigned char *p = value.data() + s[i].offset;
        if (all || !std::all_of(p, p + s[i].size, [](unsigned char b) { return b == 0; }))
            out.push_back({name, var->type, s[i].size, p});
    }
    return out;
}

/// What a run reports of a map at its end, one of these three.
enum class part { none, variables, entries };
part part_of(const map_view &v) {
    if (bpf_map__fd(v.map) < 0)
        return part::none;
    if (bpf_map__is_internal(v.map))
        return v.type == BPF_MAP_TYPE_ARRAY && (v.name.ends_with(".bss") || v.name.ends_with(".data")) ? part::variables : part::none;
    return is_hash(v) || is_array(v) ? part::entries : part::none;
}

map_shape shape_of(const map_view &v, const named_shape &chosen) {
    return v.name == chosen.map && chosen.as.kind != shape::by_name ? chosen.as : shape_by_name(v.name);
}

bool is_small(const map_view &v) { return is_hash(v) || bpf_map__max_entries(v.map) <= 256; }

} // namespace

void print_maps(struct bpf_object *object, const named_shape &chosen) {
    struct bpf_map *m;
    std::vector<unsigned char> value;
    bpf_object__for_each_map(m, object) {
        map_view v = view_of(object, m);
        part what = part_of(v);
        if (what == part::variables) {
            std::vector<variable> variables = read_variables(v, value, false);
            if (!variables.empty())
                puts("\nglobal variables");
            for (const variable &one : variables)
                printf("  %s = %s\n", one.name, format_value(v.btf, one.type, one.data, one.size).c_str());
        } else if (what == part::entries) {
            std::vector<map_entry> entries = read_all(v);
            std::vector<histogram> histograms;
            map_shape as = shape_of(v, chosen);
            if (find_histograms(v, as, entries, histograms))
                fputs(histogram_text(v, as, histograms).c_str(), stdout);
            else if (is_small(v))
                print_table(v, std::move(entries));
        }
    }
}

std::string json_maps(struct bpf_object *object, const named_shape &chosen) {
    struct bpf_map *m;
    std::vector<unsigned char> value;
    std::string out;
    bpf_object__for_each_map(m, object) {
        map_view v = view_of(object, m);
        part what = part_of(v);
        std::string text;
        if (what == part::variables) {
            for (const variable &one : read_variables(v, value, true))
                text += (text.empty() ? "" : ", ") + json_string(one.name) + ": " + json_value(v.btf, one.type, one.data, one.size);
            text = "{" + text + "}";
        } else if (what == part::entries) {
            std::vector<map_entry> entries = read_all(v);
            std::vector<histogram> histograms;
            map_shape as = shape_of(v, chosen);
            if (find_histograms(v, as, entries, histograms)) {
                text = histogram_json(as, histograms);
            } else if (is_small(v)) {
                for (const map_entry &e : entries)
                    if (!is_array(v) || !is_zero(e))
                        text += (text.empty() ? "{" : ", {") + entry_json(v, e) + "}";
                text = "[" + text + "]";
            }
        }
        if (!text.empty())
            out += (out.empty() ? "" : ", ") + json_string(v.name) + ": " + text;
    }
    return out;
}

} // namespace cli
