// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/kfunc.h"

#include "helpers/kfuncs.h"

namespace modbpf {

namespace {

constexpr u32 set_of(kfunc_hook h) { return 1u << static_cast<u32>(h); }

constexpr u32 acq = kf_acquire, rel = kf_release, nul = kf_ret_null, trusted = kf_trusted, rcu = kf_rcu, sleep = kf_sleepable;
constexpr u32 anyone = set_of(kfunc_hook::common), xdp = set_of(kfunc_hook::xdp), tc = set_of(kfunc_hook::tc),
              struct_ops = set_of(kfunc_hook::struct_ops), tracing = set_of(kfunc_hook::tracing), syscall = set_of(kfunc_hook::syscall),
              cgroup = set_of(kfunc_hook::cgroup), sched_act = set_of(kfunc_hook::sched_act), sk_skb = set_of(kfunc_hook::sk_skb),
              socket_filter = set_of(kfunc_hook::socket_filter), lwt = set_of(kfunc_hook::lwt), netfilter = set_of(kfunc_hook::netfilter),
              kprobe = set_of(kfunc_hook::kprobe);
constexpr u32 ops = struct_ops | tracing | syscall, objects = ops | xdp | tc | cgroup;
using only = kfunc_filter;
using does = kfunc_effect;

// clang-format off
// Sorted by name; a name may have several rows, for different hooks. Flags and hooks as Linux 6.12 registers them.
constexpr kfunc_row table[] = {
    {"bbr_cwnd_event", 0, struct_ops},
    {"bbr_init", 0, struct_ops},
    {"bbr_main", 0, struct_ops},
    {"bbr_min_tso_segs", 0, struct_ops},
    {"bbr_set_state", 0, struct_ops},
    {"bbr_sndbuf_expand", 0, struct_ops},
    {"bbr_ssthresh", 0, struct_ops},
    {"bbr_undo_cwnd", 0, struct_ops},
    kfunc_row{"bpf_arena_alloc_pages", trusted | sleep, anyone}.runs(kfunc_arena_alloc_pages),
    kfunc_row{"bpf_arena_free_pages", trusted | sleep, anyone}.runs(kfunc_arena_free_pages),
    {"bpf_cast_to_kern_ctx", 0, anyone, only::none, does::kernel_ctx},
    kfunc_row{"bpf_cgroup_acquire", acq | rcu | nul, objects}.runs(kfunc_cgroup_acquire),
    kfunc_row{"bpf_cgroup_ancestor", acq | rcu | nul, objects}.runs(kfunc_cgroup_ancestor),
    kfunc_row{"bpf_cgroup_from_id", acq | nul, objects}.runs(kfunc_cgroup_from_id),
    kfunc_row{"bpf_cgroup_release", rel, objects}.runs(kfunc_cgroup_release),
    kfunc_row{"bpf_copy_from_user_str", sleep, anyone}.runs(kfunc_copy_from_user_str),
    kfunc_row{"bpf_cpumask_acquire", acq | trusted, ops}.runs(kfunc_cpumask_acquire),
    kfunc_row{"bpf_cpumask_and", rcu, ops}.runs(kfunc_cpumask_and),
    kfunc_row{"bpf_cpumask_any_and_distribute", rcu, ops}.runs(kfunc_cpumask_any_and_distribute),
    kfunc_row{"bpf_cpumask_any_distribute", rcu, ops}.runs(kfunc_cpumask_any_distribute),
    kfunc_row{"bpf_cpumask_clear", rcu, ops}.runs(kfunc_cpumask_clear),
    kfunc_row{"bpf_cpumask_clear_cpu", rcu, ops}.runs(kfunc_cpumask_clear_cpu),
    kfunc_row{"bpf_cpumask_copy", rcu, ops}.runs(kfunc_cpumask_copy),
    kfunc_row{"bpf_cpumask_create", acq | nul, ops, only::none, does::cpumask_new}.runs(kfunc_cpumask_create),
    kfunc_row{"bpf_cpumask_empty", rcu, ops}.runs(kfunc_cpumask_empty),
    kfunc_row{"bpf_cpumask_equal", rcu, ops}.runs(kfunc_cpumask_equal),
    kfunc_row{"bpf_cpumask_first", rcu, ops}.runs(kfunc_cpumask_first),
    kfunc_row{"bpf_cpumask_first_and", rcu, ops}.runs(kfunc_cpumask_first_and),
    kfunc_row{"bpf_cpumask_first_zero", rcu, ops}.runs(kfunc_cpumask_first_zero),
    kfunc_row{"bpf_cpumask_full", rcu, ops}.runs(kfunc_cpumask_full),
    kfunc_row{"bpf_cpumask_intersects", rcu, ops}.runs(kfunc_cpumask_intersects),
    kfunc_row{"bpf_cpumask_or", rcu, ops}.runs(kfunc_cpumask_or),
    kfunc_row{"bpf_cpumask_release", rel, ops}.runs(kfunc_obj_drop),
    kfunc_row{"bpf_cpumask_set_cpu", rcu, ops}.runs(kfunc_cpumask_set_cpu),
    kfunc_row{"bpf_cpumask_setall", rcu, ops}.runs(kfunc_cpumask_setall),
    kfunc_row{"bpf_cpumask_subset", rcu, ops}.runs(kfunc_cpumask_subset),
    kfunc_row{"bpf_cpumask_test_and_clear_cpu", rcu, ops}.runs(kfunc_cpumask_test_and_clear_cpu),
    kfunc_row{"bpf_cpumask_test_and_set_cpu", rcu, ops}.runs(kfunc_cpumask_test_and_set_cpu),
    kfunc_row{"bpf_cpumask_test_cpu", rcu, ops}.runs(kfunc_cpumask_test_cpu),
    kfunc_row{"bpf_cpumask_weight", rcu, ops}.runs(kfunc_cpumask_weight),
    kfunc_row{"bpf_cpumask_xor", rcu, ops}.runs(kfunc_cpumask_xor),
    {"bpf_crypto_ctx_acquire", acq | rcu | nul, syscall},
    {"bpf_crypto_ctx_create", acq | nul | sleep, syscall},
    {"bpf_crypto_ctx_release", rel, syscall},
    {"bpf_crypto_decrypt", rcu, xdp | tc | sched_act},
    {"bpf_crypto_encrypt", rcu, xdp | tc | sched_act},
    {"bpf_ct_change_status", trusted, xdp | tc},
    {"bpf_ct_change_timeout", trusted, xdp | tc},
    {"bpf_ct_insert_entry", acq | nul | rel, xdp | tc},
    {"bpf_ct_release", rel, xdp | tc},
    {"bpf_ct_set_nat_info", trusted, xdp | tc},
    {"bpf_ct_set_status", trusted, xdp | tc},
    {"bpf_ct_set_timeout", trusted, xdp | tc},
    kfunc_row{"bpf_dynptr_adjust", 0, anyone}.runs(kfunc_dynptr_adjust),
    kfunc_row{"bpf_dynptr_clone", 0, anyone, only::none, does::dynptr_clone}.runs(kfunc_dynptr_clone),
    kfunc_row{"bpf_dynptr_from_skb", trusted,
     tc | tracing | cgroup | sched_act | sk_skb | socket_filter | lwt | netfilter, only::none, does::dynptr_from_skb}.runs(kfunc_dynptr_from_skb),
    kfunc_row{"bpf_dynptr_from_xdp", 0, xdp, only::none, does::dynptr_from_xdp}.runs(kfunc_dynptr_from_xdp),
    kfunc_row{"bpf_dynptr_is_null", 0, anyone}.runs(kfunc_dynptr_is_null),
    kfunc_row{"bpf_dynptr_is_rdonly", 0, anyone}.runs(kfunc_dynptr_is_rdonly),
    kfunc_row{"bpf_dynptr_size", 0, anyone}.runs(kfunc_dynptr_size),
    kfunc_row{"bpf_dynptr_slice", nul, anyone, only::none, does::dynptr_slice}.runs(kfunc_dynptr_slice),
    kfunc_row{"bpf_dynptr_slice_rdwr", nul, anyone, only::none, does::dynptr_slice_rdwr}.runs(kfunc_dynptr_slice_rdwr),
    kfunc_row{"bpf_get_dentry_xattr", sleep | trusted, tracing, only::lsm}.runs(kfunc_get_dentry_xattr),
    kfunc_row{"bpf_get_file_xattr", sleep | trusted, tracing, only::lsm}.runs(kfunc_get_file_xattr),
    {"bpf_get_fsverity_digest", trusted, tracing, only::lsm},
    kfunc_row{"bpf_get_task_exe_file", acq | trusted | nul, tracing, only::lsm}.runs(kfunc_get_task_exe_file),
    kfunc_row{"bpf_iter_bits_destroy", kf_iter_destroy, anyone}.runs(kfunc_iter_bits_destroy),
    kfunc_row{"bpf_iter_bits_new", kf_iter_new, anyone, only::none, does::bits_new}.runs(kfunc_iter_bits_new),
    kfunc_row{"bpf_iter_bits_next", kf_iter_next | nul, anyone}.runs(kfunc_iter_bits_next),
    kfunc_row{"bpf_iter_css_destroy", kf_iter_destroy, anyone}.runs(kfunc_iter_css_destroy),
    kfunc_row{"bpf_iter_css_new", kf_iter_new | trusted | kf_rcu_protected, anyone}.runs(kfunc_iter_css_new),
    kfunc_row{"bpf_iter_css_next", kf_iter_next | nul, anyone}.runs(kfunc_iter_css_next),
    kfunc_row{"bpf_iter_css_task_destroy", kf_iter_destroy, anyone}.runs(kfunc_iter_css_task_destroy),
    kfunc_row{"bpf_iter_css_task_new", kf_iter_new | trusted, anyone, only::none, does::css_task_iter}.runs(kfunc_iter_css_task_new),
    kfunc_row{"bpf_iter_css_task_next", kf_iter_next | nul, anyone}.runs(kfunc_iter_css_task_next),
    kfunc_row{"bpf_iter_num_destroy", kf_iter_destroy, anyone}.runs(kfunc_iter_num_destroy),
    kfunc_row{"bpf_iter_num_new", kf_iter_new, anyone}.runs(kfunc_iter_num_new),
    kfunc_row{"bpf_iter_num_next", kf_iter_next | nul, anyone}.runs(kfunc_iter_num_next),
    {"bpf_iter_scx_dsq_destroy", kf_iter_destroy, ops},
    {"bpf_iter_scx_dsq_new", kf_iter_new | kf_rcu_protected, ops},
    {"bpf_iter_scx_dsq_next", kf_iter_next | nul, ops},
    kfunc_row{"bpf_iter_task_destroy", kf_iter_destroy, anyone}.runs(kfunc_iter_task_destroy),
    kfunc_row{"bpf_iter_task_new", kf_iter_new | trusted | kf_rcu_protected, anyone}.runs(kfunc_iter_task_new),
    kfunc_row{"bpf_iter_task_next", kf_iter_next | nul, anyone}.runs(kfunc_iter_task_next),
    kfunc_row{"bpf_iter_task_vma_destroy", kf_iter_destroy, anyone}.runs(kfunc_iter_task_vma_destroy),
    kfunc_row{"bpf_iter_task_vma_new", kf_iter_new | rcu, anyone, only::none, does::task_vma_iter}.runs(kfunc_iter_task_vma_new),
    kfunc_row{"bpf_iter_task_vma_next", kf_iter_next | nul, anyone}.runs(kfunc_iter_task_vma_next),
    kfunc_row{"bpf_key_put", rel, tracing}.runs(kfunc_key_put),
    {"bpf_kfunc_call_memb_release", rel, tc | tracing | syscall},
    {"bpf_kfunc_call_test_release", rel, tc | tracing | syscall},
    kfunc_row{"bpf_list_pop_back", acq | nul, objects, only::none, does::list_pop}.runs(kfunc_list_pop_back),
    kfunc_row{"bpf_list_pop_front", acq | nul, objects, only::none, does::list_pop}.runs(kfunc_list_pop_front),
    kfunc_row{"bpf_list_push_back_impl", 0, objects, only::none, does::list_push}.runs(kfunc_list_push_back),
    kfunc_row{"bpf_list_push_front_impl", 0, objects, only::none, does::list_push}.runs(kfunc_list_push_front),
    kfunc_row{"bpf_lookup_system_key", acq | nul, tracing}.runs(kfunc_lookup_system_key),
    kfunc_row{"bpf_lookup_user_key", acq | nul | sleep, tracing}.runs(kfunc_lookup_user_key),
    {"bpf_map_sum_elem_count", trusted, anyone},
    {"bpf_modify_return_test_tp", 0, anyone},
    kfunc_row{"bpf_obj_drop_impl", rel, objects, only::none, does::object_drop}.runs(kfunc_obj_drop),
    kfunc_row{"bpf_obj_new_impl", acq | nul, objects, only::none, does::object_new}.runs(kfunc_obj_new),
    kfunc_row{"bpf_path_d_path", trusted, tracing, only::lsm}.runs(kfunc_path_d_path),
    kfunc_row{"bpf_percpu_obj_drop_impl", rel, objects, only::none, does::percpu_drop}.runs(kfunc_obj_drop),
    kfunc_row{"bpf_percpu_obj_new_impl", acq | nul, objects, only::none, does::percpu_new}.runs(kfunc_obj_new),
    kfunc_row{"bpf_preempt_disable", 0, anyone, only::none, does::preempt_disable}.runs(kfunc_preempt_disable),
    kfunc_row{"bpf_preempt_enable", 0, anyone, only::none, does::preempt_enable}.runs(kfunc_preempt_enable),
    kfunc_row{"bpf_put_file", rel, tracing, only::lsm}.runs(kfunc_put_file),
    kfunc_row{"bpf_rbtree_add_impl", 0, objects, only::none, does::tree_add}.runs(kfunc_rbtree_add),
    kfunc_row{"bpf_rbtree_first", nul, objects, only::none, does::tree_first}.runs(kfunc_rbtree_first),
    kfunc_row{"bpf_rbtree_remove", acq | nul, objects, only::none, does::tree_remove}.runs(kfunc_rbtree_remove),
    kfunc_row{"bpf_rcu_read_lock", 0, anyone, only::none, does::rcu_lock}.runs(kfunc_rcu_read_lock),
    kfunc_row{"bpf_rcu_read_unlock", 0, anyone, only::none, does::rcu_unlock}.runs(kfunc_rcu_read_unlock),
    kfunc_row{"bpf_rdonly_cast", 0, anyone, only::none, does::rdonly_cast}.runs(kfunc_same_pointer),
    kfunc_row{"bpf_refcount_acquire_impl", acq | nul | rcu, objects, only::none, does::refcount_acquire}.runs(kfunc_refcount_acquire),
    kfunc_row{"bpf_session_cookie", 0, kprobe, only::kprobe_session, does::session_cookie}.runs(kfunc_session_cookie),
    kfunc_row{"bpf_session_is_return", 0, kprobe, only::kprobe_session}.runs(kfunc_session_is_return),
    {"bpf_sk_assign_tcp_reqsk", trusted, tc},
    {"bpf_skb_ct_alloc", acq | nul, xdp | tc},
    {"bpf_skb_ct_lookup", acq | nul, xdp | tc},
    {"bpf_skb_get_fou_encap", 0, tc},
    {"bpf_skb_get_xfrm_info", 0, tc},
    {"bpf_skb_set_fou_encap", 0, tc},
    {"bpf_skb_set_xfrm_info", 0, tc},
    {"bpf_sock_addr_set_sun_path", 0, cgroup},
    {"bpf_sock_destroy", trusted, tracing, only::iter},
    kfunc_row{"bpf_task_acquire", acq | rcu | nul, objects}.runs(kfunc_task_acquire),
    kfunc_row{"bpf_task_from_pid", acq | nul, objects}.runs(kfunc_task_from_pid),
    kfunc_row{"bpf_task_get_cgroup1", acq | rcu | nul, objects}.runs(kfunc_task_get_cgroup1),
    kfunc_row{"bpf_task_release", rel, objects}.runs(kfunc_task_release),
    kfunc_row{"bpf_task_under_cgroup", rcu, objects}.runs(kfunc_task_under_cgroup),
    kfunc_row{"bpf_throw", 0, objects, only::none, does::throw_}.runs(kfunc_throw),
    kfunc_row{"bpf_verify_pkcs7_signature", sleep, tracing}.runs(kfunc_verify_pkcs7_signature),
    kfunc_row{"bpf_wq_init", 0, anyone, only::none, does::work_queue}.runs(kfunc_wq_init),
    kfunc_row{"bpf_wq_set_callback_impl", 0, anyone, only::none, does::work_queue}.runs(kfunc_wq_set_callback),
    kfunc_row{"bpf_wq_start", 0, anyone, only::none, does::work_queue}.runs(kfunc_wq_start),
    {"bpf_xdp_ct_alloc", acq | nul, xdp | tc},
    {"bpf_xdp_ct_lookup", acq | nul, xdp | tc},
    {"bpf_xdp_flow_lookup", trusted | nul, xdp},
    {"bpf_xdp_get_xfrm_state", nul | acq, xdp},
    {"bpf_xdp_metadata_rx_hash", trusted | kf_dev_bound, xdp},
    {"bpf_xdp_metadata_rx_timestamp", trusted | kf_dev_bound, xdp},
    {"bpf_xdp_metadata_rx_vlan_tag", trusted | kf_dev_bound, xdp},
    {"bpf_xdp_xfrm_state_release", rel, xdp},
    kfunc_row{"cgroup_rstat_flush", sleep, tracing}.runs(kfunc_cgroup_rstat_flush),
    kfunc_row{"cgroup_rstat_updated", 0, tracing}.runs(kfunc_cgroup_rstat_updated),
    {"crash_kexec", kf_destructive, objects},
    {"cubictcp_acked", 0, struct_ops},
    {"cubictcp_cong_avoid", 0, struct_ops},
    {"cubictcp_cwnd_event", 0, struct_ops},
    {"cubictcp_init", 0, struct_ops},
    {"cubictcp_recalc_ssthresh", 0, struct_ops},
    {"cubictcp_state", 0, struct_ops},
    {"dctcp_cwnd_event", 0, struct_ops},
    {"dctcp_cwnd_undo", 0, struct_ops},
    {"dctcp_init", 0, struct_ops},
    {"dctcp_ssthresh", 0, struct_ops},
    {"dctcp_state", 0, struct_ops},
    {"dctcp_update_alpha", 0, struct_ops},
    {"hid_bpf_allocate_context", acq | nul, syscall},
    {"hid_bpf_allocate_context", acq | nul | sleep, struct_ops},
    {"hid_bpf_get_data", nul, struct_ops},
    {"hid_bpf_hw_output_report", 0, syscall},
    {"hid_bpf_hw_output_report", sleep, struct_ops},
    {"hid_bpf_hw_request", 0, syscall},
    {"hid_bpf_hw_request", sleep, struct_ops},
    {"hid_bpf_input_report", 0, syscall},
    {"hid_bpf_input_report", sleep, struct_ops},
    {"hid_bpf_release_context", rel, syscall},
    {"hid_bpf_release_context", rel | sleep, struct_ops},
    {"hid_bpf_try_input_report", 0, struct_ops},
    {"scx_bpf_consume", 0, struct_ops},
    {"scx_bpf_cpu_rq", 0, ops},
    {"scx_bpf_cpuperf_cap", 0, ops},
    {"scx_bpf_cpuperf_cur", 0, ops},
    {"scx_bpf_cpuperf_set", 0, ops},
    {"scx_bpf_create_dsq", sleep, struct_ops | syscall},
    {"scx_bpf_destroy_dsq", 0, ops},
    {"scx_bpf_dispatch", rcu, struct_ops},
    {"scx_bpf_dispatch_cancel", 0, struct_ops},
    {"scx_bpf_dispatch_from_dsq", rcu, struct_ops | syscall},
    {"scx_bpf_dispatch_from_dsq_set_slice", rcu, struct_ops | syscall},
    {"scx_bpf_dispatch_from_dsq_set_vtime", rcu, struct_ops | syscall},
    {"scx_bpf_dispatch_nr_slots", 0, struct_ops},
    {"scx_bpf_dispatch_vtime", rcu, struct_ops},
    {"scx_bpf_dispatch_vtime_from_dsq", rcu, struct_ops | syscall},
    {"scx_bpf_dsq_nr_queued", 0, ops},
    {"scx_bpf_dump_bstr", trusted, ops},
    {"scx_bpf_error_bstr", trusted, ops},
    {"scx_bpf_exit_bstr", trusted, ops},
    {"scx_bpf_get_idle_cpumask", acq, ops},
    {"scx_bpf_get_idle_smtmask", acq, ops},
    {"scx_bpf_get_online_cpumask", acq, ops},
    {"scx_bpf_get_possible_cpumask", acq, ops},
    {"scx_bpf_kick_cpu", 0, ops},
    {"scx_bpf_nr_cpu_ids", 0, ops},
    {"scx_bpf_pick_any_cpu", rcu, ops},
    {"scx_bpf_pick_idle_cpu", rcu, ops},
    {"scx_bpf_put_cpumask", rel, ops},
    {"scx_bpf_put_idle_cpumask", rel, ops},
    {"scx_bpf_reenqueue_local", 0, struct_ops},
    {"scx_bpf_select_cpu_dfl", rcu, struct_ops},
    {"scx_bpf_task_cgroup", rcu | acq, ops},
    {"scx_bpf_task_cpu", rcu, ops},
    {"scx_bpf_task_running", rcu, ops},
    {"scx_bpf_test_and_clear_cpu_idle", 0, ops},
    {"tcp_cong_avoid_ai", 0, struct_ops},
    {"tcp_reno_cong_avoid", 0, struct_ops},
    {"tcp_reno_ssthresh", 0, struct_ops},
    {"tcp_reno_undo_cwnd", 0, struct_ops},
    {"tcp_slow_start", 0, struct_ops},
};
// clang-format on
constexpr u32 count = count_of(table);

constexpr int compare(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return static_cast<int>(static_cast<u8>(*a)) - static_cast<int>(static_cast<u8>(*b));
}
constexpr bool is_sorted() {
    for (u32 i = 1; i < count; i++)
        if (compare(table[i - 1].name, table[i].name) > 0)
            return false;
    return true;
}
static_assert(is_sorted());

u32 hook_of(u32 prog_type) {
    switch (prog_type) {
    case BPF_PROG_TYPE_XDP: return xdp;
    case BPF_PROG_TYPE_SCHED_CLS: return tc;
    case BPF_PROG_TYPE_STRUCT_OPS: return struct_ops;
    case BPF_PROG_TYPE_TRACING:
    case BPF_PROG_TYPE_TRACEPOINT:
    case BPF_PROG_TYPE_PERF_EVENT:
    case BPF_PROG_TYPE_LSM: return tracing;
    case BPF_PROG_TYPE_SYSCALL: return syscall;
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_DEVICE:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_CGROUP_SYSCTL: return cgroup;
    case BPF_PROG_TYPE_SCHED_ACT: return sched_act;
    case BPF_PROG_TYPE_SK_SKB: return sk_skb;
    case BPF_PROG_TYPE_SOCKET_FILTER: return socket_filter;
    case BPF_PROG_TYPE_LWT_OUT:
    case BPF_PROG_TYPE_LWT_IN:
    case BPF_PROG_TYPE_LWT_XMIT:
    case BPF_PROG_TYPE_LWT_SEG6LOCAL: return lwt;
    case BPF_PROG_TYPE_NETFILTER: return netfilter;
    case BPF_PROG_TYPE_KPROBE: return kprobe;
    }
    return 0;
}

bool passes(kfunc_filter f, u32 prog_type, u32 attach_type) {
    switch (f) {
    case kfunc_filter::none: return true;
    case kfunc_filter::lsm: return prog_type == BPF_PROG_TYPE_LSM;
    case kfunc_filter::iter: return attach_type == BPF_TRACE_ITER;
    case kfunc_filter::kprobe_session: return attach_type == BPF_TRACE_KPROBE_SESSION;
    }
    return false;
}

}  // namespace

const kfunc_row *find_kfunc(const char *module, const char *name, u32 prog_type, u32 attach_type) {
    span<const kfunc_row> rows = strcmp(module, "bpf_testmod") ? all_kfuncs() : test_module_kfuncs();
    u32 lo = 0, n = static_cast<u32>(rows.size()), hi = n, hooks = anyone | hook_of(prog_type);
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        if (compare(rows[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n && !compare(rows[lo].name, name); lo++)
        if ((rows[lo].hooks & hooks) && passes(rows[lo].filter, prog_type, attach_type))
            return &rows[lo];
    return nullptr;
}

span<const kfunc_row> all_kfuncs() { return {table, count}; }

}  // namespace modbpf
