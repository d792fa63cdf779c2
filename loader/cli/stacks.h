// SPDX-License-Identifier: GPL-2.0-only
// Stacks that programs count in a map, folded: root first, frames between semicolons, and how often.
#pragma once

#include "loader/cli/maps.h"
#include "loader/cli/symbols.h"

namespace cli {

/// Frames from the outermost to the innermost -> count.
using folded_stacks = std::map<std::vector<std::string>, __u64>;

/// What a map's keys or values say of stacks, by the names of their members.
struct stack_field {
    size_t offset, size, count; ///< count: addresses of a call chain; 0: the id of a stack in a STACK_TRACE map
    bool user, in_value;
    std::string name;
};
struct stack_layout {
    std::vector<stack_field> stacks;
    slot_layout pid, comm; ///< of the key; comm: count bytes
};
/// Empty when there are no stacks in it.
stack_layout find_stacks(const map_view &v);

class stack_reader {
public:
    /// The map `name`, or the only one with stacks. False, with a message.
    bool choose(const std::vector<struct bpf_object *> &objects, const std::string &name);
    /// Takes the symbols of processes that are new in the map, before they end.
    void look();
    /// Everything that the map has counted.
    folded_stacks fold();
    const std::string &map_name() const { return view_.name; }

private:
    __u32 pid_of(const map_entry &e) const;
    std::vector<__u64> addresses(const map_entry &e, const stack_field &f, std::string &problem);
    void add_frames(const map_entry &e, const stack_field &f, std::vector<std::string> &out);

    map_view view_ = {};
    stack_layout layout_;
    std::map<std::string, std::pair<int, size_t>> ids_; ///< field -> STACK_TRACE map's descriptor, and addresses in a stack
    process_symbols processes_;
    symbol_table kernel_;
};

/// Lines of "a;b;c 12". False with errno.
bool write_folded(const char *path, const folded_stacks &stacks);

} // namespace cli
