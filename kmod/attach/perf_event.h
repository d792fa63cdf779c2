// SPDX-License-Identifier: GPL-2.0-only
// perf_event: the object behind a "[perf_event]" fd: what perf_event_open() gives for the events that carry BPF programs.
//
// Kinds: kprobe, kretprobe (dynamic PMU "kprobe"), uprobe, uretprobe (dynamic PMU "uprobe"), tracepoint, counter (hardware, software and
// cache events and breakpoints, which call a program at each overflow and can be read by programs), and the software event
// PERF_COUNT_SW_BPF_OUTPUT, whose ring programs write to through a PERF_EVENT_ARRAY. The hook of a probe is there from open to the last
// reference, as in Linux, where programs run whether or not the event itself is enabled, for all tasks and CPUs; one in user space can be for
// the address space of one task. A counter runs while it
// is enabled, for its task and CPU; there are no samples of it beside what its program makes of them.
//
// Ownership: the fd, links and PERF_EVENT_ARRAY slots hold references. The event holds a reference to its program, set and
// cleared under state::event_lock; handlers read it under RCU. The ring belongs to the event while it is mapped (mmap_lock).
// Errno and behaviour: kernel/events/core.c, kernel/trace/bpf_trace.c.
#pragma once

#include "attach/perf_ring.h"
#include "base/lock.h"
#include "base/vec.h"
#include "prog/files.h"
#include "prog/prog.h"

namespace modbpf {

struct perf_event : perf_sink, refcounted<perf_event> {
    enum class kind : u8 { kprobe, kretprobe, uprobe, uretprobe, tracepoint, counter, output };
    static constexpr u32 symbol_len = 512; ///< KSYM_NAME_LEN

    counted alive;
    ~perf_event();

    kind what = kind::output;
    u32 attr_type = 0;
    u64 config = 0;         ///< tracepoint: its id
    perf_format format{};
    bool unprivileged = false; ///< by a caller without CAP_PERFMON
    bool enabled = false;   ///< output events take samples only while enabled

    program *prog = nullptr; ///< RCU; written under event_lock; holds a reference
    u64 cookie = 0;
    bool regs_read = false;  ///< counter: its program, or one that it may go on to, can see registers
    bool bare = false;       ///< tracepoint: its hook passes no record, which nobody looks at. Atomic
    port_event *hook = nullptr;
    perf_event *next = nullptr; ///< in the list of tracepoint events with programs
    u64 addr = 0, offset = 0;   ///< kprobe; uprobe: offset in the file
    vec<char> path;             ///< uprobe's file, as it was given
    char symbol[symbol_len]{};  ///< kprobe's symbol, or the tracepoint's name

    mutex mmap_lock{"perf_mmap"};
    rcu_ptr<perf_ring> ring;
    port_waitq *waitq = nullptr;
    port_rcu_head rcu{};
    reap_item reap{};

    bool in_user_space() const { return what == kind::uprobe || what == kind::uretprobe; }
    reaper &reaper_of() const;
    bool tracing() const { return what != kind::output; }
    static void dispose(perf_event *e);
};

extern const port_file_ops perf_file_ops; ///< "[perf_event]"
extern const perf_array_hooks perf_array_access;

using perf_output_fn = long (*)(perf_sink *s, const void *a, size_t a_size, const void *b, size_t b_size);
extern const perf_output_fn perf_event_output; ///< what an event of ours does as a sink
extern long (*const perf_event_read)(perf_sink *s, u64 (&value)[3]);

/// perf_event_open(): a new fd or -errno (attach/perf_open.cpp).
long perf_event_open_fd(u64 uattr, s32 pid, s32 cpu, s32 group_fd, u64 flags);
/// The same with attributes in the kernel's memory, cut to `size` bytes.
long perf_event_adopt_fd(const void *attr, u32 size, s32 pid, s32 cpu);
/// A new reference. EBADF also for a file that is no perf event, as Linux's perf_event_get.
result<ref<perf_event>> perf_event_from_fd(int fd);

/// Attaches p to the event (takes its own reference). EINVAL: wrong kind; EEXIST: has one; E2BIG: 64 on this tracepoint;
/// EACCES: reads beyond the record.
status perf_event_set_prog(perf_event *e, program *p, u64 cookie);
/// Ends what perf_event_set_prog began; afterwards no run for this event is under way, but that of a program that sleeps in user space's
/// task, which can end later. Task context.
void perf_event_clear_prog(perf_event *e);
/// Functions of `p`, whose hooks are made, are about to be traced or replaced: tracepoints pass it their records from here on. ENOMEM.
/// Task context.
status perf_events_show_records(const program &p);
/// The id of its program; 0: it has none. Task context.
u32 perf_event_prog_id(perf_event *e);
/// PERF_EVENT_IOC_QUERY_BPF.
long perf_event_query(perf_event *e, u64 uquery);

/// Hooks of the kinds (kprobe.cpp, uprobe.cpp, tracepoint.cpp): fill e->hook.
status kprobe_open(perf_event *e, u64 ufunc, u64 addr_or_offset);
status uprobe_open(perf_event *e, u64 upath, u64 offset, s32 pid);
status tracepoint_open(perf_event *e); ///< its hook is there only while it has a program, since how it is made depends on that
status tracepoint_hook(perf_event *e, const program &p);
status tracepoint_show_record(perf_event *e); ///< of one that is bare; under event_lock. ENOMEM: it is yet
status counter_open(perf_event *e, port_perf_spec &spec);

}  // namespace modbpf
