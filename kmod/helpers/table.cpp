// SPDX-License-Identifier: GPL-2.0-only
// The table of helpers: the families' rows in order of ids, what must hold of each row, and the look-ups.
#include "isa/code.h"
#include "helpers/rows_core.h"
#include "helpers/rows_packet.h"
#include "helpers/rows_socket.h"
#include "helpers/rows_trace.h"

namespace modbpf {

namespace {

using namespace helper_rows;

constexpr u32 count = count_of(core_rows) + count_of(packet_rows) + count_of(socket_rows) + count_of(trace_rows);

/// All rows, sorted by id; those of an id stay in their order.
struct sorted_rows {
    helper_proto rows[count];
    constexpr sorted_rows() : rows{} {
        u32 starts[func_id_count + 1]{};
        each([&](const helper_proto &p) { starts[p.id + 1]++; });
        for (u32 id = 0; id < func_id_count; id++)
            starts[id + 1] += starts[id];
        each([&](const helper_proto &p) { rows[starts[p.id]++] = p; });
    }

private:
    template <class F> static constexpr void each(F &&f) {
        for (const auto &p : core_rows)
            f(p);
        for (const auto &p : packet_rows)
            f(p);
        for (const auto &p : socket_rows)
            f(p);
        for (const auto &p : trace_rows)
            f(p);
    }
};
constexpr sorted_rows sorted;
constexpr const helper_proto (&table)[count] = sorted.rows;

constexpr const char *names[func_id_count] = {
#define X(name, id) [id] = #name,
#include "helpers/names.def"
#undef X
};

/// First row of each id plus one; 0: no row. Rows of an id stand together.
struct row_index {
    u16 row[func_id_count]{};
    constexpr row_index() {
        for (u32 i = count; i--;)
            row[table[i].id] = static_cast<u16>(i + 1);
    }
};
constexpr row_index index;

constexpr bool is_size(arg_type a) { return a == const_size || a == const_size_or_zero; }
/// Memory whose size is the next argument.
constexpr bool is_mem(arg_type a) { return base_of(a) == mem && !has(a, type_flag::fixed_size); }
constexpr bool brings_map(arg_type a) { return a == const_map_ptr || base_of(a) == kptr || base_of(a) == timer; }

constexpr bool arg_is_sound(const helper_proto &p, u32 i, bool has_map) {
    arg_type a = p.args[i];
    if (is_mem(a) && (i == 4 || !is_size(p.args[i + 1])))
        return false; // memory without its size
    if (is_size(a) && (i == 0 || !is_mem(p.args[i - 1])))
        return false;
    if ((base_of(a) == map_key || base_of(a) == map_value) && !has_map)
        return false;
    if ((a != uninit_u64 && has(a, type_flag::fixed_size)) != (p.sizes[i] != 0))
        return false;
    if (has(a, type_flag::uninit) && !has(a, type_flag::write))
        return false;
    if (has(a, type_flag::rdonly) && has(a, type_flag::write))
        return false;
    // kptr_xchg's type is that of the kptr.
    return (base_of(a) == btf_id && base_of(p.args[0]) != kptr) == (p.btf_types[i] != nullptr);
}

constexpr bool row_is_sound(const helper_proto &p) {
    bool has_map = false, ended = false, sized = false, releases_one = false, calls = false, dyn = false, map_row = false;
    for (u32 i = 0; i < 5; i++) {
        arg_type a = p.args[i];
        if (a != arg_type::none && ended)
            return false; // a gap
        ended |= a == arg_type::none;
        if (!arg_is_sound(p, i, has_map) || (has(a, type_flag::release) && releases_one))
            return false;
        has_map |= a == const_map_ptr;
        map_row |= brings_map(a);
        sized |= is_size(a);
        releases_one |= has(a, type_flag::release);
        calls |= base_of(a) == func;
        dyn |= base_of(a) == dynptr;
    }
    if (((p.flags & helper_writes_map) && !has_map) || ((p.flags & helper_ret_len) && !sized))
        return false;
    if (map_row != (p.map_types != 0) || !p.prog_types || (p.prog_types & ~(base_progs | lirc_mode2)))
        return false;
    if ((base_of(p.ret) == ret::map_value || p.ret == ret::alloc_mem_or_null) && !has_map)
        return false;
    if (calls != ((p.flags & (helper_calls_back | helper_calls_later)) != 0) || (base_of(p.ret) == ret::dynptr_mem && !dyn))
        return false;
    if ((base_of(p.ret) == ret::btf_id && base_of(p.args[0]) != kptr) != (p.ret_btf != nullptr))
        return false;
    bool one_reference = ((p.flags & helper_acquires) != 0) + ((p.flags & helper_casts) != 0) + ((p.flags & helper_slices) != 0) <= 1;
    return one_reference && (!(p.flags & helper_changes_pkt) || p.args[0] == ctx);
}

constexpr bool table_is_sound() {
    for (u32 i = 0; i < count; i++)
        if (!row_is_sound(table[i]) || table[i].id >= func_id_count || (i && table[i].id < table[i - 1].id))
            return false;
    for (u32 id = 0; id < func_id_count; id++)
        if (!names[id] || (id && !index.row[id]))
            return false;
    return true;
}
static_assert(table_is_sound());

}  // namespace

const helper_proto *find_helper(u32 id, u32 prog_type, u32 attach_type) {
    if (id >= func_id_count || !index.row[id])
        return nullptr;
    for (u32 i = index.row[id] - 1u; i < count && table[i].id == id; i++)
        if (prog_type < 64 && (table[i].prog_types & bit(prog_type)) &&
            (!table[i].attach_types || (attach_type < 64 && (table[i].attach_types & bit(attach_type)))))
            return &table[i];
    return nullptr;
}

const helper_proto *find_helper(u32 id) {
    if (id >= func_id_count || !index.row[id])
        return nullptr;
    for (u32 i = index.row[id] - 1u; i < count && table[i].id == id; i++)
        if (table[i].fn || (table[i].flags & helper_tail_call))
            return &table[i];
    return nullptr;
}

const helper_proto *helper_of(const code &c, u32 id) {
    const helper_proto *p = c.prog_type ? find_helper(id, c.prog_type, c.attach_type) : nullptr;
    return p && (p->fn || (p->flags & helper_tail_call)) ? p : find_helper(id);
}

helper_fn function_of(const code &c, const helper_proto &p) { return c.sleepable && p.asleep ? p.asleep : p.fn; }

const helper_proto *any_helper(u32 id) { return id < func_id_count && index.row[id] ? &table[index.row[id] - 1] : nullptr; }

const char *helper_name(u32 id) {
    return id < func_id_count ? names[id] : nullptr;
}

span<const helper_proto> all_helpers() {
    return {table, count};
}

}  // namespace modbpf
