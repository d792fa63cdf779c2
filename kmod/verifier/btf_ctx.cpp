// SPDX-License-Identifier: GPL-2.0-only
// Contexts whose words have kernel types: arguments of traced functions, hooks and operations.
#include "verifier/env.h"

namespace modbpf {

status access_btf_ctx(env &e, u32, s32 off, u32 size, access, s32, bool) { return refuse_ctx_access(e, off, size); }

status set_kernel_pointer(env &e, reg_state &, reg_type, const char *type_name) {
    verbose(e, "pointers to the kernel's struct %s are not supported\n", type_name);
    return fail(EOPNOTSUPP);
}

}  // namespace modbpf
