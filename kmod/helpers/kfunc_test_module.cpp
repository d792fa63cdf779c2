// SPDX-License-Identifier: GPL-2.0-only
// Functions of bpf_testmod, the module of the kernel's own BPF tests: their flags and hooks are registered by its code, so that its types
// do not tell them.
#include "helpers/kfunc.h"

namespace modbpf {

namespace {

constexpr u32 anyone = 1u << static_cast<u32>(kfunc_hook::common);
constexpr u32 some = 1u << static_cast<u32>(kfunc_hook::tc) | 1u << static_cast<u32>(kfunc_hook::tracing) |
                     1u << static_cast<u32>(kfunc_hook::syscall) | 1u << static_cast<u32>(kfunc_hook::struct_ops);

constexpr kfunc_row table[] = {
    {"bpf_iter_testmod_seq_destroy", kf_iter_destroy, anyone},
    {"bpf_iter_testmod_seq_new", kf_iter_new, anyone},
    {"bpf_iter_testmod_seq_next", kf_iter_next | kf_ret_null, anyone},
    {"bpf_iter_testmod_seq_value", 0, anyone},
    {"bpf_kfunc_call_int_mem_release", kf_release, some},
    {"bpf_kfunc_call_kernel_bind", kf_sleepable, some},
    {"bpf_kfunc_call_kernel_connect", kf_sleepable, some},
    {"bpf_kfunc_call_kernel_getpeername", kf_sleepable, some},
    {"bpf_kfunc_call_kernel_getsockname", kf_sleepable, some},
    {"bpf_kfunc_call_kernel_listen", kf_sleepable, some},
    {"bpf_kfunc_call_kernel_sendmsg", kf_sleepable, some},
    {"bpf_kfunc_call_memb1_release", kf_release, some},
    {"bpf_kfunc_call_memb_acquire", kf_acquire | kf_ret_null, some},
    {"bpf_kfunc_call_sock_sendmsg", kf_sleepable, some},
    {"bpf_kfunc_call_test1", 0, some},
    {"bpf_kfunc_call_test2", 0, some},
    {"bpf_kfunc_call_test3", 0, some},
    {"bpf_kfunc_call_test4", 0, some},
    {"bpf_kfunc_call_test_acq_rdonly_mem", kf_acquire | kf_ret_null, some},
    {"bpf_kfunc_call_test_acquire", kf_acquire | kf_ret_null, some},
    {"bpf_kfunc_call_test_destructive", kf_destructive, some},
    {"bpf_kfunc_call_test_fail1", 0, some},
    {"bpf_kfunc_call_test_fail2", 0, some},
    {"bpf_kfunc_call_test_fail3", 0, some},
    {"bpf_kfunc_call_test_get_rdonly_mem", kf_ret_null, some},
    {"bpf_kfunc_call_test_get_rdwr_mem", kf_ret_null, some},
    {"bpf_kfunc_call_test_mem_len_fail1", 0, some},
    {"bpf_kfunc_call_test_mem_len_fail2", 0, some},
    {"bpf_kfunc_call_test_mem_len_pass1", 0, some},
    {"bpf_kfunc_call_test_offset", 0, some},
    {"bpf_kfunc_call_test_pass1", 0, some},
    {"bpf_kfunc_call_test_pass2", 0, some},
    {"bpf_kfunc_call_test_pass_ctx", 0, some},
    {"bpf_kfunc_call_test_ref", kf_trusted | kf_rcu, some},
    {"bpf_kfunc_call_test_sleepable", kf_sleepable, some},
    {"bpf_kfunc_call_test_static_unused_arg", 0, some},
    {"bpf_kfunc_close_sock", kf_sleepable, some},
    {"bpf_kfunc_common_test", 0, anyone},
    {"bpf_kfunc_dynptr_test", 0, anyone},
    {"bpf_kfunc_init_sock", kf_sleepable, some},
    {"bpf_kfunc_nested_acquire_nonzero_offset_test", kf_acquire, anyone},
    {"bpf_kfunc_nested_acquire_zero_offset_test", kf_acquire, anyone},
    {"bpf_kfunc_nested_release_test", kf_release, anyone},
    {"bpf_kfunc_rcu_task_test", kf_rcu, anyone},
    {"bpf_kfunc_st_ops_inc10", kf_trusted, some},
    {"bpf_kfunc_st_ops_test_epilogue", kf_trusted | kf_sleepable, some},
    {"bpf_kfunc_st_ops_test_pro_epilogue", kf_trusted | kf_sleepable, some},
    {"bpf_kfunc_st_ops_test_prologue", kf_trusted | kf_sleepable, some},
    {"bpf_kfunc_trusted_num_test", kf_trusted, anyone},
    {"bpf_kfunc_trusted_task_test", kf_trusted, anyone},
    {"bpf_kfunc_trusted_vma_test", kf_trusted, anyone},
    {"bpf_testmod_ctx_create", kf_acquire | kf_ret_null, anyone},
    {"bpf_testmod_ctx_release", kf_release, anyone},
    {"bpf_testmod_test_mod_kfunc", 0, some},
};

}  // namespace

span<const kfunc_row> test_module_kfuncs() { return {table, count_of(table)}; }

}  // namespace modbpf
