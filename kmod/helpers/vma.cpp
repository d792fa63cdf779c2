// SPDX-License-Identifier: GPL-2.0-only
// A task's mapping at an address, for a function of the program. Any context.
#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

struct vma_call {
    u64 task, fn, ctx;
};

void call_for_vma(void *priv, u64 vma) {
    auto &c = *static_cast<vma_call *>(priv);
    (void)call_back(c.fn, c.task, vma, c.ctx);
}

}  // namespace

/// find_vma(task, address, callback, context, flags)
u64 bpf_find_vma(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    if (r5)
        return helper_errno(-EINVAL);
    if (!r1)
        return helper_errno(-ENOENT);
    vma_call c{r1, r3, r4};
    return helper_errno(port_find_vma(r1, r2, call_for_vma, &c));
}

}  // namespace modbpf
