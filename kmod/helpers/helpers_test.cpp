// SPDX-License-Identifier: GPL-2.0-only
// The table, and the families that need no map.
#include "helpers/dynptr.h"
#include "helpers/families.h"
#include "isa/code.h"
#include "helpers/helper.h"
#include "helpers/kfuncs.h"
#include "helpers/uprobe.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <string>

using namespace modbpf;
using std::string;

namespace {

s64 num(u64 r) {
    return static_cast<s64>(r);
}

TEST(table, finds_by_id) {
    EXPECT_EQ(find_helper(BPF_FUNC_map_lookup_elem)->id, BPF_FUNC_map_lookup_elem);
    EXPECT_EQ(find_helper(BPF_FUNC_unspec), nullptr);
    EXPECT_EQ(find_helper(BPF_FUNC_skb_vlan_push), nullptr);
    EXPECT_EQ(find_helper(func_id_count), nullptr);
    EXPECT_EQ(find_helper(~0u), nullptr);
    for (const helper_proto &p : all_helpers()) {
        const helper_proto *runs = find_helper(p.id);
        EXPECT_TRUE(!p.fn || runs) << helper_name(p.id);
        EXPECT_TRUE(!runs || runs->fn) << helper_name(p.id);
    }
}

/// One helper, another function for each kind of program; code of no known type takes the first one.
TEST(table, what_runs_depends_on_the_program) {
    code c;
    auto fn = [&](u32 type, u32 attach) {
        c.prog_type = type;
        c.attach_type = attach;
        const helper_proto *p = helper_of(c, BPF_FUNC_get_func_ret);
        return p ? p->fn : nullptr;
    };
    EXPECT_EQ(fn(BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT), bpf_get_func_ret);
    EXPECT_EQ(fn(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY), bpf_get_func_ret_at_entry);
    EXPECT_EQ(fn(BPF_PROG_TYPE_LSM, BPF_LSM_MAC), bpf_get_func_ret_at_entry);
    EXPECT_NE(fn(0, 0), nullptr);
    c.prog_type = BPF_PROG_TYPE_TRACING;
    EXPECT_EQ(helper_of(c, BPF_FUNC_skb_vlan_push), nullptr);
}

TEST(table, names) {
    EXPECT_STREQ(helper_name(1), "map_lookup_elem");
    EXPECT_STREQ(helper_name(211), "cgrp_storage_delete");
    EXPECT_STREQ(helper_name(0), "unspec");
    EXPECT_EQ(helper_name(212), nullptr);
    EXPECT_EQ(helper_name(~0u), nullptr);
}

bool allowed(u32 id, u32 type) {
    return find_helper(id, type, 0);
}

TEST(table, program_types_as_linux) {
    EXPECT_FALSE(allowed(BPF_FUNC_get_current_comm, BPF_PROG_TYPE_XDP));
    EXPECT_TRUE(allowed(BPF_FUNC_get_current_comm, BPF_PROG_TYPE_KPROBE));
    EXPECT_FALSE(allowed(BPF_FUNC_probe_read, BPF_PROG_TYPE_SCHED_CLS));
    EXPECT_TRUE(allowed(BPF_FUNC_probe_read_kernel, BPF_PROG_TYPE_SCHED_CLS));
    EXPECT_FALSE(allowed(BPF_FUNC_ktime_get_coarse_ns, BPF_PROG_TYPE_TRACEPOINT));
    EXPECT_FALSE(allowed(BPF_FUNC_csum_diff, BPF_PROG_TYPE_SOCKET_FILTER));
    EXPECT_FALSE(allowed(BPF_FUNC_skb_load_bytes, BPF_PROG_TYPE_XDP));
    EXPECT_FALSE(allowed(BPF_FUNC_xdp_adjust_head, BPF_PROG_TYPE_SCHED_CLS));
    EXPECT_FALSE(allowed(BPF_FUNC_get_attach_cookie, BPF_PROG_TYPE_SCHED_CLS));
}

TEST(table, licence_and_maps_as_linux) {
    for (u32 id : {BPF_FUNC_trace_printk, BPF_FUNC_snprintf, BPF_FUNC_probe_read_user, BPF_FUNC_perf_event_output,
                   BPF_FUNC_get_current_task, BPF_FUNC_get_func_ip})
        EXPECT_TRUE(find_helper(id)->flags & helper_gpl_only) << id;
    for (u32 id :
         {BPF_FUNC_map_lookup_elem, BPF_FUNC_ktime_get_ns, BPF_FUNC_ringbuf_output, BPF_FUNC_get_attach_cookie})
        EXPECT_FALSE(find_helper(id)->flags & helper_gpl_only) << id;
    auto takes = [](u32 id, u32 type) { return find_helper(id)->map_types >> type & 1; };
    EXPECT_TRUE(takes(BPF_FUNC_map_lookup_elem, BPF_MAP_TYPE_HASH));
    EXPECT_FALSE(takes(BPF_FUNC_map_lookup_elem, BPF_MAP_TYPE_PROG_ARRAY));
    EXPECT_FALSE(takes(BPF_FUNC_map_lookup_elem, BPF_MAP_TYPE_RINGBUF));
    EXPECT_FALSE(takes(BPF_FUNC_map_update_elem, BPF_MAP_TYPE_PERF_EVENT_ARRAY));
    EXPECT_EQ(find_helper(BPF_FUNC_tail_call)->map_types, bit(BPF_MAP_TYPE_PROG_ARRAY));
    EXPECT_FALSE(takes(BPF_FUNC_map_push_elem, BPF_MAP_TYPE_ARRAY));
}

/// The prototype depends on the program and on where it attaches.
TEST(table, rows_of_one_id) {
    auto at = [](u32 id, u32 type, u32 attach) { return find_helper(id, type, attach); };
    EXPECT_TRUE(at(BPF_FUNC_bind, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT));
    EXPECT_FALSE(at(BPF_FUNC_bind, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND));
    EXPECT_TRUE(at(BPF_FUNC_setsockopt, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_CONNECT));
    EXPECT_FALSE(at(BPF_FUNC_setsockopt, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETSOCKNAME));
    EXPECT_TRUE(at(BPF_FUNC_seq_printf, BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER));
    EXPECT_FALSE(at(BPF_FUNC_seq_printf, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY));
    EXPECT_TRUE(at(BPF_FUNC_get_func_ret, BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT));
    EXPECT_FALSE(at(BPF_FUNC_get_func_ret, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP));
    auto ops = [&](u32 id, struct_ops_kind k) { return at(id, BPF_PROG_TYPE_STRUCT_OPS, static_cast<u32>(k)); };
    EXPECT_TRUE(ops(BPF_FUNC_setsockopt, struct_ops_kind::tcp));
    EXPECT_FALSE(ops(BPF_FUNC_setsockopt, struct_ops_kind::tcp_release));
    EXPECT_FALSE(ops(BPF_FUNC_tcp_send_ack, struct_ops_kind::sched_ext));
    EXPECT_TRUE(ops(BPF_FUNC_task_storage_get, struct_ops_kind::sched_ext));
    EXPECT_FALSE(at(BPF_FUNC_sk_assign, BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP)->args[1] ==
                 at(BPF_FUNC_sk_assign, BPF_PROG_TYPE_SCHED_CLS, 0)->args[1]);
    EXPECT_TRUE(at(BPF_FUNC_get_smp_processor_id, BPF_PROG_TYPE_XDP, 0)->flags & helper_fastcall);
    EXPECT_FALSE(at(BPF_FUNC_get_smp_processor_id, BPF_PROG_TYPE_SOCKET_FILTER, 0)->flags & helper_fastcall);
    // A syscall program may trace without CAP_PERFMON.
    EXPECT_FALSE(at(BPF_FUNC_trace_printk, BPF_PROG_TYPE_SYSCALL, 0)->flags & helper_needs_perfmon);
    EXPECT_TRUE(at(BPF_FUNC_trace_printk, BPF_PROG_TYPE_XDP, 0)->flags & helper_needs_perfmon);
    for (u32 id = 1; id < func_id_count; id++)
        EXPECT_TRUE(any_helper(id)) << helper_name(id);
    EXPECT_FALSE(any_helper(0));
    EXPECT_FALSE(any_helper(func_id_count));
}

TEST(table, hooks) {
    auto may = [](hook_rule r, u32 type, u32 attach, const char *name) { return hook_allows(r, type, attach, name); };
    constexpr u32 tracing = BPF_PROG_TYPE_TRACING, lsm = BPF_PROG_TYPE_LSM;
    EXPECT_TRUE(may(hook_rule::d_path, tracing, BPF_TRACE_FENTRY, "dentry_open"));
    EXPECT_FALSE(may(hook_rule::d_path, tracing, BPF_TRACE_FENTRY, "dentry_open2"));
    EXPECT_FALSE(may(hook_rule::d_path, tracing, BPF_TRACE_FENTRY, nullptr));
    EXPECT_TRUE(may(hook_rule::d_path, tracing, BPF_TRACE_ITER, "bpf_iter_task_file"));
    EXPECT_TRUE(may(hook_rule::d_path, lsm, BPF_LSM_MAC, "bpf_lsm_file_open"));
    EXPECT_FALSE(may(hook_rule::d_path, lsm, BPF_LSM_MAC, "file_open"));
    EXPECT_TRUE(may(hook_rule::sleepable_lsm, lsm, BPF_LSM_MAC, "bpf_lsm_bprm_committed_creds"));
    EXPECT_FALSE(may(hook_rule::sleepable_lsm, lsm, BPF_LSM_MAC, "bpf_lsm_task_free_"));
    EXPECT_FALSE(may(hook_rule::not_sk_storage, tracing, BPF_TRACE_FENTRY, "bpf_sk_storage_free"));
    EXPECT_TRUE(may(hook_rule::not_sk_storage, tracing, BPF_TRACE_FENTRY, "tcp_connect"));
    EXPECT_FALSE(may(hook_rule::not_sk_storage, tracing, BPF_MODIFY_RETURN, "tcp_connect"));
    EXPECT_TRUE(may(hook_rule::iter_sockets, tracing, BPF_TRACE_ITER, "bpf_iter_tcp"));
    EXPECT_FALSE(may(hook_rule::iter_sockets, tracing, BPF_TRACE_ITER, "bpf_iter_udp"));
    EXPECT_TRUE(may(hook_rule::lsm_sockets, lsm, BPF_LSM_CGROUP, "bpf_lsm_socket_post_create"));
    EXPECT_FALSE(may(hook_rule::lsm_sockets, lsm, BPF_LSM_CGROUP, "bpf_lsm_socket_bind"));
    EXPECT_EQ(struct_ops_kind_of("tcp_congestion_ops", "release"), struct_ops_kind::tcp_release);
    EXPECT_EQ(struct_ops_kind_of("tcp_congestion_ops", "init"), struct_ops_kind::tcp);
    EXPECT_EQ(struct_ops_kind_of("bpf_dummy_ops", "test_1"), struct_ops_kind::none);
    EXPECT_EQ(struct_ops_kind_of("hid_bpf_ops", "hid_device_event"), struct_ops_kind::plain);
}

/// Two pages, the second one not accessible.
class guarded {
public:
    guarded()
        : p(static_cast<char *>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        mprotect(p + 4096, 4096, PROT_NONE);
    }
    ~guarded() { munmap(p, 8192); }
    char *end() const { return p + 4096; }

private:
    char *p;
};

TEST(probe, reads_and_zeroes_on_fault) {
    guarded g;
    memcpy(g.end() - 8, "abcdefgh", 8);
    for (helper_fn read : {bpf_probe_read, bpf_probe_read_user, bpf_probe_read_kernel}) {
        char dst[12];
        memset(dst, 'x', sizeof(dst));
        EXPECT_EQ(read(addr_of(dst), 8, addr_of(g.end() - 8), 0, 0), 0u);
        EXPECT_EQ(string(dst, 12), "abcdefghxxxx");
        EXPECT_EQ(num(read(addr_of(dst), 10, addr_of(g.end() - 8), 0, 0)), -EFAULT);
        EXPECT_EQ(string(dst, 12), string(10, '\0') + "xx");
        EXPECT_EQ(num(read(addr_of(dst), 4, 0, 0, 0)), -EFAULT);
        EXPECT_EQ(read(addr_of(dst + 11), 0, 0, 0, 0), 0u);           // nothing asked, nothing touched
        EXPECT_EQ(read(addr_of(dst + 11), 1ull << 32, 0, 0, 0), 0u);  // the size is 32 bits wide
        EXPECT_EQ(dst[11], 'x');
    }
}

TEST(probe, strings) {
    guarded g;
    memcpy(g.end() - 6, "hello", 6);
    for (helper_fn read : {bpf_probe_read_str, bpf_probe_read_user_str, bpf_probe_read_kernel_str}) {
        char dst[8];
        memset(dst, 'x', sizeof(dst));
        EXPECT_EQ(read(addr_of(dst), 8, addr_of(g.end() - 6), 0, 0), 6u);
        EXPECT_STREQ(dst, "hello");
        EXPECT_EQ(read(addr_of(dst), 3, addr_of(g.end() - 6), 0, 0), 3u);
        EXPECT_STREQ(dst, "he");
        EXPECT_EQ(read(addr_of(dst), 1, addr_of(g.end() - 6), 0, 0), 1u);
        EXPECT_STREQ(dst, "");
        EXPECT_EQ(read(addr_of(dst), 8, addr_of(g.end() - 1), 0, 0), 1u);  // the empty string
        EXPECT_EQ(read(addr_of(dst), 0, addr_of(g.end() - 6), 0, 0), 0u);
        memset(dst, 'x', sizeof(dst));
        g.end()[-1] = '!';  // no NUL before the hole
        EXPECT_EQ(num(read(addr_of(dst), 8, addr_of(g.end() - 3), 0, 0)), -EFAULT);
        EXPECT_EQ(string(dst, 8), string(8, '\0'));
        g.end()[-1] = '\0';
    }
}

TEST(strings, strncmp) {
    auto cmp = [](const char *a, u64 n, const char *b) { return num(bpf_strncmp(addr_of(a), n, addr_of(b), 0, 0)); };
    EXPECT_EQ(cmp("abc", 4, "abc"), 0);
    EXPECT_EQ(cmp("abc", 3, "abcd"), 0);
    EXPECT_EQ(cmp("abc", 4, "abd"), -1);
    EXPECT_EQ(cmp("b", 2, "abc"), 1);
    EXPECT_EQ(cmp("\xff", 2, "a"), 1);  // unsigned
    EXPECT_EQ(cmp("a\0x", 4, "a\0y"), 0);
}

struct number_row {
    const char *text;
    u64 flags;
    s64 result;
    s64 value;
};

const number_row strtol_rows[] = {
    {"123", 0, 3, 123},
    {"-123", 0, 4, -123},
    {"  \t42x", 0, 5, 42},
    {"0x1f", 0, 4, 31},
    {"0X1F", 16, 4, 31},
    {"1f", 16, 2, 31},
    {"017", 0, 3, 15},
    {"17", 8, 2, 15},
    {"0", 0, 1, 0},
    {"0x", 0, 1, 0},
    {"0x", 16, -EINVAL, 0},
    {"08", 0, 1, 0},
    {"+5", 0, -EINVAL, 0},
    {"--5", 0, -EINVAL, 0},
    {"- 5", 0, -EINVAL, 0},
    {"", 0, -EINVAL, 0},
    {"-", 0, -EINVAL, 0},
    {"   ", 0, -EINVAL, 0},
    {"12", 2, -EINVAL, 0},
    {"12", 10 | 32, -EINVAL, 0},
    {"9223372036854775807", 10, 19, 0x7fffffffffffffff},
    {"9223372036854775808", 10, -ERANGE, 0},
    {"-9223372036854775808", 10, 20, -0x7fffffffffffffff - 1},
    {"-9223372036854775809", 10, -ERANGE, 0},
    {"99999999999999999999", 10, -ERANGE, 0},
};

/// CVE-2024-47728: where there is no number, the result is 0, not what the program's stack held.
TEST(strings, strtol) {
    for (const number_row &r : strtol_rows) {
        s64 v = 99;
        string exact(r.text);  // the buffer ends with the last character: nothing behind it may be read
        std::vector<char> buf(exact.begin(), exact.end());
        EXPECT_EQ(num(bpf_strtol(addr_of(buf.data()), buf.size(), r.flags, addr_of(&v), 0)), r.result) << r.text;
        EXPECT_EQ(v, r.value) << r.text;
    }
}

TEST(strings, strtoul) {
    auto parse = [](const char *s, u64 *v) { return num(bpf_strtoul(addr_of(s), strlen(s), 10, addr_of(v), 0)); };
    u64 v = 99;
    EXPECT_EQ(parse("18446744073709551615", &v), 20);
    EXPECT_EQ(v, ~0ull);
    EXPECT_EQ(parse("18446744073709551616", &v), -ERANGE);
    EXPECT_EQ(v, 0u);
    EXPECT_EQ(parse("-1", &v), -EINVAL);
    EXPECT_EQ(v, 0u);
}

TEST(task, identity) {
    EXPECT_EQ(bpf_get_current_pid_tgid(0, 0, 0, 0, 0), static_cast<u64>(getpid()) << 32 | static_cast<u32>(gettid()));
    EXPECT_EQ(bpf_get_current_uid_gid(0, 0, 0, 0, 0), static_cast<u64>(getgid()) << 32 | getuid());
    EXPECT_NE(bpf_get_current_task(0, 0, 0, 0, 0), 0u);
    char old[16], comm[20];
    prctl(PR_GET_NAME, old);
    prctl(PR_SET_NAME, "fifteen-letters");
    memset(comm, 'x', sizeof(comm));
    EXPECT_EQ(bpf_get_current_comm(addr_of(comm), 18, 0, 0, 0), 0u);
    EXPECT_EQ(string(comm, 20), string("fifteen-letters\0\0\0xx", 20));
    EXPECT_EQ(bpf_get_current_comm(addr_of(comm), 4, 0, 0, 0), 0u);
    EXPECT_EQ(string(comm, 5), string("fif\0e", 5));
    prctl(PR_SET_NAME, old);
}

TEST(time, clocks_go_on) {
    for (helper_fn clock :
         {bpf_ktime_get_ns, bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns, bpf_ktime_get_tai_ns, bpf_jiffies64}) {
        u64 a = clock(0, 0, 0, 0, 0), b = clock(0, 0, 0, 0, 0);
        EXPECT_GT(a, 0u);
        EXPECT_GE(b, a);
    }
    preempt_guard preempt;
    EXPECT_LT(bpf_get_smp_processor_id(0, 0, 0, 0, 0), port_cpu_count());
    EXPECT_LE(bpf_get_prandom_u32(0, 0, 0, 0, 0), 0xffffffffu);
}

TEST(attached_runs, the_innermost_run_answers) {
    preempt_guard preempt;
    EXPECT_EQ(bpf_get_func_ip(0, 0, 0, 0, 0), 0u);
    EXPECT_EQ(bpf_get_attach_cookie(0, 0, 0, 0, 0), 0u);
    run_ctx outer{.func_ip = 1, .cookie = 2}, inner{.func_ip = 3, .cookie = 4};
    run_scope a(outer);
    {
        run_scope b(inner);
        EXPECT_EQ(bpf_get_func_ip(0, 0, 0, 0, 0), 3u);
        EXPECT_EQ(bpf_get_attach_cookie(0, 0, 0, 0, 0), 4u);
    }
    EXPECT_EQ(bpf_get_func_ip(0, 0, 0, 0, 0), 1u);
    EXPECT_EQ(bpf_get_attach_cookie(0, 0, 0, 0, 0), 2u);
}

TEST(attached_runs, sessions_keep_data) {
    preempt_guard preempt;
    u64 data = 7, somewhere = kfunc_session_cookie(0, 0, 0, 0, 0);
    *ptr_of<u64>(somewhere) = 1; // outside of a session: memory all the same
    EXPECT_EQ(kfunc_session_is_return(0, 0, 0, 0, 0), 0u);
    run_ctx run{.call_data = &data, .at_return = true};
    run_scope a(run);
    EXPECT_EQ(kfunc_session_cookie(0, 0, 0, 0, 0), addr_of(&data));
    EXPECT_EQ(kfunc_session_is_return(0, 0, 0, 0, 0), 1u);
}

/// What stands for a helper that only passes on gives what the helper gives.
TEST(helper_table, plain_functions_are_what_helpers_call) {
    u32 rows = 0;
    for (const helper_proto &p : all_helpers()) {
        if (!p.plain)
            continue;
        rows++;
        EXPECT_EQ(p.asleep, nullptr) << helper_name(p.id);
        for (arg_type a : p.args)
            EXPECT_EQ(a, arg_type::none) << helper_name(p.id);
        u64 before = p.fn(0, 0, 0, 0, 0), plain = p.plain(), behind = p.fn(0, 0, 0, 0, 0);
        if (p.id == BPF_FUNC_get_prandom_u32) {
            EXPECT_LE(plain, 0xffffffffu);
            continue;
        }
        EXPECT_LE(before, plain) << helper_name(p.id);
        EXPECT_LE(plain, behind) << helper_name(p.id);
        EXPECT_LT(behind - before, 10'000'000'000u) << helper_name(p.id); // of clocks
    }
    EXPECT_EQ(rows, 5u);
}

/// What a sleepable program at a probe in user space asks stands before its context.
TEST(attached_runs, words_before_a_context) {
    u64 words[uprobe_words + 21] = {};
    u64 *context = words + uprobe_words;
    context[uprobe_addr] = 5, context[uprobe_cookie] = 6;
    EXPECT_EQ(bpf_get_func_ip_uprobe(addr_of(context), 0, 0, 0, 0), 5u);
    EXPECT_EQ(bpf_get_attach_cookie_uprobe(addr_of(context), 0, 0, 0, 0), 6u);
    code c;
    c.prog_type = BPF_PROG_TYPE_KPROBE;
    for (u32 id : {BPF_FUNC_get_func_ip, BPF_FUNC_get_attach_cookie, BPF_FUNC_get_stack, BPF_FUNC_get_stackid}) {
        const helper_proto *p = helper_of(c, id);
        c.sleepable = false;
        EXPECT_EQ(function_of(c, *p), p->fn) << id;
        c.sleepable = true;
        EXPECT_NE(function_of(c, *p), p->fn) << id;
    }
}

/// Memory that a program gives uninitialised it may read after the call, also when that failed.
TEST(uninitialized, nothing_is_left_as_it_was_by_a_failure) {
    u64 b[2];
    run_dynptr null{}, d{};
    EXPECT_EQ(bpf_dynptr_from_mem(addr_of(b), 8, 0, addr_of(&d), 0), 0u);
    const u64 traced[] = {0, 2}, *ctx = traced + 1; // no argument, a result
    auto zeroed = [&](auto call) {
        b[0] = b[1] = 7;
        return static_cast<s64>(call()) < 0 && !b[0];
    };
    EXPECT_TRUE(zeroed([&] { return bpf_dynptr_read(addr_of(b), 8, addr_of(&null), 0, 0); }));
    EXPECT_TRUE(zeroed([&] { return bpf_dynptr_read(addr_of(b), 8, addr_of(&d), 0, 1); }));
    EXPECT_TRUE(zeroed([&] { return bpf_dynptr_read(addr_of(b), 8, addr_of(&d), 1, 0); }));
    EXPECT_TRUE(zeroed([&] { return bpf_copy_from_user_task(addr_of(b), 8, 0, 0, 1); }));
    EXPECT_TRUE(zeroed([&] { return bpf_get_func_arg(addr_of(ctx), 0, addr_of(b), 0, 0); }));
    EXPECT_TRUE(zeroed([&] { return bpf_get_func_ret_at_entry(addr_of(ctx), addr_of(b), 0, 0, 0); }));
    EXPECT_EQ(b[1], 7u);
}

}  // namespace
