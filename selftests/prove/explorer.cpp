// SPDX-License-Identifier: GPL-2.0-only
#include "explorer.h"

#include <sstream>

namespace modbpf::prove {

namespace {
explorer *current; ///< whose run this is: decisions arise deep in the code under proof
}

bool decide(const z3::expr &condition) { return current->decide(condition); }
u64 choose(const z3::expr &word) { return current->choose(word); }

explorer explorer::run(const std::function<void(explorer &)> &body, unsigned limit_ms) {
    explorer x;
    x.limit_ms_ = limit_ms;
    current = &x;
    for (bool more = true; more && x.outcome_ == verdict::proved;) {
        x.solver_.emplace(context(), "QF_BV");
        x.solver_->set("timeout", limit_ms);
        x.at_ = 0;
        x.ways_++;
        try {
            body(x);
        } catch (stop &) {
        }
        while (!x.trace_.empty() && x.trace_.back().taken + 1 == x.trace_.back().arms.size())
            x.trace_.pop_back();
        more = !x.trace_.empty();
        if (more)
            x.trace_.back().taken++;
    }
    current = nullptr;
    if (!x.reached_ && x.outcome_ == verdict::proved) // assumptions that contradict each other prove nothing
        x.outcome_ = verdict::unfinished, x.text_ = "nothing was claimed on any way that exists";
    return x;
}

bool explorer::possible(const z3::expr &e) {
    z3::expr_vector with(context());
    with.push_back(e);
    return solver_->check(with) != z3::unsat;
}

u64 explorer::take(decision d) {
    if (d.arms.empty())
        throw stop{};
    trace_.push_back(std::move(d));
    at_++;
    return trace_.back().arms[0];
}

bool explorer::decide(const z3::expr &condition) {
    z3::expr c = condition.simplify();
    if (c.is_true() || c.is_false())
        return c.is_true();
    u64 arm;
    if (at_ < trace_.size()) {
        arm = trace_[at_].arms[trace_[at_].taken];
        at_++;
    } else {
        decision d;
        for (u64 a : {0, 1})
            if (possible(a ? c : !c))
                d.arms.push_back(a);
        arm = take(std::move(d));
    }
    solver_->add(arm ? c : !c);
    return arm;
}

u64 explorer::choose(const z3::expr &word) {
    z3::expr w = word.simplify();
    uint64_t v = 0;
    if (w.is_numeral_u64(v))
        return v;
    unsigned bits = w.get_sort().bv_size();
    if (at_ < trace_.size()) {
        v = trace_[at_].arms[trace_[at_].taken];
        at_++;
    } else {
        decision d;
        solver_->push();
        z3::check_result more;
        while ((more = solver_->check()) == z3::sat) {
            z3::expr value = solver_->get_model().eval(w, true);
            d.arms.push_back(value.get_numeral_uint64());
            solver_->add(w != value);
        }
        solver_->pop();
        if (more != z3::unsat)
            give_up(verdict::unfinished, "values of a word");
        v = take(std::move(d));
    }
    solver_->add(w == context().bv_val(v, bits));
    return v;
}

void explorer::give_up(verdict v, const std::string &text) {
    outcome_ = v, text_ = text;
    throw stop{};
}

void explorer::require(const z3::expr &e, const char *what) {
    if (e.is_and()) { // many small questions are answered sooner than a large one
        for (unsigned i = 0; i < e.num_args(); i++)
            require(e.arg(i), what);
        return;
    }
    if (!reached_)
        reached_ = possible(context().bool_val(true));
    // A fresh solver: what the incremental one learnt for the decisions costs more than it helps.
    z3::solver s(context(), "QF_BV");
    s.set("timeout", limit_ms_);
    s.add(solver_->assertions());
    s.add(!e);
    auto answer = s.check();
    if (answer == z3::unsat) {
        solver_->add(e);
        return;
    }
    std::ostringstream out;
    out << what;
    if (answer == z3::sat) {
        z3::model m = s.get_model();
        for (unsigned i = 0; i < m.num_consts(); i++)
            out << ' ' << m.get_const_decl(i).name().str() << '=' << m.get_const_interp(m.get_const_decl(i));
    }
    give_up(answer == z3::sat ? verdict::violated : verdict::unfinished, out.str());
}

}  // namespace modbpf::prove
