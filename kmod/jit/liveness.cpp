// SPDX-License-Identifier: GPL-2.0-only
#include "jit/liveness.h"

namespace modbpf {

namespace {
constexpr u32 max_rounds = 12; ///< loop nests need one a level

/// A jump backwards: what was live at its target when a sweep came by the jump, for which the target's set was not known yet.
struct loop_edge {
    u32 head;
    u16 live;
};
constexpr u32 max_edges = 32; ///< that are remembered; with more, a sweep is the last when it changes nothing at all

struct solver {
    const jit_op *ops;
    u32 n, first;
    u16 *after;
    loop_edge edges[max_edges];
    u32 edge_count;
    bool changed; ///< in this sweep: some set is another than before

    u16 live_at(u32 i) const { return live_before(ops[i], after[i]); }

    /// One sweep from the end backwards. What only jumps forwards is solved by the first.
    void sweep() {
        u16 live = 0;
        edge_count = 0, changed = false;
        for (u32 i = n; i-- > 0;) {
            const jit_op &d = ops[i];
            u16 out = live;
            if (!d.dead) {
                if (!d.falls_through)
                    out = 0;
                if (d.jumps) {
                    u32 t = static_cast<u32>(d.target) - first;
                    u16 there = live_at(t);
                    if (t <= i && edge_count++ < max_edges)
                        edges[edge_count - 1] = {t, there};
                    out |= there;
                }
                live = static_cast<u16>((out & ~d.defs) | d.uses);
            }
            changed |= out != after[i];
            after[i] = out;
        }
    }
    bool solved() const {
        if (edge_count > max_edges)
            return !changed;
        for (u32 i = 0; i < edge_count; i++)
            if (live_at(edges[i].head) != edges[i].live)
                return false;
        return true;
    }
};

} // namespace

status find_liveness(const jit_facts &facts, const jit_frame &f, scratch_vec<u16> &after) {
    u32 n = f.last - f.first;
    TRY(after.resize_zeroed(n));
    MODBPF_UNINITIALIZED solver s;
    s.ops = facts.ops.data() + f.first, s.n = n, s.first = f.first, s.after = after.data();
    for (u32 round = 1;; round++) {
        s.sweep();
        if (s.solved())
            return {};
        if (round == max_rounds) {
            memset(after.data(), 0xff, n * sizeof(u16));
            return {};
        }
    }
}

/// Inside a block the set is followed anew, so that what a killed operation read may go as well.
status kill_unread(jit_facts &facts, const jit_frame &f, scratch_vec<u16> &after) {
    if (after.empty())
        TRY(find_liveness(facts, f, after));
    u16 live = 0;
    for (u32 i = f.last; i-- > f.first;) {
        jit_op &d = facts.ops[i];
        if (d.dead)
            continue;
        if (d.jumps || !d.falls_through)
            live = after[i - f.first];
        if (!(d.defs & live) && d.is_pure())
            d.kill();
        live = live_before(d, live);
    }
    return {};
}

} // namespace modbpf
