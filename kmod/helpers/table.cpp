// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

using enum arg_type;
using ret = ret_type;

constexpr u64 all_progs = tracing_progs | network_progs;
constexpr u64 skb_progs = bit(BPF_PROG_TYPE_SOCKET_FILTER) | bit(BPF_PROG_TYPE_SCHED_CLS);
constexpr u64 cls = bit(BPF_PROG_TYPE_SCHED_CLS), xdp = bit(BPF_PROG_TYPE_XDP);

// Map types by the helpers that Linux lets them into.
constexpr u64 element_maps = bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_PERCPU_HASH) |
                             bit(BPF_MAP_TYPE_PERCPU_ARRAY) | bit(BPF_MAP_TYPE_LRU_HASH) |
                             bit(BPF_MAP_TYPE_LRU_PERCPU_HASH) | bit(BPF_MAP_TYPE_LPM_TRIE);
constexpr u64 queue_maps = bit(BPF_MAP_TYPE_QUEUE) | bit(BPF_MAP_TYPE_STACK);
constexpr u64 queue_or_bloom = queue_maps | bit(BPF_MAP_TYPE_BLOOM_FILTER);
constexpr u64 ringbufs = bit(BPF_MAP_TYPE_RINGBUF);
constexpr u64 perf_arrays = bit(BPF_MAP_TYPE_PERF_EVENT_ARRAY), prog_arrays = bit(BPF_MAP_TYPE_PROG_ARRAY);

constexpr u32 gpl = helper_gpl_only, pkt = helper_pkt_access, perfmon = helper_needs_perfmon;
constexpr u32 moves = helper_changes_pkt, writes = helper_writes_map, length = helper_ret_len, traces = helper_traces;

