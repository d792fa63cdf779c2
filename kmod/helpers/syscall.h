// SPDX-License-Identifier: GPL-2.0-only
// What helpers of SYSCALL programs need of the command table, above them. Set once before the device appears.
#pragma once

#include "base/types.h"

namespace modbpf {

using bpf_command_fn = long (*)(u32 cmd, u64 attr, u32 size);
extern constinit bpf_command_fn bpf_command;

}  // namespace modbpf
