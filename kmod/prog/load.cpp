// SPDX-License-Identifier: GPL-2.0-only
// PROG_LOAD: from the caller's attributes to a registered program. The order of checks is Linux 6.12's.
#include "base/sha1.h"
#include "btf/core_relo.h"
#include "btf/prog_info.h"
#include "isa/code.h"
#include "prog/attach_target.h"
#include "prog/files.h"
#include "prog/prog.h"
#include "prog/state.h"

namespace modbpf {

#ifndef MODBPF_KERNEL
constinit const verify_observer *load_observer = nullptr;
#endif

namespace {

constexpr u32 known_prog_flags = BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT | BPF_F_TEST_STATE_FREQ | BPF_F_SLEEPABLE |
                                 BPF_F_TEST_RND_HI32 | BPF_F_XDP_HAS_FRAGS | BPF_F_XDP_DEV_BOUND_ONLY |
                                 BPF_F_TEST_REG_INVARIANTS | BPF_F_TOKEN_FD;
constexpr u32 unprivileged_max_insns = 4096; // BPF_MAXINSNS
constexpr u32 tag_insns = 32; ///< hashed at a time

constexpr u64 net_admin_types =
    bit(BPF_PROG_TYPE_SCHED_CLS) | bit(BPF_PROG_TYPE_SCHED_ACT) | bit(BPF_PROG_TYPE_XDP) | bit(BPF_PROG_TYPE_LWT_IN) |
    bit(BPF_PROG_TYPE_LWT_OUT) | bit(BPF_PROG_TYPE_LWT_XMIT) | bit(BPF_PROG_TYPE_LWT_SEG6LOCAL) | bit(BPF_PROG_TYPE_SK_SKB) |
    bit(BPF_PROG_TYPE_SK_MSG) | bit(BPF_PROG_TYPE_FLOW_DISSECTOR) | bit(BPF_PROG_TYPE_CGROUP_DEVICE) |
    bit(BPF_PROG_TYPE_CGROUP_SOCK) | bit(BPF_PROG_TYPE_CGROUP_SOCK_ADDR) | bit(BPF_PROG_TYPE_CGROUP_SOCKOPT) |
    bit(BPF_PROG_TYPE_CGROUP_SYSCTL) | bit(BPF_PROG_TYPE_SOCK_OPS) | bit(BPF_PROG_TYPE_EXT) | bit(BPF_PROG_TYPE_NETFILTER);
constexpr u64 perfmon_types = bit(BPF_PROG_TYPE_KPROBE) | bit(BPF_PROG_TYPE_TRACEPOINT) | bit(BPF_PROG_TYPE_PERF_EVENT) |
                              bit(BPF_PROG_TYPE_RAW_TRACEPOINT) | bit(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE) |
                              bit(BPF_PROG_TYPE_TRACING) | bit(BPF_PROG_TYPE_LSM) | bit(BPF_PROG_TYPE_STRUCT_OPS) |
                              bit(BPF_PROG_TYPE_EXT);

constexpr u64 unprivileged_types = bit(BPF_PROG_TYPE_SOCKET_FILTER) | bit(BPF_PROG_TYPE_CGROUP_SKB);

bool in_mask(u64 mask, u32 type) { return type < 64 && (mask & bit(type)); }

/// The caller must be allowed to load this type at all.
status check_rights(const prog_load_attr &a) {
    bool bpf_cap = port_capable(PORT_CAP_BPF);
    if (!bpf_cap && !port_unprivileged_bpf())
        return error(EPERM);
    if (a.insn_cnt == 0 || a.insn_cnt > (bpf_cap ? max_insns_privileged : unprivileged_max_insns))
        return error(E2BIG);
    if (!bpf_cap && !in_mask(unprivileged_types, a.prog_type))
        return error(EPERM);
    if (in_mask(net_admin_types, a.prog_type) && !port_capable(PORT_CAP_NET_ADMIN))
        return error(EPERM);
    if (in_mask(perfmon_types, a.prog_type) && !port_capable(PORT_CAP_PERFMON))
        return error(EPERM);
    return {};
}

/// The attach type that the program is for: some types stand for one when none is named.
u32 meant_attach_type(const prog_load_attr &a) {
    const prog_type_info *t = find_prog_type(a.prog_type);
    return t && !a.expected_attach_type ? t->default_attach : a.expected_attach_type;
}

/// Is the program's type attached in that way?
status check_attach_type(const prog_load_attr &a) {
    const prog_type_info *t = find_prog_type(a.prog_type);
    return t && !in_attach_set(t->attach_types, meant_attach_type(a)) ? status(error(EINVAL)) : status();
}

bool gpl_compatible(const char *license) {
    static constexpr const char *const names[] = {
        "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
    };
    for (const char *n : names)
        if (strcmp(license, n) == 0)
            return true;
    return false;
}

/// What the verifier is asked, and what must live as long as the question.
struct load_job {
    const prog_load_attr &a;
    u64 uattr;
    u32 usize;
    program &p;
    const load_target &target;
    vec<bpf_insn> insns{};
    vec<func_info> funcs{};
    vec<line_info> lines{};
    verifier_log log{};
};

status copy_program(load_job &j) {
    TRY(j.insns.resize_zeroed(j.a.insn_cnt));
    if (port_copy_from_user(j.insns.data(), j.a.insns, j.a.insn_cnt * sizeof(bpf_insn)))
        return error(EFAULT);
    char license[128];
    if (port_strncpy_from_user(license, j.a.license, sizeof(license)) < 0)
        return error(EFAULT);
    j.p.gpl_compatible = gpl_compatible(license);
    return {};
}

/// count records of rec_size bytes each from user memory.
status copy_records(vec<u8> &out, u64 from, u32 count, u32 rec_size) {
    u64 bytes = static_cast<u64>(count) * rec_size;
    if (bytes > PORT_ALLOC_MAX)
        return error(ENOMEM);
    TRY(out.resize_zeroed(bytes));
    return port_copy_from_user(out.data(), from, bytes) ? status(error(EFAULT)) : status();
}

/// After E2BIG the caller learns the record size that is known here.
error tell_record_size(const load_job &j, error e, u32 field, u32 known) {
    if (e.code() == E2BIG && port_copy_to_user(j.uattr + field, &known, sizeof(known)))
        return error(EFAULT);
    return e;
}

status load_func_info(load_job &j) {
    const prog_load_attr &a = j.a;
    if (!a.func_info_cnt)
        return {};
    TRY(func_info_rec_size_check(a.func_info_rec_size, j.log));
    vec<u8> raw;
    TRY(copy_records(raw, a.func_info, a.func_info_cnt, a.func_info_rec_size));
    result<vec<func_info>> f = func_info_parse({raw.view(), a.func_info_cnt, a.func_info_rec_size}, *j.p.types, j.log);
    if (!f)
        return tell_record_size(j, f.err(), __builtin_offsetof(prog_load_attr, func_info_rec_size), sizeof(func_info));
    j.funcs = move(*f);
    return {};
}

status load_line_info(load_job &j) {
    const prog_load_attr &a = j.a;
    if (!a.line_info_cnt)
        return {};
    TRY(line_info_rec_size_check(a.line_info_cnt, a.line_info_rec_size));
    vec<u8> raw;
    TRY(copy_records(raw, a.line_info, a.line_info_cnt, a.line_info_rec_size));
    result<vec<line_info>> l =
        line_info_parse({raw.view(), a.line_info_cnt, a.line_info_rec_size}, *j.p.types, j.insns.view(), j.log);
    if (!l)
        return tell_record_size(j, l.err(), __builtin_offsetof(prog_load_attr, line_info_rec_size), sizeof(line_info));
    j.lines = move(*l);
    return {};
}

/// Adapts the instructions to the kernel's types. A record may be longer than a core_relo: the rest must be zero.
status load_core_relos(load_job &j) {
    const prog_load_attr &a = j.a;
    constexpr u32 known = sizeof(core_relo), max_records = 0x7fffffff / known;
    if (!a.core_relo_cnt)
        return {};
    if (a.core_relo_cnt > max_records || a.core_relo_rec_size < known || a.core_relo_rec_size > 252 ||
        a.core_relo_rec_size % sizeof(u32))
        return error(EINVAL);
    vec<u8> raw;
    TRY(copy_records(raw, a.core_relos, a.core_relo_cnt, a.core_relo_rec_size));
    auto kernel = btf::vmlinux();
    core_targets targets{kernel.ok() ? kernel->get() : nullptr, btf::modules};
    for (u32 i = 0; i < a.core_relo_cnt; i++) {
        span<const u8> record = raw.view().sub(static_cast<size_t>(i) * a.core_relo_rec_size, a.core_relo_rec_size);
        for (u32 b = known; b < record.size(); b++)
            if (record[b]) {
                j.log.printf("nonzero tailing record in core_relo");
                return tell_record_size(j, error(E2BIG), __builtin_offsetof(prog_load_attr, core_relo_rec_size), known);
            }
        core_relo r;
        memcpy(&r, record.data(), known);
        if (r.insn_off % sizeof(bpf_insn) || r.insn_off / sizeof(bpf_insn) >= j.insns.size()) {
            j.log.printf("Invalid core_relo[%u].insn_off:%u prog->len:%u\n", i, r.insn_off, static_cast<u32>(j.insns.size()));
            return error(EINVAL);
        }
        TRY(core_apply(r, i, *j.p.types, targets, j.insns.view(), j.log));
    }
    return {};
}

status load_debug_info(load_job &j) {
    const prog_load_attr &a = j.a;
    if (!a.func_info_cnt && !a.line_info_cnt)
        return {};
    j.p.types = TRY(btf_from_fd(static_cast<int>(a.prog_btf_fd)));
    if (j.p.types->kernel)
        return error(EACCES);
    TRY(load_func_info(j));
    TRY(load_line_info(j));
    return load_core_relos(j);
}

status run_verifier(load_job &j) {
    TRY(load_debug_info(j));
    verify_request req{
        .insns = j.insns.view(),
        .type = j.p.type,
        .expected_attach_type = j.p.expected_attach_type,
        .prog_flags = j.a.prog_flags,
        .gpl_compatible = j.p.gpl_compatible,
        .perfmon = port_capable(PORT_CAP_PERFMON),
        .bpf = port_capable(PORT_CAP_BPF),
        .may_reboot = port_capable(PORT_CAP_SYS_BOOT),
        .program = &j.p,
        .types = j.p.types.get(),
        .funcs = j.funcs.view(),
        .lines = j.lines.view(),
        .attach = j.target.request,
        .fd_array = j.a.fd_array,
        .map_from_fd = map_from_fd,
        .btf_from_fd = btf_from_fd,
        .verify_only = verify_only,
    };
#ifndef MODBPF_KERNEL
    req.observer = load_observer;
#endif
    if (req.attach.extension) { // verified as a part of the program that it changes
        req.type = j.target.prog->type;
        req.expected_attach_type = j.target.prog->expected_attach_type;
    }
    j.p.verified = TRY(verify(req, j.log));
    return {};
}

/// The log is finished whatever the verdict; its own failure takes precedence, as in Linux.
status verify_with_log(load_job &j) {
    TRY(j.log.init(j.a.log_level, j.a.log_buf, j.a.log_size));
    status verdict = run_verifier(j);
    u32 true_size = 0;
    status logged = j.log.finalize(&true_size);
    constexpr u32 at = __builtin_offsetof(prog_load_attr, log_true_size);
    if (j.usize >= at + sizeof(u32) && port_copy_to_user(j.uattr + at, &true_size, sizeof(true_size)))
        return error(EFAULT);
    return logged.ok() ? verdict.ok() ? status() : status(verdict.err()) : status(logged.err());
}

status tag_subprogs(program &p) {
    const code &c = p.verified->image;
    if (c.subprogs.size() < 2)
        return {};
    span<const bpf_insn> xlated = p.verified->xlated.view();
    for (const code_subprog &s : c.subprogs) {
        if (MODBPF_BUG_ON(s.end > xlated.size() || s.start > s.end))
            return error(EFAULT);
        TRY(p.func_tags.push(tag_of(xlated.sub(s.start, s.end - s.start))));
    }
    return {};
}

/// As net.core.bpf_jit_harden has it: 1: who may use BPF by right is trusted.
bool must_blind() {
    int harden = port_jit_harden();
    return harden > 1 || (harden == 1 && !port_capable(PORT_CAP_BPF));
}

status translate(program &p) {
    if (p.verified->absent[0]) // verified only: there is nothing to run
        return tag_subprogs(p);
    p.blinded = must_blind();
    jit_options options;
    options.blind = p.blinded;
    p.image = TRY(jit_compile(p.verified->image, options));
    p.entry = p.image.entry();
    p.tail_entry = p.image.tail_entry();
    if (MODBPF_BUG_ON(!p.entry || !p.tail_entry))
        return error(EFAULT);
    set_up_events(p);
    for (const ref<map> &m : p.verified->maps)
        if (m->params.type == BPF_MAP_TYPE_PROG_ARRAY && !prog_array_accepts(m.get(), &p))
            return error(EINVAL);
    TRY(tag_subprogs(p));
    if (p.verified->uses_trace_printk)
        port_trace_line_enable();
    if (p.verified->uses_kernel_types)
        (void)btf::vmlinux(); // parsed now, in task context; where there are none the helper says so
    if (p.verified->warns_of) {
        char comm[16];
        port_current_comm(comm, sizeof(comm));
        port_log(PORT_LOG_WARN, "%s[%u] is installing a program with bpf_%s helper that may corrupt user memory!", comm,
                 static_cast<u32>(port_current_pid_tgid()), p.verified->warns_of);
    }
    return {};
}

status fill(load_job &j) {
    const prog_load_attr &a = j.a;
    TRY(copy_program(j));
    if (a.prog_ifindex) // bound to a device: there is none that could run or hold the program
        return error(EINVAL);
    j.p.type = find_prog_type(a.prog_type);
    if (!j.p.type)
        return error(EINVAL);
    j.p.load_time_ns = port_ktime_boot_ns();
    TRY(copy_name(j.p.name, a.prog_name));
    j.p.tag = tag_of(j.insns.view());
    TRY(verify_with_log(j));
    TRY(translate(j.p));
    return core->progs.add(&j.p, &j.p.id);
}

}  // namespace

prog_tag tag_of(span<const bpf_insn> insns) {
    MODBPF_UNINITIALIZED bpf_insn some[tag_insns];
    u32 count = 0;
    bool second_half = false; // of a map load: numbers that differ from load to load are left out
    sha1 hash;
    for (const bpf_insn &in : insns) {
        bpf_insn &copy = some[count++];
        copy = in;
        bool map_load = in.code == (BPF_LD | BPF_IMM | BPF_DW) &&
                        (in.src_reg == BPF_PSEUDO_MAP_FD || in.src_reg == BPF_PSEUDO_MAP_VALUE);
        bool tail = second_half && in.code == 0 && in.dst_reg == 0 && in.src_reg == 0 && in.off == 0;
        if (tail || (!second_half && map_load))
            copy.imm = 0;
        second_half = !second_half && map_load;
        if (count == tag_insns) {
            hash.update(some, sizeof(some));
            count = 0;
        }
    }
    hash.update(some, count * sizeof(bpf_insn));
    u8 digest[sha1::digest_size];
    hash.finish(digest);
    prog_tag tag;
    memcpy(tag.bytes, digest, sizeof(tag.bytes));
    return tag;
}

result<ref<program>> prog_load(const prog_load_attr &a, u64 uattr, u32 size) {
    if (a.prog_flags & ~known_prog_flags)
        return error(EINVAL);
    if (a.prog_flags & BPF_F_TOKEN_FD) { // there are no tokens here: whatever the fd is, it is not one
        result<ref<program>> any = prog_from_fd(a.prog_token_fd);
        return error(!any.ok() && any.err().code() == EBADF ? EBADF : EINVAL);
    }
    TRY(check_rights(a));
    load_target target;
    TRY(target.find(a));
    TRY(check_attach_type(a));
    own<program> p(make<program>(PORT_SLEEPING));
    if (!p)
        return error(ENOMEM);
    p->stats = static_cast<prog_stats *>(port_percpu_alloc(sizeof(prog_stats), alignof(prog_stats), PORT_SLEEPING));
    if (!p->stats)
        return error(ENOMEM);
    p->expected_attach_type = meant_attach_type(a);
    p->sleepable = a.prog_flags & BPF_F_SLEEPABLE;
    p->xdp_has_frags = a.prog_flags & BPF_F_XDP_HAS_FRAGS;
    p->created_by_uid = static_cast<u32>(port_current_uid_gid());
    p->attach_types = target.types;
    if (target.prog) {
        p->target_type = target.prog->type->type;
        p->target_attach_type = target.prog->expected_attach_type;
        p->traces_tracer = a.prog_type == BPF_PROG_TYPE_TRACING && p->target_type == BPF_PROG_TYPE_TRACING;
    }
    const btf *hook_types = target.prog ? target.prog->types.get() : target.types.get();
    p->hook_types = hook_types ? hook_types->serial : 0;
    p->attach_prog = target.prog;
    p->attach_btf_id = a.attach_btf_id;
    load_job job{a, uattr, size, *p, target};
    TRY(fill(job));
    return ref<program>(adopt, p.release());
}

}  // namespace modbpf
