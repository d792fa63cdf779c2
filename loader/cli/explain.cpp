// SPDX-License-Identifier: GPL-2.0-only
// From recording and message to the explanation: the blamed instruction and registers, and the path's waypoints.
#include "loader/cli/explain.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>

namespace cli {

namespace {

constexpr size_t most_states = 4096; ///< of the path's end
constexpr size_t most_waypoints = 24;

size_t index(int i) { return static_cast<size_t>(i); }

place place_of(const recording &r, unsigned int insn) {
    place p;
    if (insn >= r.insns.size())
        return p;
    const instruction &i = r.insns[insn];
    p.insn = static_cast<int>(insn);
    p.text = i.text;
    p.file = i.file;
    p.source = i.source;
    p.line = i.line;
    p.column = i.column;
    return p;
}

std::string reg_name(unsigned int reg) { return "R" + std::to_string(reg); }

/// "fp-16", "fp[1]-16": the frame and the offset; false for other values.
bool stack_address(const std::string &value, size_t own_frame, size_t *frame, long *off) {
    if (!value.starts_with("fp"))
        return false;
    const char *p = value.c_str() + 2;
    char *end;
    *frame = own_frame;
    if (*p == '[') {
        *frame = strtoul(p + 1, &end, 10);
        p = *end == ']' ? end + 1 : end;
    }
    *off = strtol(p, &end, 0);
    return end != p && *end == '\0';
}

/// The slot that holds the byte at `off` (negative).
std::string slot_name(long off) { return "fp" + std::to_string((off - 7) / 8 * 8); }

/// Follows one register or slot backwards along the path.
class origin_trace {
public:
    origin_trace(const recording &r, const std::vector<int> &path) : r_(r), path_(path) {}

    /// What was done to R<reg> of the innermost frame before the path's last visit: by position on the path.
    std::map<size_t, std::string> follow(unsigned int reg) {
        const machine_state *last = state(path_.size() - 1);
        if (!last || last->empty())
            return {};
        waiting_.push_back({path_.size() - 1, last->size() - 1, reg_name(reg)});
        for (size_t next = 0; next < waiting_.size() && next < most_followed; next++) {
            frame_ = waiting_[next].frame;
            name_ = waiting_[next].name;
            for (size_t i = waiting_[next].before; i-- > 0 && !name_.empty();) {
                const machine_state *before = state(i), *after = state(i + 1);
                if (!before || !after || before->empty() || after->empty())
                    break;
                step(i, *before, *after);
            }
        }
        return std::move(found_);
    }

private:
    const machine_state *state(size_t i) const { return r_.state_at(path_[i]); }
    const instruction &insn(size_t i) const { return r_.insns[r_.visits[index(path_[i])].insn]; }
    bool is_reg() const { return name_[0] == 'R'; }
    unsigned int reg() const { return static_cast<unsigned int>(atoi(name_.c_str() + 1)); }
    void note(size_t i, const std::string &what) { found_[i] = found_.contains(i) && found_[i] != what ? found_[i] + "; " + what : what; }
    void stop() { name_.clear(); }
    std::string becomes(const machine_state &after) const {
        std::string v = cell_value(after, frame_, name_);
        return name_ + (v.empty() ? " has no value any more" : " = " + v);
    }

    void step(size_t i, const machine_state &before, const machine_state &after) {
        const instruction &in = insn(i);
        size_t depth = before.size() - 1;
        if (in.kind == MODBPF_INSN_SUBCALL && after.size() > before.size())
            return entered(i, before, after);
        if (in.kind == MODBPF_INSN_EXIT && after.size() < before.size())
            return left(i, after);
        bool here = is_reg() && frame_ == depth;
        if (here && (in.kind == MODBPF_INSN_CALL || in.kind == MODBPF_INSN_SUBCALL) && reg() <= 5)
            return called(i, after);
        if (here && (in.defs >> reg() & 1))
            return defined(i, before, after);
        if (!is_reg() && in.kind == MODBPF_INSN_STORE && stored(i, before, after))
            return;
        if (cell_value(before, frame_, name_) != cell_value(after, frame_, name_)) {
            note(i, (in.kind == MODBPF_INSN_BRANCH ? "here it is known that " : "") + becomes(after));
            if (in.kind == MODBPF_INSN_CALL && !is_reg())
                stop();
        }
    }

