// SPDX-License-Identifier: GPL-2.0-only
// trace_printk, trace_vprintk, snprintf, seq_printf. Scratch memory is per CPU, in levels: a program in an interrupt or NMI may
// print while the interrupted one does; the fourth level gets EBUSY.
#include "helpers/families.h"
#include "helpers/format.h"
#include "helpers/helper.h"
#include "helpers/seq.h"

namespace modbpf {

namespace {

constexpr u32 nesting_max = 3;

struct print_level {
    format_scratch scratch;
    char line[format_line_max];
};
struct print_cpu {
    u32 depth;
    print_level levels[nesting_max];
};
constinit void *print_cpus = nullptr;

/// The scratch of one call. An interrupt between the steps is balanced again before it returns.
class print_scope {
public:
    print_scope() : cpu_(static_cast<print_cpu *>(port_this_cpu_ptr(print_cpus))) {
        u32 depth = __atomic_fetch_add(&cpu_->depth, 1, __ATOMIC_RELAXED);
        level_ = depth < nesting_max ? &cpu_->levels[depth] : nullptr;
    }
    ~print_scope() { __atomic_fetch_sub(&cpu_->depth, 1, __ATOMIC_RELAXED); }
    print_scope(const print_scope &) = delete;
    /// Takes in what the format reads through pointers: 0; -EBUSY: too many are printing on this CPU; or what is wrong with the format.
    long collect(const char *fmt, u32 fmt_size, const u64 *args, u32 arg_count) {
        if (!level_)
            return -EBUSY;
        result<u32> r = format_collect(fmt, fmt_size, args, arg_count, &level_->scratch);
        return r.ok() ? 0 : r.code();
    }
    print_level *operator->() const { return level_; } ///< behind collect()

private:
    preempt_guard here_; ///< first: a program that may sleep can be preempted by another that prints on this CPU
    print_cpu *cpu_;
    print_level *level_;
};

long print_line(const char *fmt, u32 fmt_size, const u64 *args, u32 arg_count) {
    u32 n = 0;
    while (n < fmt_size && fmt[n])
        n++;
    if (n == fmt_size)
        return -EINVAL;
    print_scope scope;
    if (long rc = scope.collect(fmt, n, args, arg_count))
        return rc;
    u32 len = format_render(scope->line, format_line_max, fmt, n, args, arg_count, &scope->scratch);
    port_trace_line(scope->line);
    return len;
}

bool bad_args(u64 args, u32 bytes) {
    return bytes % 8 || bytes > format_max_args * 8 || (bytes && !args);
}

}  // namespace

status helpers_init() {
    print_cpus = port_percpu_alloc(sizeof(print_cpu), 8, PORT_SLEEPING);
    if (!print_cpus)
        return error(ENOMEM);
    status others = spin_locks_init();
    if (others.ok())
        others = seqs_init();
    if (!others.ok())
        helpers_exit();
    return others;
}

void helpers_exit() {
    seqs_exit();
    spin_locks_exit();
    port_percpu_free(print_cpus);
    print_cpus = nullptr;
}

u64 bpf_trace_printk(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    const u64 args[] = {r3, r4, r5};
    return helper_errno(print_line(ptr_of<const char>(r1), static_cast<u32>(r2), args, 3));
}

u64 bpf_trace_vprintk(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u32 bytes = static_cast<u32>(r4);
    if (bad_args(r3, bytes))
        return helper_errno(-EINVAL);
    return helper_errno(print_line(ptr_of<const char>(r1), static_cast<u32>(r2), ptr_of<const u64>(r3), bytes / 8));
}

/// The text goes to its place at once; where it does not fit, what is there of it does not count.
u64 bpf_seq_printf(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    u32 bytes = static_cast<u32>(r5);
    if (bad_args(r4, bytes))
        return helper_errno(-EINVAL);
    const char *fmt = ptr_of<const char>(r2);
    u32 room_of_fmt = static_cast<u32>(r3), fmt_size = 0, arg_count = bytes / 8;
    while (fmt_size < room_of_fmt && fmt[fmt_size])
        fmt_size++;
    port_seq *seq = open_seq(r1);
    if (fmt_size == room_of_fmt || !seq)
        return helper_errno(-EINVAL);
    const u64 *args = ptr_of<const u64>(r4);
    print_scope scope;
    if (long rc = scope.collect(fmt, fmt_size, args, arg_count))
        return helper_errno(rc);
    char *at;
    size_t room = port_seq_room(seq, &at);
    port_seq_commit(seq, format_render(at, static_cast<u32>(room), fmt, fmt_size, args, arg_count, &scope->scratch));
    return helper_errno(port_seq_overflowed(seq) ? -EOVERFLOW : 0);
}

u64 bpf_snprintf(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    u32 bytes = static_cast<u32>(r5);
    if (bad_args(r4, bytes))
        return helper_errno(-EINVAL);
    const char *fmt = ptr_of<const char>(r3);  // constant and terminated: the verifier has seen it
    u32 fmt_size = static_cast<u32>(strlen(fmt)), arg_count = bytes / 8;
    const u64 *args = ptr_of<const u64>(r4);
    print_scope scope;
    if (long rc = scope.collect(fmt, fmt_size, args, arg_count))
        return helper_errno(rc);
    char *out = ptr_of<char>(r1);
    return format_render(out, static_cast<u32>(r2), fmt, fmt_size, args, arg_count, &scope->scratch) + 1ull;
}

}  // namespace modbpf