// clang-format off
// Sorted by id. Prototypes, licence, program types as Linux 6.12 has them (kernel/bpf/helpers.c,
// kernel/trace/bpf_trace.c, net/core/filter.c): tracing programs get what is there for all, and their own;
// so do packet programs.
// helper_needs_perfmon stands where Linux asks packet programs for it; tracing programs cannot be loaded without it.
constexpr helper_proto table[] = {
    {BPF_FUNC_map_lookup_elem, ret::map_value_or_null, {const_map_ptr, map_key}, pkt, all_progs, element_maps,
     bpf_map_lookup_elem},
    {BPF_FUNC_map_update_elem, ret::integer, {const_map_ptr, map_key, map_value, anything}, pkt | writes, all_progs,
     element_maps, bpf_map_update_elem},
    {BPF_FUNC_map_delete_elem, ret::integer, {const_map_ptr, map_key}, pkt | writes, all_progs, element_maps,
     bpf_map_delete_elem},
    {BPF_FUNC_probe_read, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl, tracing_progs, 0,
     bpf_probe_read},
    {BPF_FUNC_ktime_get_ns, ret::integer, {}, 0, all_progs, 0, bpf_ktime_get_ns},
    {BPF_FUNC_trace_printk, ret::integer, {mem, const_size}, gpl | perfmon | traces, all_progs, 0, bpf_trace_printk},
    {BPF_FUNC_get_prandom_u32, ret::integer, {}, 0, all_progs, 0, bpf_get_prandom_u32},
    {BPF_FUNC_get_smp_processor_id, ret::integer, {}, helper_ret_cpu, all_progs, 0, bpf_get_smp_processor_id},
    {BPF_FUNC_tail_call, ret::none, {ctx, const_map_ptr, anything}, helper_tail_call, all_progs, prog_arrays,
     bpf_tail_call},
    {BPF_FUNC_get_current_pid_tgid, ret::integer, {}, 0, all_progs, 0, bpf_get_current_pid_tgid},
    {BPF_FUNC_get_current_uid_gid, ret::integer, {}, 0, tracing_progs, 0, bpf_get_current_uid_gid},
    {BPF_FUNC_get_current_comm, ret::integer, {uninit_mem, const_size}, 0, tracing_progs, 0, bpf_get_current_comm},
    {BPF_FUNC_perf_event_output, ret::integer, {ctx, const_map_ptr, anything, mem, const_size_or_zero}, gpl,
     all_progs, perf_arrays, bpf_perf_event_output},
    {BPF_FUNC_skb_load_bytes, ret::integer, {ctx, anything, uninit_mem, const_size}, 0, skb_progs, 0,
     bpf_skb_load_bytes},
    {BPF_FUNC_csum_diff, ret::integer, {mem_or_null, const_size_or_zero, mem_or_null, const_size_or_zero, anything},
     pkt, cls | xdp, 0, bpf_csum_diff},
    {BPF_FUNC_get_current_task, ret::integer, {}, gpl | perfmon, all_progs, 0, bpf_get_current_task},
    {BPF_FUNC_skb_pull_data, ret::integer, {ctx, anything}, moves, cls, 0, bpf_skb_pull_data},
    {BPF_FUNC_get_numa_node_id, ret::integer, {}, 0, all_progs, 0, bpf_get_numa_node_id},
    {BPF_FUNC_xdp_adjust_head, ret::integer, {ctx, anything}, moves, xdp, 0, bpf_xdp_adjust_head},
    {BPF_FUNC_probe_read_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | length, tracing_progs, 0,
     bpf_probe_read_str},
    {BPF_FUNC_xdp_adjust_meta, ret::integer, {ctx, anything}, moves, xdp, 0, bpf_xdp_adjust_meta},
    {BPF_FUNC_xdp_adjust_tail, ret::integer, {ctx, anything}, moves, xdp, 0, bpf_xdp_adjust_tail},
    {BPF_FUNC_skb_load_bytes_relative, ret::integer, {ctx, anything, uninit_mem, const_size, anything}, 0,
     skb_progs, 0, bpf_skb_load_bytes_relative},
    {BPF_FUNC_map_push_elem, ret::integer, {const_map_ptr, map_value, anything}, pkt | writes, all_progs, queue_or_bloom,
     bpf_map_push_elem},
    {BPF_FUNC_map_pop_elem, ret::integer, {const_map_ptr, uninit_map_value}, writes, all_progs, queue_maps,
     bpf_map_pop_elem},
    {BPF_FUNC_map_peek_elem, ret::integer, {const_map_ptr, uninit_map_value}, 0, all_progs, queue_or_bloom,
     bpf_map_peek_elem},
    {BPF_FUNC_strtol, ret::integer, {mem, const_size, anything, uninit_u64}, 0, all_progs, 0, bpf_strtol},
    {BPF_FUNC_strtoul, ret::integer, {mem, const_size, anything, uninit_u64}, 0, all_progs, 0, bpf_strtoul},
    {BPF_FUNC_probe_read_user, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | perfmon, all_progs,
     0, bpf_probe_read_user},
    {BPF_FUNC_probe_read_kernel, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | perfmon, all_progs,
     0, bpf_probe_read_kernel},
    {BPF_FUNC_probe_read_user_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | perfmon | length,
     all_progs, 0, bpf_probe_read_user_str},
    {BPF_FUNC_probe_read_kernel_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | perfmon | length,
     all_progs, 0, bpf_probe_read_kernel_str},
    {BPF_FUNC_jiffies64, ret::integer, {}, 0, all_progs, 0, bpf_jiffies64},
    {BPF_FUNC_ktime_get_boot_ns, ret::integer, {}, 0, all_progs, 0, bpf_ktime_get_boot_ns},
    {BPF_FUNC_ringbuf_output, ret::integer, {const_map_ptr, mem, const_size_or_zero, anything}, 0, all_progs,
     ringbufs, bpf_ringbuf_output},
    {BPF_FUNC_ringbuf_reserve, ret::alloc_mem_or_null, {const_map_ptr, const_alloc_size_or_zero, anything},
     helper_acquires, all_progs, ringbufs, bpf_ringbuf_reserve},
    {BPF_FUNC_ringbuf_submit, ret::none, {alloc_mem, anything}, helper_releases, all_progs, 0, bpf_ringbuf_submit},
    {BPF_FUNC_ringbuf_discard, ret::none, {alloc_mem, anything}, helper_releases, all_progs, 0, bpf_ringbuf_discard},
    {BPF_FUNC_ringbuf_query, ret::integer, {const_map_ptr, anything}, 0, all_progs, ringbufs, bpf_ringbuf_query},
    {BPF_FUNC_ktime_get_coarse_ns, ret::integer, {}, 0, network_progs, 0, bpf_ktime_get_coarse_ns},
    {BPF_FUNC_snprintf, ret::integer,
     {uninit_mem_or_null, const_size_or_zero, const_str, mem_or_null, const_size_or_zero}, gpl | perfmon | helper_fmt,
     all_progs, 0, bpf_snprintf},
    {BPF_FUNC_get_func_ip, ret::integer, {ctx}, gpl | helper_get_func_ip, tracing_progs, 0, bpf_get_func_ip},
    {BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, helper_attach_cookie, tracing_progs, 0, bpf_get_attach_cookie},
    {BPF_FUNC_trace_vprintk, ret::integer, {mem, const_size, mem_or_null, const_size_or_zero}, gpl | perfmon | traces,
     all_progs, 0, bpf_trace_vprintk},
    {BPF_FUNC_strncmp, ret::integer, {mem, const_size, const_str}, 0, all_progs, 0, bpf_strncmp},
    {BPF_FUNC_xdp_get_buff_len, ret::integer, {ctx}, 0, xdp, 0, bpf_xdp_get_buff_len},
    {BPF_FUNC_xdp_load_bytes, ret::integer, {ctx, anything, uninit_mem, const_size}, 0, xdp, 0, bpf_xdp_load_bytes},
    {BPF_FUNC_xdp_store_bytes, ret::integer, {ctx, anything, mem, const_size}, 0, xdp, 0, bpf_xdp_store_bytes},
    {BPF_FUNC_ktime_get_tai_ns, ret::integer, {}, 0, all_progs, 0, bpf_ktime_get_tai_ns},
};
// clang-format on
constexpr u32 count = count_of(table);

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