    void entered(size_t i, const machine_state &before, const machine_state &after) {
        if (frame_ + 1 != after.size())
            return;
        if (!is_reg() || reg() < 1 || reg() > 5)
            return stop(); // a new frame's stack is empty
        note(i, "passed as argument: " + becomes(after));
        frame_ = before.size() - 1;
    }

    void left(size_t i, const machine_state &after) {
        if (frame_ + 1 != after.size() || !is_reg() || reg() > 5)
            return;
        if (reg() == 0) {
            note(i, "returned: " + becomes(after));
            frame_++;
        } else {
            note(i, "the call leaves nothing in " + name_);
            stop();
        }
    }

    void called(size_t i, const machine_state &after) {
        std::string text = insn(i).text;
        size_t at = text.find("call ");
        std::string callee = at == std::string::npos ? "the call" : text.substr(at + 5);
        callee = callee.substr(0, callee.find('#'));
        if (reg() == 0)
            note(i, "the result of " + callee + ": " + becomes(after));
        else
            note(i, "the call leaves nothing in " + name_ + ": R1 to R5 are lost across calls");
        stop();
    }

    void defined(size_t i, const machine_state &before, const machine_state &after) {
        const instruction &in = insn(i);
        note(i, becomes(after));
        size_t frame;
        long off;
        size_t own = before.size() - 1;
        if (in.kind == MODBPF_INSN_MOVE && in.src != MODBPF_NO_REG) {
            name_ = reg_name(in.src);
        } else if (in.kind == MODBPF_INSN_LOAD && in.base != MODBPF_NO_REG &&
                   stack_address(cell_value(before, own, reg_name(in.base)), own, &frame, &off)) {
            name_ = slot_name(off + in.off);
            frame_ = frame;
        } else if (in.kind == MODBPF_INSN_IMM || in.kind == MODBPF_INSN_LOAD) {
            stop();
        } else if (in.src != MODBPF_NO_REG && in.dst != MODBPF_NO_REG) {
            follow_operands(i, in, before);
        }
    }

    /// Arithmetic on two registers: the one that is changed goes on being followed, and the other one too where it varies.
    void follow_operands(size_t i, const instruction &in, const machine_state &before) {
        size_t own = before.size() - 1;
        std::string from = cell_value(before, own, reg_name(in.src));
        auto number = [](const std::string &v) { return !v.empty() && (isdigit(static_cast<unsigned char>(v[0])) || v[0] == '-'); };
        if (!(in.uses >> in.dst & 1)) { // a narrow or sign-extending move
            name_ = reg_name(in.src);
        } else if (!number(from) && in.src != in.dst) {
            found_[i] += ", with " + reg_name(in.src) + " = " + from;
            waiting_.push_back({i, own, reg_name(in.src)});
        }
    }

    /// -> true: this store wrote the slot.
    bool stored(size_t i, const machine_state &before, const machine_state &after) {
        const instruction &in = insn(i);
        size_t frame, own = before.size() - 1;
        long off;
        if (in.base == MODBPF_NO_REG || !stack_address(cell_value(before, own, reg_name(in.base)), own, &frame, &off) ||
            frame != frame_ || slot_name(off + in.off) != name_)
            return false;
        note(i, becomes(after));
        if (in.src == MODBPF_NO_REG || in.width != 8)
            stop();
        else
            name_ = reg_name(in.src), frame_ = own;
        return true;
    }

