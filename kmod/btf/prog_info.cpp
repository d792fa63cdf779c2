// SPDX-License-Identifier: GPL-2.0-only
#include "btf/prog_info.h"

#include "btf/btf.h"
#include "btf/format.h"

namespace modbpf {
namespace {

constexpr u32 max_rec_size = 252;

/// Copies record `i` into *out, zero-filling what it lacks. False: it has non-zero bytes behind what modbpf knows.
template <class T> bool take_record(const raw_records &raw, u32 i, T *out) {
    const u8 *p = raw.bytes.data() + static_cast<size_t>(i) * raw.rec_size;
    for (u32 k = sizeof(T); k < raw.rec_size; k++)
        if (p[k])
            return false;
    memcpy(out, p, min<size_t>(sizeof(T), raw.rec_size));
    return true;
}

bool complete(const raw_records &raw) { return static_cast<u64>(raw.count) * raw.rec_size <= raw.bytes.size(); }

status check_func_record(const func_info &f, const func_info *prev, const btf &types, verifier_log &log) {
    if (!prev && f.insn_off) {
        log.printf("nonzero insn_off %u for the first func info record", f.insn_off);
        return error(EINVAL);
    }
    if (prev && f.insn_off <= prev->insn_off) {
        log.printf("same or smaller insn offset (%u) than previous func info record (%u)", f.insn_off, prev->insn_off);
        return error(EINVAL);
    }
    const btf_type *t = types.type(f.type_id);
    if (!t || t->kind() != btf_kind::func) {
        log.printf("invalid type id %d in func info", static_cast<s32>(f.type_id));
        return error(EINVAL);
    }
    const btf_type *proto = types.type(t->size_or_type);
    if (!proto || proto->kind() != btf_kind::func_proto)
        return error(EINVAL);
    return {};
}

/// An integer of at most 8 bytes or an enumeration.
bool returns_scalar(const btf &types, u32 func_id) {
    const btf_type *proto = types.type(types.type(func_id)->size_or_type);
    const btf_type *ret = types.type(types.skip_modifiers(proto->size_or_type));
    return ret && (ret->is_enum() || (ret->kind() == btf_kind::integer && ret->size_or_type <= 8));
}

status check_line_record(const line_info &l, u32 i, u32 prev, const btf &types, span<const bpf_insn> insns,
                         verifier_log &log) {
    u32 len = static_cast<u32>(insns.size());
    if ((i && l.insn_off <= prev) || l.insn_off >= len) {
        log.printf("Invalid line_info[%u].insn_off:%u (prev_offset:%u prog->len:%u)\n", i, l.insn_off, prev, len);
        return error(EINVAL);
    }
    if (!insns[l.insn_off].code) { // the second half of a 64-bit immediate load
        log.printf("Invalid insn code at line_info[%u].insn_off\n", i);
        return error(EINVAL);
    }
    if (!types.string(l.line_off) || !types.string(l.file_name_off)) {
        log.printf("Invalid line_info[%u].line_off or .file_name_off\n", i);
        return error(EINVAL);
    }
    return {};
}

}  // namespace

status func_info_rec_size_check(u32 rec_size, verifier_log &log) {
    if (rec_size < sizeof(func_info) || rec_size > max_rec_size || rec_size % sizeof(u32)) {
        log.printf("invalid func info rec size %u\n", rec_size);
        return error(EINVAL);
    }
    return {};
}

status line_info_rec_size_check(u32 count, u32 rec_size) {
    if (count > 0x7fffffff / sizeof(line_info) || rec_size < sizeof(line_info) || rec_size > max_rec_size || rec_size & 3)
        return error(EINVAL);
    return {};
}

result<vec<func_info>> func_info_parse(const raw_records &raw, const btf &types, verifier_log &log) {
    TRY(func_info_rec_size_check(raw.rec_size, log));
    if (!complete(raw))
        return error(EFAULT);
    vec<func_info> funcs;
    TRY(funcs.reserve(raw.count));
    for (u32 i = 0; i < raw.count; i++) {
        func_info f{};
        if (!take_record(raw, i, &f)) {
            log.printf("nonzero tailing record in func info");
            return error(E2BIG);
        }
        TRY(check_func_record(f, i ? &funcs.back() : nullptr, types, log));
        TRY(funcs.push(f));
    }
    return funcs;
}

status func_info_check(span<const func_info> funcs, const btf &types, span<const subprog_facts> subprogs, verifier_log &log) {
    if (funcs.size() != subprogs.size()) {
        log.printf("number of funcs in func_info doesn't match number of subprogs\n");
        return error(EINVAL);
    }
    for (size_t i = 0; i < funcs.size(); i++) {
        if (funcs[i].insn_off != subprogs[i].start) {
            log.printf("func_info BTF section doesn't match subprog layout in BPF program\n");
            return error(EINVAL);
        }
        bool scalar = returns_scalar(types, funcs[i].type_id);
        if (i && !scalar && subprogs[i].has_ld_abs) {
            log.printf("LD_ABS is only allowed in functions that return 'int'.\n");
            return error(EINVAL);
        }
        if (i && !scalar && subprogs[i].has_tail_call) {
            log.printf("tail_call is only allowed in functions that return 'int'.\n");
            return error(EINVAL);
        }
    }
    return {};
}

status func_info_absent_check(span<const subprog_facts> subprogs, verifier_log &log) {
    for (size_t i = 1; i < subprogs.size(); i++) {
        if (subprogs[i].has_ld_abs) {
            log.printf("LD_ABS is not allowed in subprogs without BTF\n");
            return error(EINVAL);
        }
        if (subprogs[i].has_tail_call) {
            log.printf("tail_call is not allowed in subprogs without BTF\n");
            return error(EINVAL);
        }
    }
    return {};
}

result<vec<line_info>> line_info_parse(const raw_records &raw, const btf &types, span<const bpf_insn> insns, verifier_log &log) {
    vec<line_info> lines;
    if (!raw.count)
        return lines;
    TRY(line_info_rec_size_check(raw.count, raw.rec_size));
    if (!complete(raw))
        return error(EFAULT);
    TRY(lines.reserve(raw.count));
    for (u32 i = 0; i < raw.count; i++) {
        line_info l{};
        if (!take_record(raw, i, &l)) {
            log.printf("nonzero tailing record in line_info");
            return error(E2BIG);
        }
        TRY(check_line_record(l, i, i ? lines.back().insn_off : 0, types, insns, log));
        TRY(lines.push(l));
    }
    return lines;
}

status line_info_check(span<const line_info> lines, span<const subprog_facts> subprogs, verifier_log &log) {
    u32 sub = 0, subs = static_cast<u32>(subprogs.size());
    for (const line_info &l : lines) {
        if (sub == subs)
            break;
        if (l.insn_off == subprogs[sub].start) {
            sub++;
        } else if (subprogs[sub].start < l.insn_off) {
            log.printf("missing bpf_line_info for func#%u\n", sub);
            return error(EINVAL);
        }
    }
    if (sub != subs) {
        log.printf("missing bpf_line_info for %u funcs starting from func#%u\n", subs - sub, sub);
        return error(EINVAL);
    }
    return {};
}

const line_info *line_info_find(span<const line_info> lines, u32 insn) {
    size_t lo = 0, hi = lines.size(); // the records below lo are at or before insn, those from hi on behind it
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (lines[mid].insn_off <= insn)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? &lines[lo - 1] : nullptr;
}

namespace {

/// The type that gives a size: modifiers and variables skipped.
const btf_type *sized_type(const btf &types, u32 id) {
    const btf_type *t = types.type(types.skip_modifiers(id));
    if (t && t->kind() == btf_kind::var)
        t = types.type(types.skip_modifiers(t->size_or_type));
    return t;
}

status check_array_types(const btf &types, u32 key_id, u32 value_id, const map_shape &map) {
    if (!key_id) {
        const btf_type *value = sized_type(types, value_id);
        bool section = value && value->kind() == btf_kind::datasec;
        if (map.map_type != BPF_MAP_TYPE_ARRAY || map.max_entries != 1 || !section)
            return error(EINVAL);
        return {};
    }
    const btf_type *key = sized_type(types, key_id);
    if (!key || key->kind() != btf_kind::integer)
        return error(EINVAL);
    const auto *i = types.tail<btf_int_data>(key);
    if (i->bits() != 32 || i->bit_offset())
        return error(EINVAL);
    return {};
}

enum class key_rule : u8 {
    required, ///< of any type
    optional, ///< of any type, or none
    array,    ///< a 32-bit number, or none in front of a section of variables
    number32,
    structure,
    cgroup,   ///< a cgroup's 64-bit number, alone or with a 32-bit attach type behind it
    none,     ///< no key
    no_btf,   ///< the map takes no types
};

struct type_rule {
    u32 map_type;
    key_rule rule;
};
constexpr type_rule type_rules[] = {
    {BPF_MAP_TYPE_ARRAY, key_rule::array},
    {BPF_MAP_TYPE_PERCPU_ARRAY, key_rule::array},
    {BPF_MAP_TYPE_HASH, key_rule::optional},
    {BPF_MAP_TYPE_PERCPU_HASH, key_rule::optional},
    {BPF_MAP_TYPE_ARENA, key_rule::optional},
    {BPF_MAP_TYPE_BLOOM_FILTER, key_rule::none},
    {BPF_MAP_TYPE_LPM_TRIE, key_rule::structure},
    {BPF_MAP_TYPE_SK_STORAGE, key_rule::number32},
    {BPF_MAP_TYPE_INODE_STORAGE, key_rule::number32},
    {BPF_MAP_TYPE_TASK_STORAGE, key_rule::number32},
    {BPF_MAP_TYPE_CGRP_STORAGE, key_rule::number32},
    {BPF_MAP_TYPE_CGROUP_STORAGE, key_rule::cgroup},
    {BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, key_rule::cgroup},
    {BPF_MAP_TYPE_PERF_EVENT_ARRAY, key_rule::no_btf},
    {BPF_MAP_TYPE_CGROUP_ARRAY, key_rule::no_btf},
    {BPF_MAP_TYPE_ARRAY_OF_MAPS, key_rule::no_btf},
    {BPF_MAP_TYPE_HASH_OF_MAPS, key_rule::no_btf},
    {BPF_MAP_TYPE_STACK_TRACE, key_rule::no_btf},
    {BPF_MAP_TYPE_DEVMAP, key_rule::no_btf},
    {BPF_MAP_TYPE_DEVMAP_HASH, key_rule::no_btf},
    {BPF_MAP_TYPE_CPUMAP, key_rule::no_btf},
    {BPF_MAP_TYPE_XSKMAP, key_rule::no_btf},
    {BPF_MAP_TYPE_SOCKMAP, key_rule::no_btf},
    {BPF_MAP_TYPE_SOCKHASH, key_rule::no_btf},
};

key_rule rule_of(u32 map_type) {
    for (const type_rule &r : type_rules)
        if (r.map_type == map_type)
            return r.rule;
    return key_rule::required;
}

/// A number of that many bits.
bool is_number(const btf &types, u32 id, u32 bits) {
    const btf_type *t = sized_type(types, id);
    return t && t->kind() == btf_kind::integer && types.tail<btf_int_data>(t)->bits() == bits &&
           !types.tail<btf_int_data>(t)->bit_offset();
}

/// struct bpf_cgroup_storage_key: a number of 64 bits, one of 32 behind it.
bool is_cgroup_key(const btf &types, const btf_type &key) {
    if (key.kind() != btf_kind::structure || key.vlen() != 2 || key.kind_flag())
        return false;
    const auto *m = types.tail<btf_member>(&key);
    return m[0].offset == 0 && is_number(types, m[0].type, 64) && m[1].offset == 64 &&
           is_number(types, m[1].type, 32);
}

/// Is the key, of the map's size, of a type that maps of this kind take?
bool key_suits(const btf &types, u32 key_id, key_rule rule, u32 key_size) {
    const btf_type *key = key_id ? sized_type(types, key_id) : nullptr;
    switch (rule) {
    case key_rule::required: return key;
    case key_rule::none: return !key;
    case key_rule::number32: return key && is_number(types, key_id, 32);
    case key_rule::structure: return key && key->kind() == btf_kind::structure;
    case key_rule::cgroup: return key && (key_size == 8 ? is_number(types, key_id, 64) : is_cgroup_key(types, *key));
    default: return true;
    }
}

}  // namespace

status btf_check_key_value(const btf &types, u32 key_id, u32 value_id, const map_shape &map) {
    key_rule rule = rule_of(map.map_type);
    u32 size;
    if (key_id ? !types.size_of(key_id, &size) || size != map.key_size : rule == key_rule::required)
        return error(EINVAL);
    if (!types.size_of(value_id, &size) || size != map.value_size)
        return error(EINVAL);
    if (rule == key_rule::no_btf)
        return error(ENOTSUPP);
    if (rule == key_rule::array)
        return check_array_types(types, key_id, value_id, map);
    return key_suits(types, key_id, rule, map.key_size) ? status() : status(error(EINVAL));
}

}  // namespace modbpf
