// SPDX-License-Identifier: GPL-2.0-only
// An ELF file that is open in libelf.
#pragma once

#include <fcntl.h>
#include <libelf.h>
#include <unistd.h>

namespace cli {

struct elf_file {
    int fd = -1;
    Elf *elf = nullptr;
    elf_file() = default;
    elf_file(const elf_file &) = delete;
    ~elf_file() {
        if (elf)
            elf_end(elf);
        if (fd >= 0)
            close(fd);
    }
    /// False with errno where the file cannot be opened. O_NONBLOCK: it may be anything.
    bool open_file(const char *path) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return fd >= 0;
    }
    /// What is open is ELF.
    bool begin() {
        elf_version(EV_CURRENT);
        elf = elf_begin(fd, ELF_C_READ_MMAP, nullptr);
        return elf && elf_kind(elf) == ELF_K_ELF;
    }
};

} // namespace cli
