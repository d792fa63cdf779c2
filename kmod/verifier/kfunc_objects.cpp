// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/kfunc.h"

namespace modbpf {

status check_object_kfunc(env &e, const kfunc_call &c) {
    verbose(e, "kernel function %s: allocated objects, work queues and exceptions are not supported\n", c.fn->name);
    return fail(EOPNOTSUPP);
}

}  // namespace modbpf
