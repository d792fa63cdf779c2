// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cstring>
#include <vector>

/// The object's zero-initialised variables, by name.
struct variables {
    int fd, zero = 0;
    const btf *types;
    std::vector<char> bytes;

    explicit variables(bpf_object *o) : types(bpf_object__btf(o)) {
        bpf_map *m = bpf_object__find_map_by_name(o, ".bss");
        fd = m ? bpf_map__fd(m) : -1;
        bytes.resize(m ? bpf_map__value_size(m) : 0);
    }
    char *at(const char *name) {
        const btf_type *t = btf__type_by_id(types, btf__find_by_name_kind(types, ".bss", BTF_KIND_DATASEC));
        for (unsigned i = 0; t && i < btf_vlen(t); i++) {
            const btf_var_secinfo *v = btf_var_secinfos(t) + i;
            if (!strcmp(btf__name_by_offset(types, btf__type_by_id(types, v->type)->name_off), name))
                return bytes.data() + v->offset;
        }
        return nullptr;
    }
    template <class T> T get(const char *name) {
        T v{};
        char *p = at(name);
        if (p && !bpf_map_lookup_elem(fd, &zero, bytes.data()))
            memcpy(&v, p, sizeof(v));
        return v;
    }
    template <class T> void set(const char *name, T v) {
        char *p = at(name);
        if (!p || bpf_map_lookup_elem(fd, &zero, bytes.data()))
            return;
        memcpy(p, &v, sizeof(v));
        bpf_map_update_elem(fd, &zero, bytes.data(), 0);
    }
};