    const recording &r_;
    const std::vector<int> &path_;
    struct followed {
        size_t before; ///< on the path
        size_t frame;
        std::string name;
    };
    static constexpr size_t most_followed = 4;
    std::vector<followed> waiting_;
    size_t frame_ = 0;
    std::string name_;
    std::map<size_t, std::string> found_;
};

/// Which registers of the instruction are looked at when the message names none.
std::vector<unsigned int> operands(const instruction &i) {
    std::vector<unsigned int> out;
    if (i.base != MODBPF_NO_REG)
        out.push_back(i.base);
    else
        for (unsigned int reg : {i.dst, i.src})
            if (reg != MODBPF_NO_REG && (i.uses >> reg & 1) && (out.empty() || out[0] != reg))
                out.push_back(reg);
    return out;
}

void add_known(explanation &e, const recording &r, int visit, const std::vector<unsigned int> &regs) {
    const machine_state *s = r.state_at(visit);
    if (!s || s->empty())
        return;
    size_t frame = s->size() - 1;
    for (unsigned int reg : regs) {
        std::string v = cell_value(*s, frame, reg_name(reg));
        e.known.push_back({reg_name(reg), v.empty() ? "?" : v, describe_value(reg_name(reg), v)});
        size_t at;
        long off;
        // What a pointer to the stack points to: the slots up to a few words on.
        if (stack_address(v, frame, &at, &off) && off < 0 && reg != 10)
            for (long o = off; o < 0 && o < off + 32; o += 8) {
                std::string slot = slot_name(o), held = cell_value(*s, at, slot);
                if (!held.empty() || o == off)
                    e.known.push_back({slot, held.empty() ? "?" : held, describe_value(slot, held)});
            }
    }
    std::string refs = cell_value(*s, frame, "refs");
    if (!refs.empty())
        e.known.push_back({"refs", refs, describe_value("refs", refs)});
}

/// The branch's other arm was possible too: which one this path takes.
std::string decision(const recording &r, const std::vector<int> &path, size_t i) {
    const instruction &in = r.insns[r.visits[index(path[i])].insn];
    unsigned int next = r.visits[index(path[i + 1])].insn;
    return static_cast<long long>(next) == in.target ? "the condition holds: goes to instruction " + std::to_string(next)
                                                       : "the condition does not hold: goes on";
}

/// Where the exploration goes round: the branches that it came to most often.
void add_hot_spots(explanation &e, const recording &r) {
    constexpr size_t most = 3;
    std::map<unsigned int, unsigned int> visits;
    for (const visit &v : r.visits)
        if (r.insns[v.insn].kind == MODBPF_INSN_BRANCH)
            visits[v.insn]++;
    std::vector<std::pair<unsigned int, unsigned int>> order(visits.begin(), visits.end());
    std::stable_sort(order.begin(), order.end(), [](auto &a, auto &b) { return a.second > b.second; });
    for (size_t i = 0; i < order.size() && i < most; i++) {
        place p = place_of(r, order[i].first);
        std::string line = p.source.empty() ? "" : "line " + std::to_string(p.line) + ", ";
        e.known.push_back({"insn " + std::to_string(p.insn), "explored " + std::to_string(order[i].second) + " times", line + p.text});
    }
}

void add_waypoints(explanation &e, const recording &r, const std::vector<int> &path, std::map<size_t, std::string> notes) {
    std::map<unsigned int, unsigned int> times;
    std::map<unsigned int, size_t> last;
    for (size_t i = 0; i + 1 < path.size(); i++) {
        const visit &v = r.visits[index(path[i])];
        modbpf_insn_kind kind = r.insns[v.insn].kind;
        times[v.insn]++;
        if ((kind == MODBPF_INSN_BRANCH && v.forked) || kind == MODBPF_INSN_SUBCALL)
            last[v.insn] = i;
    }
    for (auto &[insn, i] : last) {
        std::string what = r.insns[insn].kind == MODBPF_INSN_BRANCH ? decision(r, path, i) : "calls the function at instruction " + std::to_string(r.insns[insn].target);
        notes[i] = notes.contains(i) ? what + "; " + notes[i] : what;
    }
    std::map<unsigned int, size_t> latest; // of what a loop does again and again, the last time
    for (auto &[i, what] : notes)
        latest[r.visits[index(path[i])].insn] = i;
    for (auto &[i, what] : notes) {
        unsigned int insn = r.visits[index(path[i])].insn;
        if (latest[insn] != i)
            continue;
        e.path.push_back({place_of(r, insn), what, times[insn]});
        underline(e.path.back().at, "", -1);
    }
    if (e.path.size() > most_waypoints) {
        e.left_out = e.path.size() - most_waypoints;
        e.path.erase(e.path.begin(), e.path.end() - most_waypoints);
    }
}

/// The registers' names in the instruction's text, "r0" or "(r0 +8)": where the blamed one stands.
void underline_text(place &p, unsigned int reg) {
    std::string name = "r" + std::to_string(reg);
    for (size_t at = p.text.find(name); at != std::string::npos; at = p.text.find(name, at + 1)) {
        bool whole = !isdigit(static_cast<unsigned char>(p.text[at + name.size()])) && (at == 0 || !isalnum(static_cast<unsigned char>(p.text[at - 1])));
        if (whole) {
            p.text_begin = at;
            p.text_length = name.size();
            if (at > 0 && p.text[at - 1] == '(') // the address of an access
                return;
        }
    }
}

std::string callee_of(const instruction &i) {
    size_t at = i.text.find("call ");
    if (i.kind != MODBPF_INSN_CALL || at == std::string::npos)
        return "";
    std::string name = i.text.substr(at + 5);
    return name.substr(0, name.find('#'));
}

/// The load was refused without a word: before the verifier looked at the instructions.
void explain_silence(explanation &e, int error) {
    e.title = "refused before verification, with " + error_text(error);
    switch (error) {
    case EPERM:
        e.required = "the privileges for this program type";
        e.advice = "CAP_BPF, and CAP_PERFMON for tracing or CAP_NET_ADMIN for networking programs";
        break;
    case E2BIG: e.required = "1 to 1,000,000 instructions, and no attributes that modbpf does not know"; break;
    case EINVAL:
    case EOPNOTSUPP:
        e.required = "a program type, attach type, attach target and flags that modbpf has";
        e.advice = "`modbpf features` lists the program types; -vv shows what libbpf says";
        break;
    default: break;
    }
}

} // namespace

std::vector<int> states_to_explain(const recording &r) {
    if (r.refused_at() < 0)
        return {};
    std::vector<int> path = r.path_to(r.refused_at());
    if (path.size() > most_states)
        path.erase(path.begin(), path.end() - most_states);
    return path;
}

explanation explain(const recording &r, const verdict &v) {
    finding f = find_rule(final_messages(v.log));
    explanation e;
    e.message = f.message;
    e.title = f.title.empty() ? f.message : f.title;
    e.required = f.required;
    e.advice = f.advice;
    int visit = r.refused_at();
    if (e.message.empty())
        explain_silence(e, v.error);
    if (visit < 0) {
        if (f.insn >= 0)
            e.at = place_of(r, static_cast<unsigned int>(f.insn));
        underline(e.at, "", -1);
        return e;
    }
    std::vector<int> path = r.path_to(visit);
    const instruction &in = r.insns[r.visits[index(visit)].insn];
    std::vector<unsigned int> regs = f.reg >= 0 && f.reg <= 10 ? std::vector<unsigned int>{static_cast<unsigned int>(f.reg)} : operands(in);
    e.steps = path.size();
    e.at = place_of(r, r.visits[index(visit)].insn);
    bool is_argument = !callee_of(in).empty() && regs.size() == 1 && regs[0] >= 1 && regs[0] <= 5;
    underline(e.at, callee_of(in), is_argument ? static_cast<int>(regs[0]) - 1 : -1);
    if (!regs.empty())
        underline_text(e.at, regs[0]);
    if (f.row && f.row->about_size) {
        regs.clear();
        add_hot_spots(e, r);
    }
    add_known(e, r, visit, regs);
    std::map<size_t, std::string> notes;
    for (unsigned int reg : regs)
        for (auto &[i, what] : origin_trace(r, path).follow(reg))
            notes[i] = notes.contains(i) && notes[i] != what ? notes[i] + "; " + what : what;
    if (f.insn >= 0 && f.insn != e.at.insn) // "alloc_insn"
        for (size_t i = 0; i < path.size(); i++)
            if (r.visits[index(path[i])].insn == static_cast<unsigned int>(f.insn))
                notes[i] = f.message.starts_with("Unreleased") ? "acquired here, and held from here on" : "this is what the message names";
    add_waypoints(e, r, path, std::move(notes));
    return e;
}

} // namespace cli
