// SPDX-License-Identifier: GPL-2.0-only
// perf_event_open() for the events that carry BPF programs. Everything else is refused with EOPNOTSUPP and a log line that
// names it; what Linux itself refuses gets Linux's errno first.
#include "attach/perf_event.h"
#include "prog/state.h"

namespace modbpf {

namespace {

/// struct perf_event_attr as Linux 6.12 lays it out.
struct perf_attr {
    u32 type, size;
    u64 config, sample_period, sample_type, read_format, flags;
    u32 wakeup_events, bp_type;
    u64 config1, config2, branch_sample_type, sample_regs_user;
    u32 sample_stack_user;
    s32 clockid;
    u64 sample_regs_intr;
    u32 aux_watermark;
    u16 sample_max_stack, reserved_2;
    u32 aux_sample_size, aux_action;
    u64 sig_data, config3;
};
static_assert(sizeof(perf_attr) == 136);
constexpr u32 attr_size_ver0 = 64;

// Bits of perf_attr::flags.
enum : u64 {
    attr_disabled = 1ull << 0, attr_inherit = 1ull << 1, attr_exclude_kernel = 1ull << 5, attr_freq = 1ull << 10, attr_enable_on_exec = 1ull << 12,
    attr_mmap = 1ull << 8, attr_comm = 1ull << 9, attr_task = 1ull << 13,
    attr_watermark = 1ull << 14, attr_mmap_data = 1ull << 17, attr_sample_id_all = 1ull << 18, attr_use_clockid = 1ull << 25,
    attr_write_backward = 1ull << 27, attr_inherit_thread = 1ull << 35, attr_remove_on_exec = 1ull << 36,
    attr_sigtrap = 1ull << 37, attr_reserved = ~0ull << 38,
};
/// Records of other things than samples, in the ring of an event.
constexpr u64 attr_side_records = attr_mmap | attr_comm | attr_task | attr_mmap_data | 1ull << 23 | 1ull << 24 | 1ull << 26 |
                                  0x3full << 28 | 1ull << 34;
/// What the kernel's counters know of the attribute bits: disabled, inherit, pinned, exclusive, exclude_user, _kernel, _hv, _idle, freq,
/// inherit_stat, enable_on_exec, precise_ip, exclude_host, _guest, inherit_thread.
constexpr u64 attr_of_counters = 0xffull | attr_freq | 1ull << 11 | attr_enable_on_exec | 3ull << 15 | 3ull << 19 | attr_inherit_thread;
constexpr u64 attr_not_counters = attr_side_records | attr_remove_on_exec | attr_sigtrap | attr_write_backward;
constexpr u64 sample_type_known = (1ull << 25) - 1, sample_raw = 1ull << 10, sample_branch_stack = 1ull << 11, read_format_known = (1u << 5) - 1;
// perf_event_open's flags.
enum : u64 { flag_no_group = 1, flag_output = 2, flag_pid_cgroup = 4, flag_cloexec = 8, flags_known = 15 };
constexpr u32 type_hardware = 0, type_software = 1, type_tracepoint = 2, type_hw_cache = 3, type_raw = 4, type_breakpoint = 5;
constexpr u64 count_sw_bpf_output = 10;

status unsupported(const char *what) {
    port_log(PORT_LOG_INFO, "perf_event_open: %s: not supported", what);
    return error(EOPNOTSUPP);
}

/// On a size that we do not understand the caller learns ours.
status copy_attr(perf_attr &a, u64 uattr) {
    u32 size = 0;
    if (port_copy_from_user(&size, uattr + __builtin_offsetof(perf_attr, size), sizeof(size)))
        return error(EFAULT);
    if (!size)
        size = attr_size_ver0;
    status fits = size < attr_size_ver0 || size > PORT_PAGE_SIZE ? status(error(E2BIG)) : check_user_tail(uattr, sizeof(a), size);
    if (!fits.ok()) {
        u32 ours = sizeof(a);
        if (fits.err().code() == E2BIG)
            (void)port_copy_to_user(uattr + __builtin_offsetof(perf_attr, size), &ours, sizeof(ours));
        return fits.err();
    }
    if (port_copy_from_user(&a, uattr, min<u32>(size, sizeof(a))))
        return error(EFAULT);
    a.size = size;
    return {};
}

/// Something that kernel.perf_event_paranoid lets callers without CAP_PERFMON do up to this level.
bool may_at_level(int level) { return port_capable(PORT_CAP_PERFMON) || port_perf_paranoid() <= level; }

status check_attr(const perf_attr &a) {
    bool bad = a.flags & attr_reserved || a.reserved_2 || a.aux_action >> 3 || a.sample_type & ~sample_type_known ||
               a.read_format & ~read_format_known || (a.flags & attr_inherit_thread && !(a.flags & attr_inherit)) ||
               (a.flags & attr_remove_on_exec && a.flags & attr_enable_on_exec) ||
               (a.flags & attr_sigtrap && !(a.flags & attr_remove_on_exec));
    if (bad)
        return error(EINVAL);
    if (!may_at_level(a.flags & attr_exclude_kernel ? 2 : 1))
        return error(EACCES);
    if (!(a.flags & attr_freq) && a.sample_period >> 63)
        return error(EINVAL);
    return {};
}

status check_target(s32 pid, s32 cpu, s32 group_fd, u64 flags) {
    if (flags & flag_pid_cgroup)
        return pid == -1 || cpu == -1 ? status(error(EINVAL)) : unsupported("cgroup events");
    if (group_fd != -1) {
        TRY(perf_event_from_fd(group_fd));
        return unsupported("event groups");
    }
    if (cpu < -1 || (cpu >= 0 && static_cast<u32>(cpu) >= port_cpu_count()) || (cpu == -1 && pid == -1))
        return error(EINVAL);
    return {};
}

bool is_counter(u32 type) {
    return type == type_hardware || type == type_software || type == type_hw_cache || type == type_raw || type == type_breakpoint;
}

/// What the event is, from its type and configuration.
status classify(const perf_attr &a, s32 pid, perf_event &e) {
    if (a.type == type_tracepoint) {
        e.what = perf_event::kind::tracepoint;
    } else if (a.type == type_software && a.config == count_sw_bpf_output) {
        e.what = perf_event::kind::output;
        if (pid != -1)
            return unsupported("PERF_COUNT_SW_BPF_OUTPUT of one task");
    } else if (int pmu = port_perf_pmu_type("kprobe"); pmu >= 0 && a.type == static_cast<u32>(pmu)) {
        e.what = a.config & 1 ? perf_event::kind::kretprobe : perf_event::kind::kprobe;
    } else if (pmu = port_perf_pmu_type("uprobe"); pmu >= 0 && a.type == static_cast<u32>(pmu)) {
        e.what = a.config & 1 ? perf_event::kind::uretprobe : perf_event::kind::uprobe;
    } else if (is_counter(a.type)) {
        e.what = perf_event::kind::counter;
        if (a.flags & attr_not_counters)
            return unsupported("records of a counter, remove_on_exec or sigtrap");
    } else {
        return unsupported("this type of event");
    }
    if (a.sample_type & sample_branch_stack)
        return error(EOPNOTSUPP);
    if (!e.tracing()) {
        if (a.sample_type & ~supported_samples)
            return unsupported("a sample_type bit");
        if (a.flags & (attr_use_clockid | attr_write_backward))
            return unsupported("clock or direction of a ring");
    }
    return {};
}

/// What the event itself asks for. Of other tasks Linux asks whether the caller may trace them; here they are not for callers without
/// CAP_PERFMON, and neither are tracepoints of their own task, of which Linux marks some as harmless.
status check_rights(const perf_attr &a, s32 pid, const perf_event &e) {
    if (port_capable(PORT_CAP_PERFMON))
        return {};
    if (e.what != perf_event::kind::tracepoint && e.what != perf_event::kind::counter && e.what != perf_event::kind::output)
        return error(EACCES);
    if (e.what == perf_event::kind::tracepoint && a.sample_type & sample_raw && !may_at_level(-1))
        return error(EPERM);
    return (pid == -1 && !may_at_level(0)) || pid > 0 ? status(error(EACCES)) : status();
}

constinit u64 last_event_id = 0;

void configure(perf_event &e, const perf_attr &a, s32 cpu) {
    e.unprivileged = !port_capable(PORT_CAP_PERFMON);
    e.output = perf_event_output;
    e.read = perf_event_read;
    e.cpu = static_cast<u32>(cpu);
    e.attr_type = a.type;
    e.config = a.config;
    e.enabled = !(a.flags & attr_disabled);
    e.format = {.sample_type = a.sample_type,
                .sample_id_all = (a.flags & attr_sample_id_all) != 0,
                .watermark = (a.flags & attr_watermark) != 0,
                .wakeup = a.wakeup_events,
                .id = __atomic_add_fetch(&last_event_id, 1, __ATOMIC_RELAXED),
                .period = a.sample_period};
}

status open_counter(perf_event &e, const perf_attr &a, s32 pid, s32 cpu) {
    port_perf_spec spec{};
    spec.type = a.type, spec.pid = pid, spec.cpu = cpu;
    spec.config = a.config, spec.config1 = a.config1, spec.config2 = a.config2;
    spec.bp_type = a.bp_type;
    spec.period = a.sample_period, spec.sample_type = a.sample_type, spec.flags = a.flags & attr_of_counters;
    return counter_open(&e, spec);
}

status open_hook(perf_event &e, const perf_attr &a, s32 pid, s32 cpu) {
    switch (e.what) {
    case perf_event::kind::counter:
        return open_counter(e, a, pid, cpu);
    case perf_event::kind::tracepoint:
        return tracepoint_open(&e);
    case perf_event::kind::kprobe:
    case perf_event::kind::kretprobe:
        return kprobe_open(&e, a.config1, a.config2);
    case perf_event::kind::uprobe:
    case perf_event::kind::uretprobe:
        return uprobe_open(&e, a.config1, a.config2, pid);
    case perf_event::kind::output:
        return port_cpu_online(static_cast<u32>(cpu)) ? status() : status(error(ENODEV));
    }
    return error(EINVAL);
}

result<ref<perf_event>> open_event(const perf_attr &a, s32 pid, s32 cpu, s32 group_fd, u64 flags) {
    TRY(check_attr(a));
    TRY(check_target(pid, cpu, group_fd, flags));
    own<perf_event> e(make<perf_event>(PORT_SLEEPING));
    if (!e || !(e->waitq = port_waitq_create()))
        return error(ENOMEM);
    TRY(classify(a, pid, *e));
    TRY(check_rights(a, pid, *e));
    configure(*e, a, cpu);
    TRY(open_hook(*e, a, pid, cpu));
    return ref<perf_event>(adopt, e.release());
}

long open_fd(const perf_attr &a, s32 pid, s32 cpu, s32 group_fd, u64 flags) {
    result<ref<perf_event>> e = open_event(a, pid, cpu, group_fd, flags);
    if (!e)
        return e.code();
    int fd = port_fd_create(&perf_file_ops, e->get(), flags & flag_cloexec ? PORT_FD_CLOEXEC : 0);
    if (fd >= 0)
        (void)e->release();
    return fd;
}

}  // namespace

long perf_event_open_fd(u64 uattr, s32 pid, s32 cpu, s32 group_fd, u64 flags) {
    if (flags & ~static_cast<u64>(flags_known))
        return -EINVAL;
    if (!may_at_level(2))
        return -EACCES;
    perf_attr a{};
    status copied = copy_attr(a, uattr);
    return copied ? open_fd(a, pid, cpu, group_fd, flags) : copied.code();
}

long perf_event_adopt_fd(const void *attr, u32 size, s32 pid, s32 cpu) {
    perf_attr a{};
    for (u32 i = sizeof(a); i < size; i++)
        if (static_cast<const u8 *>(attr)[i])
            return -E2BIG;
    __builtin_memcpy(&a, attr, min<u32>(size, sizeof(a)));
    a.size = min<u32>(size, sizeof(a));
    return open_fd(a, pid, cpu, -1, flag_cloexec);
}

}  // namespace modbpf