constexpr bool is_size(arg_type a) {
    return a == const_size || a == const_size_or_zero;
}
constexpr bool is_mem(arg_type a) {
    return base_of(a) == mem && !has(a, type_flag::fixed_size);
}

constexpr bool row_is_sound(const helper_proto &p) {
    bool has_map = false, has_ctx = false, ended = false;
    for (u32 i = 0; i < 5; i++) {
        arg_type a = p.args[i];
        if (a != arg_type::none && ended)
            return false;  // a gap
        ended |= a == arg_type::none;
        has_map |= a == const_map_ptr;
        has_ctx |= a == arg_type::ctx;
        if (is_mem(a) && (i == 4 || !is_size(p.args[i + 1])))
            return false;  // memory without its size
        if (is_size(a) && (i == 0 || !is_mem(p.args[i - 1])))
            return false;
        if ((a == map_key || base_of(a) == map_value) && !has_map)
            return false;
    }
    bool sized = false;
    for (arg_type a : p.args)
        sized |= is_size(a);
    if (((p.flags & helper_writes_map) && !has_map) || ((p.flags & helper_ret_len) && !sized))
        return false;
    if (has_map != (p.map_types != 0) || !p.prog_types || (p.prog_types & ~all_progs))
        return false;
    if ((p.ret == ret::map_value_or_null || p.ret == ret::alloc_mem_or_null) && !has_map)
        return false;
    return !(p.flags & helper_changes_pkt) || has_ctx;
}

constexpr bool table_is_sound() {
    for (u32 i = 0; i < count; i++)
        if (!row_is_sound(table[i]) || table[i].id >= func_id_count || (i && table[i].id < table[i - 1].id))
            return false;
    for (u32 i = 1; i < count; i++) // what runs is found by id alone
        if (table[i].id == table[i - 1].id && table[i].fn && table[i - 1].fn && table[i].fn != table[i - 1].fn)
            return false;
    for (u32 id = 0; id < func_id_count; id++)
        if (!names[id])
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

const char *helper_name(u32 id) {
    return id < func_id_count ? names[id] : nullptr;
}

span<const helper_proto> all_helpers() {
    return {table, count};
}

}  // namespace modbpf
