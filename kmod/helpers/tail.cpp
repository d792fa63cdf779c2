// SPDX-License-Identifier: GPL-2.0-only
#include "base/errno.h"
#include "helpers/families.h"
#include "port/port.h"

namespace modbpf {

// The engines translate bpf_tail_call themselves (helper_tail_call); a call that arrives here was not translated.
u64 bpf_tail_call(u64, u64, u64, u64, u64) {
    MODBPF_BUG_ON(true);
    return helper_errno(-EINVAL);
}

}  // namespace modbpf
