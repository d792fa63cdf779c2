// SPDX-License-Identifier: GPL-2.0-only
// branches: jumps go where they lead in the end, and a branch over a jump becomes the opposite branch.
//
// if a goto next; goto X; next:  ->  if not a goto X        goto L; L: goto X  ->  goto X
// A jump to what follows goes, and so does what nothing reaches. (Jump sizes are the assembler's business: all start short and grow until
// every one reaches.)
#include "jit/passes.h"

namespace modbpf {

namespace {

constexpr u32 max_hops = 8; ///< jumps to jumps that are followed
constexpr u32 longest_walk = 8; ///< over dead operations, before it pays to know where they end

u8 opposite(u8 op) {
    switch (op) {
        case BPF_JEQ:
            return BPF_JNE;
        case BPF_JNE:
            return BPF_JEQ;
        case BPF_JGT:
            return BPF_JLE;
        case BPF_JLE:
            return BPF_JGT;
        case BPF_JGE:
            return BPF_JLT;
        case BPF_JLT:
            return BPF_JGE;
        case BPF_JSGT:
            return BPF_JSLE;
        case BPF_JSLE:
            return BPF_JSGT;
        case BPF_JSGE:
            return BPF_JSLT;
        case BPF_JSLT:
            return BPF_JSGE;
        default:
            return op;
    }
}

struct straightener {
    jit_facts &facts;
    jit_frame &f;
    scratch_vec<u32> behind; ///< of a dead operation: one further on, up to which all are dead. Made for the first long walk
    status made;

    /// The first operation from `i` on that emits anything; f.last when there is none.
    u32 live_from(u32 i) { return i < f.last && facts.skips(i) ? live_behind(i) : i; }
    [[gnu::noinline]] u32 live_behind(u32 i) {
        for (u32 end = i + longest_walk; i < f.last && facts.skips(i); i++)
            if (i == end)
                return live_far_behind(i);
        return i;
    }
    /// The same for a walk that is long: the next one that comes here takes a few steps. What dies meanwhile makes those more.
    u32 live_far_behind(u32 i) {
        if (behind.empty() && made.ok())
            made = find_behind();
        if (!made.ok())
            return f.last;
        u32 live = i;
        while (live < f.last && facts.skips(live))
            live = behind[live - f.first];
        while (i < live) {
            u32 &next = behind[i - f.first];
            i = next;
            next = live;
        }
        return live;
    }
    status find_behind() {
        TRY(behind.resize(f.last - f.first));
        u32 live = f.last;
        for (u32 i = f.last; i-- > f.first;) {
            behind[i - f.first] = live;
            if (!facts.ops[i].dead)
                live = i;
        }
        return {};
    }
    void thread(jit_op &d) {
        for (u32 hop = 0; hop < max_hops; hop++) {
            u32 t = live_from(static_cast<u32>(d.target));
            if (t >= f.last || !facts.ops[t].is(insn_kind::jump) || &facts.ops[t] == &d)
                return;
            d.target = facts.ops[t].target;
        }
    }
    /// A branch at `i` over a jump: nothing else may lead to the jump. False: it stays as it is.
    bool turn(u32 i) {
        jit_op &d = facts.ops[i];
        u32 n = i + 1;
        while (n < f.last && facts.ops[n].dead && !facts.targets[n])
            n++;
        if (n >= f.last || facts.targets[n] || !facts.ops[n].is(insn_kind::jump))
            return false;
        if (live_from(static_cast<u32>(d.target)) != live_from(n + 1))
            return false;
        d.target = facts.ops[n].target;
        if (d.op == BPF_JSET)
            d.negated = !d.negated;
        else
            d.op = opposite(d.op);
        facts.ops[n].kill();
        return true;
    }
    void find_targets(bool threading) {
        memset(facts.targets.data() + f.first, 0, f.last - f.first);
        for (u32 i = f.first; i < f.last; i++) {
            jit_op &d = facts.ops[i];
            if (!d.jumps || d.dead)
                continue;
            if (threading)
                thread(d);
            facts.targets[static_cast<u32>(d.target)] = 1;
        }
    }
    void run() {
        find_targets(true);
        bool reached = true, changed = false;
        for (u32 i = f.first; i < f.last; i++) {
            jit_op &d = facts.ops[i];
            reached |= facts.targets[i] != 0;
            if (d.dead)
                continue;
            if (!reached) {
                d.kill();
                changed = true;
                continue;
            }
            if (!d.jumps) {
                reached = d.falls_through;
                continue;
            }
            if (d.is(insn_kind::branch))
                changed |= turn(i);
            if ((d.is(insn_kind::jump) || d.is(insn_kind::branch)) && live_from(static_cast<u32>(d.target)) == live_from(i + 1)) {
                d.kill();
                changed = true;
            } else {
                reached = d.falls_through;
            }
        }
        if (changed)
            find_targets(false);
    }
};

} // namespace

status pass_branches(jit_facts &facts, jit_frame &f) {
    straightener p{facts, f, {}, {}};
    p.run();
    return p.made;
}

} // namespace modbpf
