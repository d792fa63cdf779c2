// SPDX-License-Identifier: GPL-2.0-only
#include "jit/liveness.h"

namespace modbpf {

namespace {
constexpr u32 max_rounds = 12; ///< loop nests need one a level

/// One sweep. -> whether a set that a jump takes backwards may have changed.
bool sweep(const jit_facts &facts, const jit_frame &f, vec<u16> &after) {
    bool changed = false;
    u16 live = 0;
    for (u32 i = f.last; i-- > f.first;) {
        const jit_op &d = facts.ops[i];
        u16 out = live;
        if (!d.dead) {
            if (!d.falls_through)
                out = 0;
            if (d.jumps) {
                auto t = static_cast<u32>(d.target);
                out |= live_before(facts.ops[t], after[t - f.first]);
            }
        }
        changed |= out != after[i - f.first];
        after[i - f.first] = out;
        live = live_before(d, out);
    }
    return changed;
}

} // namespace

status find_liveness(const jit_facts &facts, const jit_frame &f, vec<u16> &after) {
    TRY(after.resize(0));
    TRY(after.resize(f.last - f.first));
    bool loops = false;
    for (u32 i = f.first; i < f.last && !loops; i++)
        loops = facts.ops[i].jumps && !facts.ops[i].dead && facts.ops[i].target <= i;
    for (u32 round = 0; sweep(facts, f, after) && loops;)
        if (++round == max_rounds) {
            for (u16 &a : after)
                a = 0xffff;
            break;
        }
    return {};
}

/// Inside a block the set is followed anew, so that what a killed operation read may go as well.
status kill_unread(jit_facts &facts, const jit_frame &f) {
    vec<u16> after;
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
