// SPDX-License-Identifier: GPL-2.0-only
// What loaded programs are attached to, as their links tell.
#pragma once

#include "loader/cli/cli.h"

#include <map>

namespace cli {

/// By program id: events in the words of --attach ("kprobe:vfs_read"), the same one once with how often ("perf:cpu-clock x2").
class attachments {
public:
    ~attachments();
    /// Looks anew. False with errno, when links cannot be listed.
    bool refresh();
    /// Between commas; empty when no link holds the program.
    std::string of(__u32 prog_id) const;
    const std::map<std::string, unsigned> &all_of(__u32 prog_id) const;

private:
    std::string describe(int link_fd, __u32 &prog_id);
    std::string function(__u32 types_id, __u32 type_id);

    std::map<__u32, std::map<std::string, unsigned>> by_program_;
    struct btf *kernel_types_ = nullptr; ///< read when a link needs them
    bool types_tried_ = false;
};

} // namespace cli
