// SPDX-License-Identifier: GPL-2.0-only
#include "jit/passes.h"

#include "base/errno.h"

namespace modbpf {

const char *const jit_pass_names[jit_pass_count] = {"inline", "branches", "rotate", "slots", "copies", "memory",
                                                    "divide", "address",  "flags",  "extension", "leaf",   "maps",
                                                    "hashes", "helpers",  "direct", "tails", "layout", "ranges"};

/// Operations from which on a pass takes so long (some ten microseconds) that others are let in before it.
constexpr u32 long_program = 1000;

status run_passes(jit_facts &facts, const jit_context &ctx) {
    const bool is_long = facts.ops.size() > long_program;
    auto on = [&](jit_pass p) {
        if (is_long)
            port_cond_resched();
        return (ctx.passes & pass_bit(p)) != 0;
    };
    TRY(pass_calls(facts, ctx));
    if (on(jit_pass::inline_))
        TRY(pass_inline(facts));
    for (jit_frame &f : facts.frames) {
        if (on(jit_pass::branches))
            TRY(pass_branches(facts, f));
        if (on(jit_pass::rotate))
            TRY(pass_rotate(facts, f));
        summarise(facts, f);
        assign_registers(f, on(jit_pass::leaf));
        if (on(jit_pass::slots))
            TRY(pass_slots(facts, f));
        if (on(jit_pass::ranges) && (facts.checks_index || ctx.thorough)) {
            TRY(pass_ranges(facts, f));
            summarise(facts, f);
        }
        if (on(jit_pass::copies))
            TRY(pass_copies(facts, f));
        if (on(jit_pass::memory))
            TRY(pass_memory(facts, f));
        summarise(facts, f);
        lay_out(f);
    }
    return {};
}

result<u32> parse_passes(const char *list) {
    bool but = *list == '-';
    if (but)
        list++;
    u32 named = 0;
    while (*list) {
        size_t n = 0;
        while (list[n] && list[n] != ',' && list[n] != '\n')
            n++;
        auto is = [&](const char *name) { return strlen(name) == n && memcmp(name, list, n) == 0; };
        u32 found = is("all") ? all_passes : 0;
        for (u32 i = 0; i < jit_pass_count; i++)
            if (is(jit_pass_names[i]))
                found = 1u << i;
        if (!found && !is("none"))
            return error(EINVAL);
        named |= found;
        list += n + (list[n] != 0);
    }
    return but ? all_passes & ~named : named;
}

} // namespace modbpf
