// SPDX-License-Identifier: GPL-2.0-only
// Comparisons: a decision holds for all x in a and y in b; narrowing keeps each pair of numbers for which the assumption holds.
#include "number.h"
#include "verifier/scalar_branch.h"

namespace modbpf::prove {

namespace {

using z3::expr;

struct op_name {
    u8 op;
    const char *name;
};
constexpr op_name ops[] = {{BPF_JEQ, "jeq"}, {BPF_JNE, "jne"}, {BPF_JSET, "jset"}, {BPF_JGT, "jgt"}, {BPF_JGE, "jge"}, {BPF_JLT, "jlt"},
                           {BPF_JLE, "jle"}, {BPF_JSGT, "jsgt"}, {BPF_JSGE, "jsge"}, {BPF_JSLT, "jslt"}, {BPF_JSLE, "jsle"}};

/// What the machine decides.
expr run_jump(u8 op, bool jmp32, const expr &wide_x, const expr &wide_y) {
    expr x = jmp32 ? wide_x.extract(31, 0) : wide_x, y = jmp32 ? wide_y.extract(31, 0) : wide_y;
    switch (op) {
    case BPF_JEQ: return x == y;
    case BPF_JNE: return x != y;
    case BPF_JGT: return z3::ugt(x, y);
    case BPF_JGE: return z3::uge(x, y);
    case BPF_JLT: return z3::ult(x, y);
    case BPF_JLE: return z3::ule(x, y);
    case BPF_JSGT: return x > y;
    case BPF_JSGE: return x >= y;
    case BPF_JSLT: return x < y;
    case BPF_JSLE: return x <= y;
    default: return (x & y) != context().bv_val(0, x.get_sort().bv_size());
    }
}

claim decision(const op_name &o, bool jmp32) {
    return {std::string(jmp32 ? "jmp32 " : "jmp64 ") + o.name + ": decision", 64, [=](explorer &e) {
                expr x = fresh("x", 64), y = fresh("y", 64);
                auto a = any_number<64>(e, "a", x), b = any_number<64>(e, "b", y);
                branch d = scalar_impl::decide(o.op, jmp32, a, b);
                if (d == branch::taken)
                    e.require(run_jump(o.op, jmp32, x, y), "said to be always taken");
                if (d == branch::not_taken)
                    e.require(!run_jump(o.op, jmp32, x, y), "said to be never taken");
            }};
}

claim narrowing(const op_name &o, bool jmp32, bool taken) {
    return {std::string(jmp32 ? "jmp32 " : "jmp64 ") + o.name + (taken ? ": taken" : ": not taken"), 64, [=](explorer &e) {
                expr x = fresh("x", 64), y = fresh("y", 64), holds = run_jump(o.op, jmp32, x, y);
                auto a = any_number<64>(e, "a", x), b = any_number<64>(e, "b", y);
                e.assume(taken ? holds : !holds);
                bool possible = taken ? scalar_impl::refine(o.op, jmp32, a, b) : scalar_impl::refine_not(o.op, jmp32, a, b);
                if (!possible)
                    e.unreachable("said to be impossible");
                e.require(in<64>(x, a) && in<64>(y, b), "the numbers of this arm are kept");
            }};
}

/// Behind the last step of sync(): a value that has a number is proper.
void proper(explorer &e) {
    expr x = fresh("x", 64);
    auto v = any_number<64>(e, "v", x);
    scalar_impl::ranges_from_bits(v);
    e.require(in<64>(x, v), "no number is lost");
    if (!v.valid())
        e.unreachable("a value with a number is said to be improper");
}

/// An arm is impossible only when a value without numbers is left.
void inhabited(explorer &e) {
    expr x = fresh("x", 64);
    auto v = any_number<64>(e, "v", x);
    if (!scalar_impl::bits_meet_ranges(v))
        e.unreachable("a value with a number is said to have none");
    e.require(in<64>(x, v), "it has one");
}

}  // namespace

std::vector<claim> branch_claims() {
    std::vector<claim> out;
    for (bool jmp32 : {false, true})
        for (auto &o : ops) {
            out.push_back(decision(o, jmp32));
            out.push_back(narrowing(o, jmp32, true));
            out.push_back(narrowing(o, jmp32, false));
        }
    out.push_back({"a value with a number is proper", 64, proper});
    out.push_back({"a value with a number is not taken for empty", 64, inhabited});
    return out;
}

}  // namespace modbpf::prove
