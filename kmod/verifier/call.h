// SPDX-License-Identifier: GPL-2.0-only
// What the two halves of a helper call share: call_args.cpp checks the arguments against the prototype and gathers facts in
// call_meta (env.h), call.cpp finds the prototype and applies the call's effects. Behaviour and texts: Linux 6.12 (check_helper_call).
#pragma once

#include "verifier/env.h"

namespace modbpf {

/// "bpf_ktime_get_ns", or "unknown".
struct func_text {
    char text[64];
    explicit func_text(s64 id) {
        const char *n = id >= 0 && id < func_id_count ? helper_name(static_cast<u32>(id)) : nullptr;
        port_snprintf(text, sizeof(text), n ? "bpf_%s" : "unknown%s", n ? n : "");
    }
};

/// The prototype that the program's type has at its hook, or null.
const helper_proto *helper_at(const env &e, u32 id);
/// R[regno] points to the kernel's structure `want`. EACCES with a text.
struct typed;
status check_kernel_object(env &e, u32 regno, const typed &want, bool null_ok);
/// Argument `i` (0..4) of meta.fn.
status check_helper_arg(env &e, u32 i, call_meta &meta);

}  // namespace modbpf
