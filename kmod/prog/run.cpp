// SPDX-License-Identifier: GPL-2.0-only
// Running a program for an event: any context, no lock, no allocation.
#include "interp/interp.h"
#include "prog/hooks.h"
#include "prog/prog.h"
#include "prog/state.h"

namespace modbpf {

namespace {
auto entry_of(const program *p) { return __atomic_load_n(&p->entry, __ATOMIC_ACQUIRE); }
}  // namespace

#ifdef MODBPF_KERNEL
// The interpreter never runs in a kernel: what runs there is the image.
namespace {
u64 execute(program *, u64 (*entry)(const void *), const void *ctx) { return entry(ctx); }
}  // namespace
#else
constinit bool run_by_interpreter = false;
constinit bool verify_only = false;

namespace {
const code *code_in_slot(void *m, u32 index) {
    auto *p = static_cast<program *>(tail_call_target(static_cast<map *>(m), index));
    return p ? &p->verified->image : nullptr;
}

u64 execute(program *p, u64 (*entry)(const void *), const void *ctx) {
    if (!run_by_interpreter)
        return entry(ctx);
    interp_frame frames[interp_frames_with_tail_calls];
    return interpret(p->verified->image, ctx, {frames, interp_frames_with_tail_calls, code_in_slot});
}
}  // namespace
#endif

void count_missed(program *p) {
    preempt_guard here;
    auto *st = static_cast<prog_stats *>(port_this_cpu_ptr(p->stats));
    __atomic_fetch_add(&st->misses, 1, __ATOMIC_RELAXED);
}

u64 run_counted(program *p, const void *ctx, run_ctx &run) {
    run_scope scope(run);
    bool timed = __atomic_load_n(&core->stats_users, __ATOMIC_RELAXED) != 0;
    u64 start = timed ? port_ktime_ns() : 0;
    u64 ret = execute(p, entry_of(p), ctx);
    if (__builtin_expect(timed, 0)) {
        auto *st = static_cast<prog_stats *>(port_this_cpu_ptr(p->stats));
        __atomic_fetch_add(&st->runs, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&st->ns, port_ktime_ns() - start, __ATOMIC_RELAXED);
    }
    return ret;
}

/// No run context: it belongs to a CPU, and a program that sleeps lets others run there.
u64 run_sleepable(program *p, const void *ctx) {
    port_migrate_disable();
    bool timed = __atomic_load_n(&core->stats_users, __ATOMIC_RELAXED) != 0;
    u64 start = timed ? port_ktime_ns() : 0;
    auto entry = entry_of(p);
    u64 ret;
    {
        hooked_run counted_in(p);
        ret = execute(p, entry, ctx);
    }
    if (timed) {
        auto *st = static_cast<prog_stats *>(port_percpu_ptr(p->stats, port_cpu_id()));
        __atomic_fetch_add(&st->runs, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&st->ns, port_ktime_ns() - start, __ATOMIC_RELAXED);
    }
    port_migrate_enable();
    return ret;
}

/// Linux guards these a program, and kprobes, tracepoints and samples together a CPU.
static bool guarded_alone(const prog_type_info &t) {
    return t.type == BPF_PROG_TYPE_RAW_TRACEPOINT || t.type == BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE || t.type == BPF_PROG_TYPE_TRACING ||
           t.type == BPF_PROG_TYPE_LSM;
}

/// Runs unless `active` says that a run goes on here already; that is then a miss of this CPU's `st`.
template <class F> static u64 guarded(prog_stats *st, u32 *active, F &&run_it) {
    u64 ret = 0;
    if (__atomic_add_fetch(active, 1, __ATOMIC_ACQUIRE) != 1)
        __atomic_fetch_add(&st->misses, 1, __ATOMIC_RELAXED);
    else
        ret = run_it();
    __atomic_sub_fetch(active, 1, __ATOMIC_RELEASE);
    return ret;
}

void set_up_events(program &p) {
    u32 *active = guarded_alone(*p.type) ? &p.stats->active : static_cast<u32 *>(core->active);
    p.at_event = {&p.entry, active, &p.stats->misses};
}

#ifdef MODBPF_KERNEL
u64 run_event_measured(program *p, const void *ctx, run_ctx &run) {
#else
u64 run_event(program *p, const void *ctx, run_ctx &run) {
#endif
    preempt_guard here;
    rcu_read_guard readers;
    auto *st = static_cast<prog_stats *>(port_this_cpu_ptr(p->stats));
    u32 *active = guarded_alone(*p->type) ? &st->active : static_cast<u32 *>(port_this_cpu_ptr(core->active));
    return guarded(st, active, [&] { return run_counted(p, ctx, run); });
}

u64 run_unguarded(program *p, const void *ctx, run_ctx &run) {
#ifdef MODBPF_KERNEL
    // The program's own counter, which programs of such events share with nobody.
    const port_program alone{&p->entry, &p->stats->active, &p->stats->misses};
    if (runs_unmeasured())
        return port_run(&alone, ctx, reinterpret_cast<void **>(&run));
#endif
    preempt_guard here;
    rcu_read_guard readers;
    return run_counted(p, ctx, run);
}

u64 run_sleepable_event(program *p, const void *ctx) {
    port_migrate_disable();
    auto *st = static_cast<prog_stats *>(port_percpu_ptr(p->stats, port_cpu_id()));
    u64 ret = guarded(st, &st->active, [&] { return run_sleepable(p, ctx); });
    port_migrate_enable();
    return ret;
}

prog_stats total_stats(const program *p) {
    prog_stats sum{};
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++) {
        auto *st = static_cast<prog_stats *>(port_percpu_ptr(p->stats, cpu));
        sum.runs += __atomic_load_n(&st->runs, __ATOMIC_RELAXED);
        sum.ns += __atomic_load_n(&st->ns, __ATOMIC_RELAXED);
        sum.misses += __atomic_load_n(&st->misses, __ATOMIC_RELAXED) + __atomic_load_n(&st->kernel.missed, __ATOMIC_RELAXED);
    }
    return sum;
}

}  // namespace modbpf
