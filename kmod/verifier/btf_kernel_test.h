// SPDX-License-Identifier: GPL-2.0-only
// A small kernel for tests: types, functions, hooks, tracepoints, iterators, operations and variables as its BTF would describe them, so
// that verdicts do not depend on the machine's own.
#pragma once

#include "btf/btf_builder_test.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

struct small_kernel {
    ref<btf> types;
    // Functions and other targets.
    u32 plain, many, modify, exit_fn, deny, variadic, big_ret, syscall_like;
    u32 hook_int, hook_void, hook_bool, hook_disabled, hook_sleeps, hook_untrusted;
    u32 tp_trace, tp_error, not_tp, iter_task, iter_elem, iter_unknown, iter_absent;
    u32 tcp_ops, dummy_ops, other_ops;
    // Variables.
    u32 var_int, var_struct, var_percpu_int, var_percpu_struct, var_void;
    u32 task, sock, ns;

    small_kernel() {
        btf_builder b;
        using K = btf_kind;
        using M = std::vector<btf_builder::member>;
        u32 i = b.int32(), w = b.integer("unsigned long", 8, 64), c = b.integer("char", 1, 8);
        auto ptr = [&](u32 t) { return b.refer(K::pointer, t); };
        auto structure = [&](const char *n, u32 size, const M &m) { return b.composite(K::structure, n, size, m); };
        ns = structure("ns", 8, {{"inum", i, 0}});
        u32 css = structure("css_set", 8, {{"n", w, 0}});
        u32 ids = b.count + 1; // task_struct: points to itself
        u32 self_ptr = ids + 1, css_ptr = ids + 2, ns_ptr = ids + 3, char_ptr = ids + 4, either = ids + 5, user_ptr = ids + 6, rcu_ns = ids + 8;
        task = structure("task_struct", 72, {{"pid", i, 0}, {"flags", i, 32}, {"real_parent", self_ptr, 64}, {"cgroups", css_ptr, 128},
                                             {"nsproxy", ns_ptr, 192}, {"comm_ptr", char_ptr, 256}, {"u", either, 320}, {"usr", user_ptr, 384},
                                             {"rcu_ns", rcu_ns, 448}, {"stack", w, 512}});
        b.refer(K::pointer, task);
        b.refer(K::pointer, css);
        b.refer(K::pointer, ns);
        b.refer(K::pointer, c);
        b.composite(K::union_, "", 8, {{"a", ns_ptr, 0}, {"b", w, 0}});
        b.refer(K::pointer, ids + 9);
        b.refer(K::type_tag, ns, "rcu");
        b.refer(K::pointer, ids + 7);
        b.refer(K::type_tag, task, "user");
        EXPECT_EQ(b.count, ids + 9);
        u32 meta = structure("bpf_iter_meta", 8, {{"seq", w, 0}});
        u32 map = structure("bpf_map", 16, {{"max_entries", i, 0}, {"inner", ptr(ns), 64}});
        structure("bpf_array", 32, {{"map", map, 0}, {"mask", i, 128}, {"value", b.array(c, i, 0), 256}});
        sock = structure("sock", 16, {{"num", w, 0}, {"sk_pacing_rate", w, 64}});
        u32 tcp = structure("tcp_sock", 40, {{"sk", sock, 0}, {"snd_cwnd", i, 128}, {"ca", w, 192}, {"rest", w, 256}});
        (void)tcp;
        u32 proto_int = b.proto(i, {{"t", self_ptr, 0}, {"n", i, 0}});
        u32 pair = structure("pair", 16, {{"a", w, 0}, {"b", w, 64}});
        plain = b.func("plain", proto_int);
        many = b.func("many", b.proto(self_ptr, {{"p", pair, 0}, {"n", w, 0}, {"v", ptr(0), 0}, {"ip", ptr(i), 0}, {"s__nullable", ptr(sock), 0},
                                                 {"usr", user_ptr, 0}, {"pp", ptr(self_ptr), 0}}));
        modify = b.func("security_thing", proto_int);
        exit_fn = b.func("do_exit", b.proto(0, {{"code", w, 0}}));
        deny = b.func("migrate_disable", b.proto(0, {}));
        variadic = b.func("printk", b.proto(i, {{"fmt", char_ptr, 0}, {"", 0, 0}}));
        big_ret = b.func("big", b.proto(b.integer("__int128", 16, 128), {}));
        syscall_like = b.func("bpf_fentry_test1", b.proto(i, {{"a", i, 0}}));
        hook_int = b.func("bpf_lsm_file_open", b.proto(i, {{"t", self_ptr, 0}}));
        hook_void = b.func("bpf_lsm_cred_free", b.proto(0, {{"t", self_ptr, 0}}));
        hook_bool = b.func("bpf_lsm_audit_rule_known", b.proto(i, {{"t", self_ptr, 0}}));
        hook_disabled = b.func("bpf_lsm_getprocattr", b.proto(i, {{"t", self_ptr, 0}}));
        hook_sleeps = b.func("bpf_lsm_task_alloc", b.proto(i, {{"t", self_ptr, 0}}));
        hook_untrusted = b.func("bpf_lsm_task_free", b.proto(0, {{"t", self_ptr, 0}}));
        auto tracepoint = [&](const char *n, const M &args) { return b.refer(K::typedef_, ptr(b.proto(0, args)), n); };
        tp_trace = tracepoint("btf_trace_sched_process_wait", {{"", ptr(0), 0}, {"", self_ptr, 0}, {"", self_ptr, 0}, {"", i, 0}});
        tp_error = tracepoint("btf_trace_signal_deliver", {{"", ptr(0), 0}, {"", i, 0}, {"", self_ptr, 0}});
        not_tp = b.refer(K::typedef_, i, "u32");
        iter_task = b.func("bpf_iter_task", b.proto(i, {{"meta", ptr(meta), 0}, {"task", self_ptr, 0}}));
        iter_elem = b.func("bpf_iter_bpf_map_elem", b.proto(i, {{"meta", ptr(meta), 0}, {"map", ptr(map), 0}, {"key", ptr(0), 0}, {"value", ptr(0), 0}}));
        iter_unknown = b.func("bpf_iter_nothing", b.proto(i, {{"meta", ptr(meta), 0}}));
        iter_absent = b.func("bpf_iter_tcp", b.proto(i, {{"meta", ptr(meta), 0}}));
        u32 op = ptr(b.proto(0, {{"sk", ptr(sock), 0}})), op_int = ptr(b.proto(i, {{"sk", ptr(sock), 0}}));
        tcp_ops = structure("tcp_congestion_ops", 32, {{"init", op, 0}, {"ssthresh", op_int, 64}, {"get_info", op_int, 128}, {"flags", w, 192}});
        u32 state = structure("bpf_dummy_ops_state", 8, {{"val", i, 0}});
        u32 dummy = ptr(b.proto(i, {{"cb", ptr(state), 0}}));
        dummy_ops = structure("bpf_dummy_ops", 16, {{"test_1", dummy, 0}, {"test_sleepable", dummy, 64}});
        b.func("bpf_dummy_ops__test_1", b.proto(i, {{"cb__nullable", ptr(state), 0}}), BTF_FUNC_STATIC);
        other_ops = structure("other_ops", 8, {{"init", op, 0}});
        auto variable = [&](const char *n, u32 t) { return b.type(n, b.info(K::var), t, {BTF_VAR_GLOBAL_ALLOCATED}); };
        var_int = variable("jiffies", w);
        var_struct = variable("init_task", task);
        var_percpu_int = variable("cpu_number", i);
        var_percpu_struct = variable("runqueue", task);
        b.type(".data..percpu", b.info(K::datasec, 2), 80, {var_percpu_int, 0, 4, var_percpu_struct, 8, 72});
        var_void = b.func("kfree", b.proto(0, {{"p", ptr(0), 0}}));
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
        if (types)
            types->kernel = true;
    }
};

inline const small_kernel &kernel_of_tests() {
    static small_kernel k;
    return k;
}

}  // namespace modbpf::test
