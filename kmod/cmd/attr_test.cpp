// SPDX-License-Identifier: GPL-2.0-only
// Layouts against the installed header of the kernel's user interface; what it does not know yet is skipped by size.
#include <gtest/gtest.h>

#include "cmd/attr.h"
#include "prog/info.h"

namespace uapi {
#include <linux/bpf.h>
}

using namespace modbpf;

namespace {

#define SAME(type, field, member)                                                                                      \
    EXPECT_EQ(__builtin_offsetof(type, field), __builtin_offsetof(uapi::bpf_attr, member)) << #type "::" #field;        \
    EXPECT_EQ(sizeof(type::field), sizeof(uapi::bpf_attr::member)) << #type "::" #field

TEST(attr, offsets) {
    SAME(map_create_attr, map_type, map_type);
    SAME(map_create_attr, map_name, map_name);
    SAME(map_create_attr, btf_vmlinux_value_type_id, btf_vmlinux_value_type_id);
    SAME(map_create_attr, map_extra, map_extra);
    SAME(map_elem_attr, map_fd, map_fd);
    SAME(map_elem_attr, key, key);
    SAME(map_elem_attr, value, value);
    SAME(map_elem_attr, value, next_key);
    SAME(map_elem_attr, flags, flags);
    SAME(batch_attr, out_batch, batch.out_batch);
    SAME(batch_attr, count, batch.count);
    SAME(batch_attr, map_fd, batch.map_fd);
    SAME(batch_attr, flags, batch.flags);
    SAME(prog_load_attr, insns, insns);
    SAME(prog_load_attr, log_buf, log_buf);
    SAME(prog_load_attr, prog_flags, prog_flags);
    SAME(prog_load_attr, prog_name, prog_name);
    SAME(prog_load_attr, expected_attach_type, expected_attach_type);
    SAME(prog_load_attr, func_info, func_info);
    SAME(prog_load_attr, line_info, line_info);
    SAME(prog_load_attr, attach_prog_fd, attach_prog_fd);
    SAME(prog_load_attr, fd_array, fd_array);
    SAME(prog_load_attr, core_relo_rec_size, core_relo_rec_size);
    SAME(test_run_attr, data_in, test.data_in);
    SAME(test_run_attr, ctx_out, test.ctx_out);
    SAME(test_run_attr, batch_size, test.batch_size);
    SAME(get_id_attr, next_id, next_id);
    SAME(get_id_attr, open_flags, open_flags);
    SAME(info_attr, info, info.info);
    SAME(raw_tracepoint_attr, prog_fd, raw_tracepoint.prog_fd);
    SAME(btf_load_attr, btf, btf);
    SAME(btf_load_attr, log_level, btf_log_level);
    SAME(link_create_attr, target_fd, link_create.target_fd);
    SAME(link_create_attr, cookie, link_create.perf_event.bpf_cookie);
    SAME(link_update_attr, old_prog_fd, link_update.old_prog_fd);
    SAME(task_fd_query_attr, buf, task_fd_query.buf);
    SAME(task_fd_query_attr, fd_type, task_fd_query.fd_type);
    SAME(task_fd_query_attr, probe_addr, task_fd_query.probe_addr);
    SAME(prog_bind_map_attr, flags, prog_bind_map.flags);
}

}  // namespace
