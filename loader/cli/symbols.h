// SPDX-License-Identifier: GPL-2.0-only
// Names of functions by address: the kernel's, and those of processes as they are mapped at the time.
#pragma once

#include "loader/cli/cli.h"

#include <map>
#include <memory>

namespace cli {

/// Functions of one address space.
class symbol_table {
public:
    /// size 0: up to the next one.
    void add(__u64 address, __u64 size, std::string name) { all_.push_back({address, size, std::move(name)}); }
    /// Once all are added.
    void sort();
    /// Null where no function is.
    const std::string *find(__u64 address) const;
    bool empty() const { return all_.empty(); }

private:
    struct symbol {
        __u64 address, size;
        std::string name;
    };
    std::vector<symbol> all_;
};

/// /proc/kallsyms; empty where it shows no addresses.
symbol_table kernel_symbols();

/// An executable's functions, and where its segments are in the file.
struct elf_image {
    struct segment {
        __u64 offset, address, size;
    };
    symbol_table functions;
    std::vector<segment> segments;
    /// By offset in the file.
    const std::string *find(__u64 offset) const;
};
/// No functions where the file cannot be read or is no ELF.
elf_image read_image(const char *path);

class process_symbols {
public:
    /// Takes the process's mappings and its files' functions, as they are now. A process that is gone keeps what was seen of it.
    void look(__u32 pid);
    bool knows(__u32 pid) const { return processes_.count(pid) != 0; }
    /// The function, or the file between brackets.
    std::string name(__u32 pid, __u64 address) const;

private:
    struct mapping {
        __u64 start, end, offset;
        std::string file; ///< without its folders
        std::shared_ptr<elf_image> image;
    };
    std::map<__u32, std::vector<mapping>> processes_;
    std::map<std::string, std::shared_ptr<elf_image>> images_; ///< by device and inode
};

} // namespace cli
