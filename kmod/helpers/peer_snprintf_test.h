// SPDX-License-Identifier: GPL-2.0-only
// For tests: bpf_snprintf as the running kernel does it, as a peer to compare with.
#pragma once

#include <string>
#include <vector>

/// False when this process may not load programs.
bool peer_available();
struct peer_text {
    bool loaded;       ///< the kernel took the format
    long result;       ///< of bpf_snprintf
    std::string text;  ///< `size` bytes of output
};
peer_text peer_snprintf(const std::string &fmt, const std::vector<unsigned long long> &args, unsigned size);
