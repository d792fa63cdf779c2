// SPDX-License-Identifier: GPL-2.0-only
#include "jit/liveness.h"

namespace modbpf {

namespace {
constexpr u32 max_rounds = 12; ///< loop nests need one a level

struct sweep_result {
    bool changed = false; ///< some set is another than before
    bool loops = false;   ///< a jump goes backwards: its target's set may not have been final
};

/// One sweep from the end backwards. What only jumps forwards is solved by the first.
sweep_result sweep(const jit_op *ops, u32 n, u32 first, u16 *after) {
    sweep_result r;
    u16 live = 0;
    for (u32 i = n; i-- > 0;) {
        const jit_op &d = ops[i];
        u16 out = live;
        if (!d.dead) {
            if (!d.falls_through)
                out = 0;
            if (d.jumps) {
                u32 t = static_cast<u32>(d.target) - first;
                r.loops |= t <= i;
                out |= live_before(ops[t], after[t]);
            }
            live = live_before(d, out);
        }
        r.changed |= out != after[i];
        after[i] = out;
    }
    return r;
}

} // namespace

status find_liveness(const jit_facts &facts, const jit_frame &f, scratch_vec<u16> &after) {
    u32 n = f.last - f.first;
    TRY(after.resize_zeroed(n));
    for (u32 round = 1;; round++) {
        sweep_result r = sweep(facts.ops.data() + f.first, n, f.first, after.data());
        if (!r.loops || !r.changed)
            return {};
        if (round == max_rounds) {
            memset(after.data(), 0xff, n * sizeof(u16));
            return {};
        }
    }
}

/// Inside a block the set is followed anew, so that what a killed operation read may go as well.
status kill_unread(jit_facts &facts, const jit_frame &f) {
    scratch_vec<u16> after;
    TRY(find_liveness(facts, f, after));
    u16 live = 0;
    for (u32 i = f.last; i-- > f.first;) {
        jit_op &d = facts.ops[i];
        if (d.dead)
            continue;
        if (d.jumps || !d.falls_through)
            live = after[i - f.first];
        if (d.is_pure() && !(d.defs & live))
            d.kill();
        live = live_before(d, live);
    }
    return {};
}

} // namespace modbpf
