// SPDX-License-Identifier: GPL-2.0-only
// Scalars: for all x in a and y in b, x op y is in op(a, b). What an operation says by itself is proved here, and apart from it that each
// step by which the parts of a value then learn from each other loses no number. Of a and b nothing is assumed but that they have x and y.
#include "number.h"
#include "verifier/scalar_impl.h"

namespace modbpf::prove {

namespace {

using z3::expr;
constexpr unsigned mul_width = 8;

template <unsigned N> expr widened(bool alu32, const expr &r) { return alu32 ? z3::zext(r, N / 2) : r; }

/// What the machine computes, from words of the operation's width.
expr run_alu(u8 op, const expr &x, const expr &y) {
    unsigned width = x.get_sort().bv_size();
    expr n = y & context().bv_val(width - 1, width), zero = context().bv_val(0, width);
    switch (op) {
    case BPF_ADD: return x + y;
    case BPF_SUB: return x - y;
    case BPF_MUL: return x * y;
    case BPF_AND: return x & y;
    case BPF_OR: return x | y;
    case BPF_XOR: return x ^ y;
    case BPF_LSH: return z3::shl(x, n);
    case BPF_RSH: return z3::lshr(x, n);
    case BPF_ARSH: return z3::ashr(x, n);
    case BPF_DIV: return z3::ite(y == zero, zero, z3::udiv(x, y));
    default: return z3::ite(y == zero, x, z3::urem(x, y));
    }
}

template <unsigned N> claim arithmetic(const char *name, u8 op, bool alu32) {
    return {std::string(alu32 ? "alu32 " : "alu64 ") + name, N, [=](explorer &e) {
                expr x = fresh("x", N), y = fresh("y", N);
                auto a = any_number<N>(e, "a", x), b = any_number<N>(e, "b", y);
                auto r = scalar_impl::alu_unsettled(op, alu32, a, b);
                auto part = [&](const expr &w) { return alu32 ? w.extract(N / 2 - 1, 0) : w; };
                e.require(in<N>(widened<N>(alu32, run_alu(op, part(x), part(y))), r), "the result has x op y");
            }};
}

enum class widening { zero, sign, sign_half };

claim extension(const char *name, widening w, unsigned bits) {
    return {name + std::to_string(bits), 64, [=](explorer &e) {
                expr x = fresh("x", 64), low = x.extract(bits - 1, 0);
                auto a = any_number<64>(e, "a", x);
                switch (w) {
                case widening::zero: return e.require(in<64>(z3::zext(low, 64 - bits), scalar_impl::zero_extend_unsettled(a, bits)), "zero-extended");
                case widening::sign: return e.require(in<64>(z3::sext(low, 64 - bits), scalar_impl::sign_extend_unsettled(a, bits)), "sign-extended");
                case widening::sign_half:
                    return e.require(in<64>(z3::zext(z3::sext(low, 32 - bits), 32), scalar_impl::sign_extend_half_unsettled(a, bits)), "sign-extended to 32 bits");
                }
            }};
}

u32 sync_step_count() {
    u32 n = 0;
    scalar v = scalar::unknown();
    scalar_impl::sync_steps(v, [&](auto &&) { n++; });
    return n;
}

/// Each step of sync() by itself, on any value at all: whatever the others do, none of them loses a number.
void sync_steps(explorer &e) {
    expr x = fresh("x", 64), k = fresh("step", 64);
    auto v = any_number<64>(e, "v", x);
    e.assume(z3::ult(k, context().bv_val(sync_step_count(), 64)));
    u64 wanted = e.choose(k), n = 0;
    scalar_impl::sync_steps(v, [&](auto &&step) {
        if (n++ == wanted)
            step();
    });
    e.require(in<64>(x, v), "no number is lost");
}

void unknown_and_constant(explorer &e) {
    expr x = fresh("x", 64);
    e.require(in<64>(x, number_of<64>::unknown()), "unknown has every number");
    e.require(in<64>(x, number_of<64>::constant(uword<64>(x))), "a constant has itself");
}

void subset(explorer &e) {
    expr x = fresh("x", 64);
    auto a = any_number<64>(e, "a", x), b = any_number<64>(e, "b", fresh("y", 64));
    if (scalar_impl::subset(a, b))
        e.require(in<64>(x, b), "what is in the inner is in the outer");
}

void contains(explorer &e) {
    expr x = fresh("x", 64);
    auto a = any_number<64>(e, "a", fresh("y", 64));
    bool has = a.contains(uword<64>(x));
    e.require(in<64>(x, a) == context().bool_val(has), "contains() means what the proofs mean");
}

}  // namespace

std::vector<claim> scalar_claims() {
    std::vector<claim> out;
    struct op_name {
        u8 op;
        const char *name;
    };
    constexpr op_name wide[] = {{BPF_ADD, "add"}, {BPF_SUB, "sub"}, {BPF_AND, "and"}, {BPF_OR, "or"}, {BPF_XOR, "xor"}, {BPF_LSH, "lsh"},
                                {BPF_RSH, "rsh"}, {BPF_ARSH, "arsh"}, {BPF_DIV, "div"}, {BPF_MOD, "mod"}};
    for (bool alu32 : {false, true}) {
        for (auto &o : wide)
            out.push_back(arithmetic<64>(o.name, o.op, alu32));
        out.push_back(arithmetic<mul_width>("mul", BPF_MUL, alu32));
    }
    for (unsigned bits : {8u, 16u, 32u}) {
        out.push_back(extension("zero-extend from ", widening::zero, bits));
        out.push_back(extension("sign-extend from ", widening::sign, bits));
        if (bits < 32)
            out.push_back(extension("sign-extend to 32 from ", widening::sign_half, bits));
    }
    out.push_back({"sync, each of its steps", 64, sync_steps});
    out.push_back({"unknown, constant", 64, unknown_and_constant});
    out.push_back({"subset", 64, subset});
    out.push_back({"contains", 64, contains});
    return out;
}

}  // namespace modbpf::prove
