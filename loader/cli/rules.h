// SPDX-License-Identifier: GPL-2.0-only
// What the verifier's messages mean: a table from the message's shape to what went wrong, what is required, and what to change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cli {

/// A shape is the message's text with places: {reg} a register's number, {insn} an instruction's, {arg0} an argument counted from 0,
/// {n} a number, {s} any text, up to what stands behind it. The texts use them as $1, $2...; "" where there is nothing to say.
struct rule {
    const char *shape;
    const char *title;    ///< what is wrong
    const char *required; ///< the safety condition
    const char *advice;   ///< what to change
    bool about_size = false; ///< the exploration itself is too large: no register is to blame
};
extern const rule *const rules;
extern const unsigned int rule_count;

struct finding {
    const rule *row = nullptr; ///< null: no shape matches
    std::string message;
    std::string title, required, advice;
    int reg = -1;  ///< the register that the message is about
    int insn = -1; ///< the instruction that it names
};

/// Does the whole message have the shape? The places' texts go to `places`.
bool matches(const char *shape, std::string_view message, std::vector<std::string> *places, finding *f);
/// The first row that matches one of the messages; what the others say of a register or an instruction is taken too.
finding find_rule(const std::vector<std::string> &messages);

/// What the verifier says at the end of a refused program's log, line by line, without the instructions and states before it and
/// the statistics behind it.
std::vector<std::string> final_messages(const std::string &log);

} // namespace cli
