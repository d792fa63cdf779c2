// SPDX-License-Identifier: GPL-2.0-only
#include "jit/layout.h"

namespace modbpf {

namespace {

constexpr u32 longest_test = 4; ///< operations

op_run make_run(const jit_facts &facts, u32 from, u32 to) {
    u32 live = from;
    while (live < to && facts.skips(live))
        live++;
    return {from, to, false, false, live};
}

/// The test at the start of a run whose last operation goes back there: one past its branch, or 0.
u32 test_of(const jit_facts &facts, const op_run &r) {
    u32 from = r.from, to = r.to;
    const jit_op &back = facts.ops[to - 1];
    auto start = static_cast<u32>(back.target);
    if (!back.is(insn_kind::jump) || start < from || start > r.live)
        return 0;
    u32 left = longest_test;
    for (u32 i = r.live; i < to - 1 && left; i++) {
        const jit_op &d = facts.ops[i];
        if (d.dead)
            continue;
        if (d.is(insn_kind::branch))
            return static_cast<u32>(d.target) < from || static_cast<u32>(d.target) >= to ? i + 1 : 0;
        if (!d.is_pure())
            return 0;
        left--;
    }
    return 0;
}

status find_runs(const jit_facts &facts, const jit_frame &f, scratch_vec<op_run> &runs) {
    u32 from = f.first;
    for (u32 i = f.first; i < f.last; i++)
        if (!facts.ops[i].dead && !facts.ops[i].falls_through) {
            op_run r = make_run(facts, from, i + 1);
            u32 behind = from == f.first ? 0 : test_of(facts, r);
            if (behind)
                TRY(runs.push({from, behind, true, false, r.live}));
            TRY(runs.push(behind ? make_run(facts, behind, i + 1) : r));
            from = i + 1;
        }
    if (runs.empty())
        return runs.push(make_run(facts, f.first, f.last));
    runs.back().to = f.last; // what is behind the last one is dead
    return {};
}

/// The run that begins at operation `target`; runs.size() when it lies inside one.
u32 run_at(const scratch_vec<op_run> &runs, u32 target) {
    size_t low = 0, high = runs.size();
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (runs[mid].from <= target)
            low = mid;
        else
            high = mid;
    }
    return target <= runs[low].live ? static_cast<u32>(low) : static_cast<u32>(runs.size());
}

/// Where the jump at the end of a run goes, or the turned branch; -1 when it ends otherwise.
s64 leads_to(const jit_facts &facts, const op_run &r) {
    for (u32 i = r.to; i-- > r.from;)
        if (!facts.ops[i].dead)
            return facts.ops[i].is(insn_kind::jump) || r.turned ? facts.ops[i].target : -1;
    return -1;
}

} // namespace

status order_runs(const jit_facts &facts, const jit_frame &f, bool reorder, scratch_vec<op_run> &out) {
    scratch_vec<op_run> runs;
    scratch_vec<u8> placed;
    TRY(out.resize(0));
    if (!reorder)
        return out.push({f.first, f.last});
    TRY(find_runs(facts, f, runs));
    TRY(placed.resize(runs.size()));
    auto none = static_cast<u32>(runs.size());
    for (u32 next = 0; next < runs.size(); next++)
        for (u32 at = next; at < runs.size() && !placed[at];) {
            placed[at] = 1;
            op_run &r = runs[at];
            r.turned = r.tests && placed[at + 1];
            TRY(out.push(r));
            s64 target = leads_to(facts, r);
            at = r.tests && !r.turned ? at + 1 : target < 0 ? none : run_at(runs, static_cast<u32>(target));
        }
    return {};
}

} // namespace modbpf
