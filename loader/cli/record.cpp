// SPDX-License-Identifier: GPL-2.0-only
// The recording: callbacks of modbpf_watch() into vectors, and the log's state text into cells.
#include "loader/cli/record.h"

#include <algorithm>

namespace cli {

namespace {

std::string or_empty(const char *s) { return s ? s : ""; }

instruction keep(const modbpf_insn &i) {
    return {.text = or_empty(i.text), .file = or_empty(i.file), .source = or_empty(i.source), .line = i.line, .column = i.column,
            .words = i.words, .kind = i.kind, .uses = i.uses, .defs = i.defs, .dst = i.dst, .src = i.src, .base = i.base,
            .off = i.off, .width = i.width, .target = i.target};
}

/// Up to the space that stands outside of parentheses.
std::string next_item(const std::string &text, size_t &at) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n'))
        at++;
    size_t begin = at;
    for (int depth = 0; at < text.size() && text[at] != '\n' && (depth > 0 || text[at] != ' '); at++)
        depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
    return text.substr(begin, at - begin);
}

} // namespace

frame_state parse_state(const std::string &text) {
    frame_state out;
    for (size_t at = 0; at < text.size();) {
        std::string item = next_item(text, at);
        size_t equals = item.find('=');
        if (equals == std::string::npos)
            continue; // "frame1:"
        std::string name = item.substr(0, equals);
        size_t mark = name.find('_'); // "R0_w": written since the last checkpoint
        if (mark != std::string::npos)
            name.resize(mark);
        out.push_back({name, item.substr(equals + 1)});
    }
    return out;
}

std::string cell_value(const machine_state &s, size_t frame, const std::string &name) {
    if (frame < s.size())
        for (const cell &c : s[frame])
            if (c.name == name)
                return c.value;
    return "";
}

bool recording::begin_watch() {
    modbpf_watcher w = {
        .priv = this,
        .begun = [](void *self, const modbpf_insn *list, size_t n) { static_cast<recording *>(self)->on_begun(list, n); },
        .step = [](void *self, unsigned int insn) { return static_cast<recording *>(self)->on_step(insn); },
        .state =
            [](void *self, unsigned int, const char *text) {
                recording &r = *static_cast<recording *>(self);
                r.states[r.count_ - 1].push_back(parse_state(text));
            },
        .path = [](void *self, modbpf_path_event event, unsigned int, unsigned int place) {
            static_cast<recording *>(self)->on_path(event, place);
        },
        .kept =
            [](void *self, const unsigned char *kept, size_t n) {
                recording &r = *static_cast<recording *>(self);
                for (size_t i = 0; i < n && i < r.insns.size(); i++)
                    r.insns[i].dead = !kept[i];
            },
    };
    return modbpf_watch(&w) == 0;
}

bool recording::start() {
    with_states_ = false;
    return begin_watch();
}

bool recording::start_states(std::vector<int> wanted) {
    with_states_ = true;
    wanted_ = std::move(wanted);
    return begin_watch();
}

void recording::stop(bool refused) {
    modbpf_watch(nullptr);
    if (refused && alive_ && !with_states_)
        ends.push_back({last_, path_fate::refused});
}

/// libbpf loads small programs of its own before, to find out what there is: only the last program counts.
void recording::on_begun(const modbpf_insn *list, size_t n) {
    states.clear();
    forks_.clear();
    next_wanted_ = 0;
    last_ = -1;
    count_ = 0;
    alive_ = covered_ = false;
    if (with_states_)
        return;
    insns.clear();
    visits.clear();
    ends.clear();
    for (size_t i = 0; i < n; i++)
        insns.push_back(keep(list[i]));
}

int recording::on_step(unsigned int insn) {
    alive_ = true;
    int now = count_++;
    if (with_states_) {
        while (next_wanted_ < wanted_.size() && wanted_[next_wanted_] < now)
            next_wanted_++;
        return next_wanted_ < wanted_.size() && wanted_[next_wanted_] == now;
    }
    visits.push_back({insn, last_, 0});
    last_ = now;
    return 0;
}

void recording::on_path(modbpf_path_event event, unsigned int place) {
    if (with_states_)
        return;
    switch (event) {
    case MODBPF_PATH_ENTRY:
        last_ = -1;
        alive_ = false;
        break;
    case MODBPF_PATH_FORKED:
        forks_.resize(place + 1, -1);
        forks_[place] = last_;
        if (last_ >= 0)
            visits[static_cast<size_t>(last_)].forked = 1;
        break;
    case MODBPF_PATH_RESUMED:
        last_ = place < forks_.size() ? forks_[place] : -1;
        alive_ = false;
        break;
    case MODBPF_PATH_PRUNED: covered_ = true; break;
    case MODBPF_PATH_ENDED:
        if (last_ >= 0)
            ends.push_back({last_, covered_ ? path_fate::covered : path_fate::returned});
        covered_ = alive_ = false;
        break;
    }
}

std::vector<int> recording::path_to(int last) const {
    std::vector<int> path;
    for (int v = last; v >= 0; v = visits[static_cast<size_t>(v)].from)
        path.push_back(v);
    std::reverse(path.begin(), path.end());
    return path;
}

int recording::refused_at() const {
    return ends.empty() || ends.back().fate != path_fate::refused ? -1 : ends.back().visit;
}

const machine_state *recording::state_at(int visit) const {
    auto it = states.find(visit);
    return it == states.end() ? nullptr : &it->second;
}

} // namespace cli
