// SPDX-License-Identifier: GPL-2.0-only
// union bpf_attr, one structure a command, as Linux 6.12 lays them out. Facts of the user interface (UAPI linux/bpf.h).
//
// Each structure ends with the last field that its command knows: what follows in the caller's attr must be zero.
// PROG_LOAD's is prog_load_attr in prog/prog.h. cmd/attr_test.cpp compares sizes and offsets.
#pragma once

#include "prog/prog.h"

namespace modbpf {

inline constexpr u32 attr_size = 152; ///< sizeof(union bpf_attr)

struct map_create_attr {
    u32 map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node;
    char map_name[obj_name_len];
    u32 map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id;
    u64 map_extra;
    s32 value_type_btf_obj_fd, map_token_fd;
};
static_assert(sizeof(map_create_attr) == 80);

struct map_elem_attr { ///< look-up, update, delete (ends with key), next key (ends with value)
    u32 map_fd, pad;
    u64 key, value, flags;
};
static_assert(sizeof(map_elem_attr) == 32);

struct map_fd_attr { ///< MAP_FREEZE
    u32 map_fd;
};

struct batch_attr {
    u64 in_batch, out_batch, keys, values;
    u32 count, map_fd;
    u64 elem_flags, flags;
};
static_assert(sizeof(batch_attr) == 56);

static_assert(sizeof(prog_load_attr) == 152 && __builtin_offsetof(prog_load_attr, prog_token_fd) == 144);

struct test_run_attr {
    u32 prog_fd, retval, data_size_in, data_size_out;
    u64 data_in, data_out;
    u32 repeat, duration, ctx_size_in, ctx_size_out;
    u64 ctx_in, ctx_out;
    u32 flags, cpu, batch_size;
};
static_assert(__builtin_offsetof(test_run_attr, batch_size) == 72);

struct get_id_attr { ///< start_id or the object's id
    u32 id, next_id, open_flags;
};

struct obj_attr { ///< OBJ_PIN, OBJ_GET
    u64 pathname;
    u32 bpf_fd, file_flags;
    s32 path_fd;
};
static_assert(__builtin_offsetof(obj_attr, path_fd) == 16);

struct info_attr {
    u32 bpf_fd, info_len;
    u64 info;
};

struct raw_tracepoint_attr {
    u64 name;
    u32 prog_fd, pad;
    u64 cookie;
};

struct btf_load_attr {
    u64 btf, log_buf;
    u32 btf_size, log_size, log_level, log_true_size, flags;
    s32 token_fd;
};
static_assert(sizeof(btf_load_attr) == 40);

struct link_create_attr {
    u32 prog_fd, target_fd, attach_type, flags;
    u64 cookie;      ///< perf_event.bpf_cookie, iter_info
    u64 more[4];     ///< fields of attach types that are not here
    u32 last;        ///< uprobe_multi.pid
};
static_assert(__builtin_offsetof(link_create_attr, last) == 56);

/// From link_create_attr::cookie on, for probes at many places.
struct kprobe_multi_attr {
    u32 flags, cnt;
    u64 syms, addrs, cookies;
};
struct uprobe_multi_attr {
    u64 path, offsets, ref_ctr_offsets, cookies;
    u32 cnt, flags, pid;
};

struct link_update_attr {
    u32 link_fd, new_prog_fd, flags, old_prog_fd;
};

struct link_fd_attr { ///< LINK_DETACH
    u32 link_fd;
};

struct task_fd_query_attr {
    u32 pid, fd, flags, buf_len;
    u64 buf;
    u32 prog_id, fd_type;
    u64 probe_offset, probe_addr;
};
static_assert(sizeof(task_fd_query_attr) == 48);

struct iter_create_attr {
    u32 link_fd, flags;
};

struct enable_stats_attr {
    u32 type;
};

struct prog_bind_map_attr {
    u32 prog_fd, map_fd, flags;
};

/// The caller's attr: a zero-filled copy made once, and where it came from.
struct attr_view {
    const void *bytes; ///< attr_size, aligned to 8
    u64 user;          ///< address of the caller's
    u32 size;          ///< bytes that the caller gave, at most attr_size

