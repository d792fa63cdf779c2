// SPDX-License-Identifier: GPL-2.0-only
// First look at every word: opcodes, and the maps behind 64-bit immediate loads.
#include "verifier/btf_ksym.h"

namespace modbpf {

namespace {

/// -> index in e.maps of the map behind fd.
result<u32> use_map(env &e, int fd) {
    auto found = e.req.map_from_fd(fd);
    if (!found.ok()) {
        verbose(e, "fd %d is not pointing to valid bpf_map\n", fd);
        return found.err();
    }
    ref<map> m = move(found).value();
    for (u32 i = 0; i < e.maps.size(); i++)
        if (e.maps[i].get() == m.get())
            return i;
    if (e.maps.size() >= max_used_maps) {
        verbose(e, "The total number of maps per program has reached the limit of %u\n", max_used_maps);
        return fail(E2BIG);
    }
    TRY(e.maps.push(move(m)));
    return static_cast<u32>(e.maps.size() - 1);
}

status resolve_map(env &e, u32 i) {
    const bpf_insn &in = e.insns[i];
    int fd = in.imm;
    if (in.src_reg == BPF_PSEUDO_MAP_IDX || in.src_reg == BPF_PSEUDO_MAP_IDX_VALUE) {
        if (!e.req.fd_array) {
            verbose(e, "fd_idx without fd_array is invalid\n");
            return fail(EPROTO);
        }
        if (port_copy_from_user(&fd, e.req.fd_array + static_cast<u64>(static_cast<s64>(in.imm) * 4), sizeof(fd)))
            return fail(EFAULT);
    }
    u32 known = static_cast<u32>(e.maps.size());
    u32 index = TRY(use_map(e, fd));
    map *m = e.maps[index].get();
    e.aux[i].map_index = index;
    TRY(check_map_for_program(e, *m));
    if (in.src_reg == BPF_PSEUDO_MAP_FD || in.src_reg == BPF_PSEUDO_MAP_IDX)
        return index < known ? status() : check_new_map(e, *m);
    u32 off = static_cast<u32>(e.insns[i + 1].imm);
    if (off >= static_cast<u32>(max_var_off)) {
        verbose(e, "direct value offset of %u is not allowed\n", off);
        return fail(EINVAL);
    }
    if (!m->ops->value_address) {
        verbose(e, "no direct value access support for this map type\n");
        return fail(EINVAL);
    }
    auto addr = m->ops->value_address(m, off);
    if (!addr.ok()) {
        verbose(e, "invalid access to map value pointer, value_size=%u off=%u\n", m->params.value_size, off);
        return addr.err();
    }
    e.aux[i].map_off = off;
    return index < known ? status() : check_new_map(e, *m);
}

}  // namespace

status resolve_loads(env &e) {
    for (u32 i = 0; i < e.count(); i++) {
        if (refusal r = check_load(e.code(), i)) {
            verbose(e, "%s", r.text);
            return fail(r.err);
        }
        const bpf_insn &in = e.insns[i];
        if (in.code != (BPF_LD | BPF_IMM | BPF_DW))
            continue;
        if (in.src_reg == BPF_PSEUDO_BTF_ID) {
            TRY(resolve_ksym(e, i));
        } else if (in.src_reg && in.src_reg != BPF_PSEUDO_FUNC) {
            TRY(resolve_map(e, i));
        }
        i++;
    }
    return {};
}

}  // namespace modbpf
