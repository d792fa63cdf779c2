// SPDX-License-Identifier: GPL-2.0-only
// The command table and bpf()'s common part: one copy of the caller's attr, checks that all commands share.
#include "cmd/attr.h"
#include "cmd/core.h"

namespace modbpf {

namespace {

#define END(type, field) (__builtin_offsetof(type, field) + sizeof(type::field))

constexpr command commands[] = {
    {BPF_MAP_CREATE, "map_create", cmd_map_create, END(map_create_attr, map_token_fd)},
    {BPF_MAP_LOOKUP_ELEM, "map_lookup_elem", cmd_map_lookup, END(map_elem_attr, flags)},
    {BPF_MAP_UPDATE_ELEM, "map_update_elem", cmd_map_update, END(map_elem_attr, flags)},
    {BPF_MAP_DELETE_ELEM, "map_delete_elem", cmd_map_delete, END(map_elem_attr, key)},
    {BPF_MAP_GET_NEXT_KEY, "map_get_next_key", cmd_map_next_key, END(map_elem_attr, value)},
    {BPF_PROG_LOAD, "prog_load", cmd_prog_load, END(prog_load_attr, prog_token_fd)},
    {BPF_OBJ_PIN, "obj_pin", cmd_obj_pin, END(obj_attr, path_fd)},
    {BPF_OBJ_GET, "obj_get", cmd_obj_get, END(obj_attr, path_fd)},
    {BPF_PROG_TEST_RUN, "prog_test_run", cmd_prog_test_run, END(test_run_attr, batch_size)},
    {BPF_PROG_GET_NEXT_ID, "prog_get_next_id", cmd_prog_next_id, END(get_id_attr, next_id), command_needs::sys_admin, next_id_early},
    {BPF_MAP_GET_NEXT_ID, "map_get_next_id", cmd_map_next_id, END(get_id_attr, next_id), command_needs::sys_admin, next_id_early},
    {BPF_PROG_GET_FD_BY_ID, "prog_get_fd_by_id", cmd_prog_fd_by_id, END(get_id_attr, id), command_needs::sys_admin},
    {BPF_MAP_GET_FD_BY_ID, "map_get_fd_by_id", cmd_map_fd_by_id, END(get_id_attr, open_flags), command_needs::sys_admin,
     map_fd_by_id_early},
    {BPF_OBJ_GET_INFO_BY_FD, "obj_get_info_by_fd", cmd_obj_info, END(info_attr, info)},
    {BPF_RAW_TRACEPOINT_OPEN, "raw_tracepoint_open", cmd_raw_tracepoint_open, END(raw_tracepoint_attr, cookie)},
    {BPF_BTF_LOAD, "btf_load", cmd_btf_load, END(btf_load_attr, token_fd), command_needs::nothing, btf_load_early},
    {BPF_TASK_FD_QUERY, "task_fd_query", cmd_task_fd_query, END(task_fd_query_attr, probe_addr), command_needs::sys_admin},
    {BPF_BTF_GET_FD_BY_ID, "btf_get_fd_by_id", cmd_btf_fd_by_id, END(get_id_attr, id), command_needs::sys_admin},
    {BPF_MAP_LOOKUP_AND_DELETE_ELEM, "map_lookup_and_delete_elem", cmd_map_lookup_and_delete, END(map_elem_attr, flags)},
    {BPF_MAP_FREEZE, "map_freeze", cmd_map_freeze, END(map_fd_attr, map_fd)},
    {BPF_BTF_GET_NEXT_ID, "btf_get_next_id", cmd_btf_next_id, END(get_id_attr, next_id), command_needs::sys_admin, next_id_early},
    {BPF_MAP_LOOKUP_BATCH, "map_lookup_batch", cmd_map_lookup_batch, END(batch_attr, flags)},
    {BPF_MAP_LOOKUP_AND_DELETE_BATCH, "map_lookup_and_delete_batch", cmd_map_lookup_and_delete_batch, END(batch_attr, flags)},
    {BPF_MAP_UPDATE_BATCH, "map_update_batch", cmd_map_update_batch, END(batch_attr, flags)},
    {BPF_MAP_DELETE_BATCH, "map_delete_batch", cmd_map_delete_batch, END(batch_attr, flags)},
    {BPF_LINK_CREATE, "link_create", cmd_link_create, END(link_create_attr, last)},
    {BPF_LINK_UPDATE, "link_update", cmd_link_update, END(link_update_attr, old_prog_fd)},
    {BPF_LINK_GET_FD_BY_ID, "link_get_fd_by_id", cmd_link_fd_by_id, END(get_id_attr, id), command_needs::sys_admin},
    {BPF_LINK_GET_NEXT_ID, "link_get_next_id", cmd_link_next_id, END(get_id_attr, next_id), command_needs::sys_admin, next_id_early},
    {BPF_ENABLE_STATS, "enable_stats", cmd_enable_stats, END(enable_stats_attr, type), command_needs::sys_admin},
    {BPF_ITER_CREATE, "iter_create", cmd_iter_create, END(iter_create_attr, flags)},
    {BPF_LINK_DETACH, "link_detach", cmd_link_detach, END(link_fd_attr, link_fd)},
    {BPF_PROG_BIND_MAP, "prog_bind_map", cmd_prog_bind_map, END(prog_bind_map_attr, flags)},
};

constexpr bool in_bounds() {
    for (const command &c : commands)
        if (c.end > attr_size)
            return false;
    return true;
}
static_assert(in_bounds());

bool allowed(command_needs n) { return n == command_needs::nothing || port_capable(PORT_CAP_SYS_ADMIN); }

bool all_zero(const u8 *p, const u8 *end) {
    while (p < end)
        if (*p++)
            return false;
    return true;
}

}  // namespace

span<const command> all_commands() { return commands; }

const command *find_command(u32 cmd) {
    for (const command &c : commands)
        if (c.cmd == cmd)
            return &c;
    return nullptr;
}

}  // namespace modbpf

long modbpf_core_bpf(u32 cmd, u64 uattr, u32 size) {
    using namespace modbpf;
    status tail = check_user_tail(uattr, attr_size, size);
    if (!tail.ok())
        return tail.code();
    size = min(size, attr_size);
    u8 bytes[attr_size] __attribute__((aligned(8)));
    memset(bytes, 0, sizeof(bytes));
    if (size && port_copy_from_user(bytes, uattr, size))
        return -EFAULT;
    if (int rc = port_security_bpf(cmd, bytes, size))
        return rc;
    const command *c = find_command(cmd);
    if (cmd == BPF_PROG_QUERY && !port_capable(PORT_CAP_NET_ADMIN)) // absent, but Linux asks for the right before anything else
        return -EPERM;
    if (!c || !all_zero(bytes + c->end, bytes + attr_size))
        return -EINVAL;
    attr_view a{bytes, uattr, size};
    if (c->early && !c->early(a))
        return -EINVAL;
    if (!allowed(c->needs))
        return -EPERM;
    return c->run(a);
}
