// SPDX-License-Identifier: GPL-2.0-only
// Loops that no counter bounds, as attacks: a number is spoilt on one way through the loop and used on another, where what the search has
// seen so far does not yet know that it is used. What is pruned too early is accepted. Each beside a neighbour that spoils nothing.
#include "verifier/verdict_rows.h"

namespace modbpf::test {

namespace {

/// A program whose jumps go to places that are named later.
struct labelled {
    prog p;
    std::vector<std::pair<size_t, u32>> jumps;
    size_t place[8]{};

    labelled &at(u32 label) { return place[label] = p.size(), *this; }
    labelled &code(const prog &q) { return p = p + q, *this; }
    labelled &jump(bpf_insn i, u32 label) {
        jumps.push_back({p.size(), label});
        p.push_back(i);
        return *this;
    }
    prog done() {
        for (auto [from, label] : jumps)
            p[from].off = static_cast<s16>(static_cast<s32>(place[label]) - static_cast<s32>(from) - 1);
        return p;
    }
};

enum : u32 { head, inner, join, second, spoil, use, end };

const bpf_insn turn = raw(BPF_JMP | BPF_JCOND, 0, 0, 0, 0), always = ja(0);
const prog random_number = {call(BPF_FUNC_get_prandom_u32)}, fill(6, mov(r5, 0));
/// One of `n`, or on. Explored on first.
bpf_insn choose(s32 n) { return jmp(BPF_JEQ, r0, n, 0); }

/// Where the number is: in r7, or in a slot.
struct holder {
    const char *name;
    bool slot;
    prog set(s32 v) const { return slot ? prog{st(BPF_DW, r10, -32, v)} : prog{mov(r7, v)}; }
    prog write_through() const {
        prog get = slot ? prog{ldx(BPF_DW, r1, r10, -32)} : prog{mov_x(r1, r7)};
        return get + prog{add_x(r1, r10), st(BPF_DW, r1, 0, 0)};
    }
};

/// The spoilt number comes to a place behind which all ways seen so far go back to the head.
prog at_a_join(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(random_number).jump(choose(1), spoil);
    l.at(join).code(fill).jump(always, head);
    l.at(spoil).code(h.set(bad)).jump(always, join);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// The same, with another place between that one and the head, which tells it of the loop.
prog before_a_join(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(random_number).jump(choose(1), spoil);
    l.at(join).code(fill).code(random_number).jump(choose(2), second).code(fill);
    l.at(second).code(fill).jump(always, head);
    l.at(spoil).code(h.set(bad)).jump(always, join);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// A place from which the only way ends in another place of the open loop.
prog by_a_place_in_the_loop(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(random_number).jump(choose(1), spoil);
    l.code(random_number).jump(choose(2), second);
    l.at(join).code(fill).jump(always, head);
    l.at(second).code(fill).jump(always, join);
    l.at(spoil).code(h.set(bad)).jump(always, second);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// Into the middle of a loop in a loop: the inner one is closed, the outer one is not.
prog into_a_loop_in_a_loop(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(random_number).jump(choose(1), spoil);
    l.at(inner).jump(turn, head);
    l.at(join).code(fill).jump(always, inner);
    l.at(spoil).code(h.set(bad)).jump(always, join);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// The place leads into both loops.
prog into_both_loops(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(random_number).jump(choose(1), spoil);
    l.at(inner).jump(turn, head);
    l.at(join).code(fill).code(random_number).jump(choose(2), head).jump(always, inner);
    l.at(spoil).code(h.set(bad)).jump(always, join);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// The same, where the inner loop is not yet known to lead into the outer one when the place is explored.
prog into_a_loop_that_leads_on_later(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(random_number).jump(choose(1), spoil);
    l.at(inner).jump(turn, end).code(random_number).jump(choose(2), head);
    l.at(join).code(fill).jump(always, inner);
    l.at(spoil).code(h.set(bad)).jump(always, join);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// From turn to turn.
prog at_the_head(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(0), use);
    l.code(h.set(bad)).jump(always, head);
    l.at(use).code(h.write_through()).jump(always, head);
    return l.at(end).code(ret0).done();
}

/// Behind the loop.
prog behind_the_loop(const holder &h, s32 bad) {
    labelled l;
    l.code(h.set(-16));
    l.at(head).jump(turn, end).code(random_number).jump(choose(1), spoil);
    l.at(join).code(fill).jump(always, head);
    l.at(spoil).code(h.set(bad)).jump(always, join);
    return l.at(end).code(h.write_through()).code(ret0).done();
}

constexpr struct {
    const char *name;
    prog (*make)(const holder &h, s32 bad);
} shapes[] = {
    {"at a join", at_a_join},
    {"before a join", before_a_join},
    {"by a place in the loop", by_a_place_in_the_loop},
    {"into a loop in a loop", into_a_loop_in_a_loop},
    {"into a loop that leads on later", into_a_loop_that_leads_on_later},
    {"into both loops", into_both_loops},
    {"at the head", at_the_head},
    {"behind the loop", behind_the_loop},
};

const options ways[] = {{}, {.no_pruning = true}, {.other_arm_first = true}, {.flags = BPF_F_TEST_STATE_FREQ},
                        {.flags = BPF_F_TEST_STATE_FREQ, .other_arm_first = true}};

int verdict(const prog &p, options o) {
    o.verify_only = true;
    return check(p, o).err;
}

}  // namespace

TEST(Loops, SpoiltOnOneWayUsedOnAnother) {
    const holder holders[] = {{"register", false}, {"slot", true}};
    for (const auto &s : shapes)
        for (const holder &h : holders)
            for (const options &o : ways) {
                EXPECT_NE(verdict(s.make(h, -600), o), 0) << s.name << " " << h.name << " flags " << o.flags << " no_pruning " << o.no_pruning << " other " << o.other_arm_first;
                EXPECT_EQ(verdict(s.make(h, -16), o), 0) << s.name << " " << h.name << " flags " << o.flags << " no_pruning " << o.no_pruning << " other " << o.other_arm_first;
            }
}

}  // namespace modbpf::test
