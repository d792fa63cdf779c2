// SPDX-License-Identifier: GPL-2.0-only
// Program types of tracing, of calls by the kernel (LSM, struct_ops, extensions) and of system calls. What may be accessed follows
// kprobe_prog_is_valid_access, tp_prog_is_valid_access, pe_prog_is_valid_access, raw_tp_writable_prog_is_valid_access,
// syscall_prog_is_valid_access and lirc_mode2_is_valid_access of Linux 6.12.
#include "prog/type_rows.h"

namespace modbpf {

using namespace type_rows;

namespace {

constexpr u32 pt_regs_size = 21 * 8;    // x86-64
constexpr u32 trace_record_max = 8192;  // PERF_MAX_TRACE_SIZE
constexpr u32 raw_args_size = 12 * 8;   // MAX_BPF_FUNC_ARGS words
constexpr u32 syscall_ctx_max = 0xffff; // U16_MAX: no access starts there or behind it

constexpr attach_set entry_exit = on(BPF_TRACE_FENTRY, BPF_TRACE_FEXIT);

/// The run-time context is the structure itself (attach/counter.cpp, attach/raw_tp.cpp).
constexpr ctx_field in_place(ctx_field f) {
    f.runs = true;
    f.run_off = f.off;
    return f;
}
// struct bpf_perf_event_data
constexpr ctx_field perf_event_fields[] = {
    in_place(dwords("regs", 0, pt_regs_size)),
    in_place({"sample_period", 168, 8, any_size, 0, number}),
    in_place({"addr", 176, 8, any_size, 0, number}),
};

constexpr ctx_field tp_buffer_field() {
    ctx_field f = pointer("args[0]", 0, reg_type::tp_buffer);
    f.at_start = true; // an access that starts in the middle reads the word as any other
    return in_place(f);
}
constexpr ctx_field writable_tp_fields[] = {tp_buffer_field()};

constexpr ctx_field lirc_mode2_fields[] = {words("sample", 0)};

constexpr return_rule kprobe_returns[] = {{on(BPF_TRACE_KPROBE_SESSION), 0, 1}};
constexpr return_rule tracing_returns[] = {{entry_exit, 0, 0}, {on(BPF_TRACE_ITER), 0, 1}};

}  // namespace

constinit const prog_type_info kprobe_type = {
    .type = BPF_PROG_TYPE_KPROBE,
    .name = "kprobe",
    .kind = ctx_kind::flat,
    .size = pt_regs_size,
    .returns = kprobe_returns,
    .sleeps = sleep_rule::may, // for uprobes
    .raw_ctx = true,
};

constinit const prog_type_info tracepoint_type = {
    .type = BPF_PROG_TYPE_TRACEPOINT,
    .name = "tracepoint",
    .kind = ctx_kind::flat,
    .size = trace_record_max,
    .first = 8, // the first word of a record is the kernel's own
    .raw_ctx = true,
};

constinit const prog_type_info perf_event_type = {
    .type = BPF_PROG_TYPE_PERF_EVENT,
    .name = "perf_event",
    .kind = ctx_kind::fields,
    .size = 184,
    .fields = perf_event_fields,
};

constinit const prog_type_info raw_tracepoint_type = {
    .type = BPF_PROG_TYPE_RAW_TRACEPOINT,
    .name = "raw_tracepoint",
    .kind = ctx_kind::flat,
    .size = raw_args_size,
    .raw_ctx = true,
    .test_run = true,
};

constinit const prog_type_info raw_tracepoint_writable_type = {
    .type = BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
    .name = "raw_tracepoint_writable",
    .kind = ctx_kind::flat,
    .size = raw_args_size,
    .fields = writable_tp_fields,
    .raw_ctx = true,
};

constinit const prog_type_info tracing_type = {
    .type = BPF_PROG_TYPE_TRACING,
    .name = "tracing",
    .kind = ctx_kind::btf,
    .size = raw_args_size,
    .returns = tracing_returns,
    .sleeps = sleep_rule::may,
    .sleep_attach = entry_exit | on(BPF_MODIFY_RETURN, BPF_TRACE_ITER),
    .raw_ctx = true,
    .test_run = true,
    .verify_only = true,
    .runs_attach = entry_exit | on(BPF_TRACE_RAW_TP, BPF_MODIFY_RETURN, BPF_TRACE_ITER),
};

constinit const prog_type_info lsm_type = {
    .type = BPF_PROG_TYPE_LSM,
    .name = "lsm",
    .kind = ctx_kind::btf,
    .size = raw_args_size,
    .sleeps = sleep_rule::may,
    .sleep_attach = ~on(BPF_LSM_CGROUP),
    .raw_ctx = true,
    .verify_only = true,
    .runs_attach = on(BPF_LSM_MAC),
};

constinit const prog_type_info struct_ops_type = {
    .type = BPF_PROG_TYPE_STRUCT_OPS,
    .name = "struct_ops",
    .kind = ctx_kind::btf,
    .size = raw_args_size,
    .sleeps = sleep_rule::may,
    .raw_ctx = true,
    .verify_only = true,
};

constinit const prog_type_info ext_type = {
    .type = BPF_PROG_TYPE_EXT,
    .name = "ext",
    .kind = ctx_kind::btf,
    .attach_types = on(0),
    .raw_ctx = true,
    .verify_only = true,
};

constinit const prog_type_info syscall_type = {
    .type = BPF_PROG_TYPE_SYSCALL,
    .name = "syscall",
    .kind = ctx_kind::flat,
    .size = syscall_ctx_max,
    .attach_types = on(0),
    .sleeps = sleep_rule::must,
    .raw_ctx = true,
    .writable = true,
    .test_run = true,
};

constinit const prog_type_info lirc_mode2_type = {
    .type = BPF_PROG_TYPE_LIRC_MODE2,
    .name = "lirc_mode2",
    .kind = ctx_kind::fields,
    .size = 4,
    .fields = lirc_mode2_fields,
    .raw_ctx = true,
    .verify_only = true,
};

}  // namespace modbpf