    template <class T> const T &as() const { return *static_cast<const T *>(bytes); }
    template <class T> long put(u32 off, const T &v) const { return port_copy_to_user(user + off, &v, sizeof(v)) ? -EFAULT : 0; }
};

using command_fn = long (*)(const attr_view &a);

/// What a command needs before its handler runs; nothing: the handler decides.
enum class command_needs : u8 { nothing, sys_admin };

struct command {
    u32 cmd;
    const char *name;
    command_fn run;
    u32 end;                             ///< one past the last known field
    command_needs needs = command_needs::nothing;
    bool (*early)(const attr_view &) = nullptr; ///< further EINVAL checks that Linux makes before the privileges
};
/// By number; null: modbpf does not have it.
const command *find_command(u32 cmd);
span<const command> all_commands();

// map_cmd.cpp
long cmd_map_create(const attr_view &a);
long cmd_map_lookup(const attr_view &a);
long cmd_map_update(const attr_view &a);
long cmd_map_delete(const attr_view &a);
long cmd_map_next_key(const attr_view &a);
long cmd_map_lookup_and_delete(const attr_view &a);
long cmd_map_freeze(const attr_view &a);
// batch_cmd.cpp
long cmd_map_lookup_batch(const attr_view &a);
long cmd_map_lookup_and_delete_batch(const attr_view &a);
long cmd_map_update_batch(const attr_view &a);
long cmd_map_delete_batch(const attr_view &a);
// prog_cmd.cpp
long cmd_prog_load(const attr_view &a);
long cmd_prog_test_run(const attr_view &a);
long cmd_prog_bind_map(const attr_view &a);
long cmd_enable_stats(const attr_view &a);
// obj_cmd.cpp
bool next_id_early(const attr_view &a);
long cmd_prog_next_id(const attr_view &a);
long cmd_map_next_id(const attr_view &a);
long cmd_btf_next_id(const attr_view &a);
long cmd_link_next_id(const attr_view &a);
long cmd_prog_fd_by_id(const attr_view &a);
bool map_fd_by_id_early(const attr_view &a);
long cmd_map_fd_by_id(const attr_view &a);
long cmd_btf_fd_by_id(const attr_view &a);
long cmd_link_fd_by_id(const attr_view &a);
long cmd_obj_info(const attr_view &a);
// pin_cmd.cpp
long cmd_obj_pin(const attr_view &a);
long cmd_obj_get(const attr_view &a);
// btf_cmd.cpp
bool btf_load_early(const attr_view &a);
long cmd_btf_load(const attr_view &a);
long btf_new_fd(ref<btf> b);
status name_kernel_types(); ///< those that are loaded now get ids; those of modules that went have lost theirs. ENOMEM
// link_cmd.cpp
long cmd_raw_tracepoint_open(const attr_view &a);
long cmd_link_create(const attr_view &a);
long cmd_link_update(const attr_view &a);
long cmd_link_detach(const attr_view &a);
long cmd_iter_create(const attr_view &a);
// query_cmd.cpp
long cmd_task_fd_query(const attr_view &a);

/// A new fd of map m; the caller's reference and user reference go to the fd, or are dropped on failure.
long map_new_fd(map *m, u32 open_flags);
/// BPF_F_RDONLY and BPF_F_WRONLY at once: EINVAL.
bool open_flags_valid(u32 flags);
/// For a slot of a map of maps: map_in_map_hooks::get.
result<map *> map_for_slot(map *outer, int fd);
/// The errno for an fd that should be a token: there are none.
long token_error(int fd);

extern const port_file_ops stats_file_ops; ///< "bpf-stats"

}  // namespace modbpf
