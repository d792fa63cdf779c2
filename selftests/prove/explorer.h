// SPDX-License-Identifier: GPL-2.0-only
// Runs code with symbolic words once for each way through it, and has z3 prove on each what is claimed.
//
// A run follows the decisions recorded so far and, beyond them, the first possible arm of each further one; afterwards the last decision
// with an arm left is changed, until none is left. Claims are proved under the conditions of their way: "proved" means that no way has
// a counterexample.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "symbolic.h"

namespace modbpf::prove {

enum class verdict : u8 { proved, violated, unfinished };

class explorer {
public:
    /// Proves what `body` requires. `limit_ms`: of each question to z3.
    static explorer run(const std::function<void(explorer &)> &body, unsigned limit_ms);

    void assume(const z3::expr &e) { solver_->add(e); }
    /// Must hold on this way. What was required before may be used.
    void require(const z3::expr &e, const char *what);
    /// This way must not exist.
    void unreachable(const char *what) { require(context().bool_val(false), what); }

    verdict outcome() const { return outcome_; }
    u32 ways() const { return ways_; }
    const std::string &text() const { return text_; } ///< of the first violation: what was required, and the counterexample

    bool decide(const z3::expr &condition);
    u64 choose(const z3::expr &word);

private:
    struct decision {
        std::vector<u64> arms;
        size_t taken = 0;
    };
    struct stop {}; ///< ends a run: the rest follows from what is known, or a violation was found

    u64 take(decision d);
    [[noreturn]] void give_up(verdict v, const std::string &text);
    bool possible(const z3::expr &e);

    std::optional<z3::solver> solver_;
    std::vector<decision> trace_;
    size_t at_ = 0;
    u32 ways_ = 0;
    bool reached_ = false; ///< a claim was made on a way that exists
    unsigned limit_ms_ = 0;
    verdict outcome_ = verdict::proved;
    std::string text_;
};

}  // namespace modbpf::prove
