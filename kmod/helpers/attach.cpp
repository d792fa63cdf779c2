// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/kfuncs.h"
#include "helpers/uprobe.h"

namespace modbpf {

// What the attach layer knows about the event stands in the run context. Outside of an event both are 0.

u64 bpf_get_func_ip(u64, u64, u64, u64, u64) {
    const run_ctx *run = current_run();
    return run ? run->func_ip : 0;
}

u64 bpf_get_attach_cookie(u64, u64, u64, u64, u64) {
    const run_ctx *run = current_run();
    return run ? run->cookie : 0;
}

namespace {
/// For programs of sessions that run elsewhere, by a tail call: somewhere to write to.
constinit u64 no_session = 0;
}  // namespace

u64 kfunc_session_cookie(u64, u64, u64, u64, u64) {
    const run_ctx *run = current_run();
    return addr_of(run && run->call_data ? run->call_data : &no_session);
}

u64 kfunc_session_is_return(u64, u64, u64, u64, u64) {
    const run_ctx *run = current_run();
    return run && run->at_return;
}

u64 bpf_get_func_ip_uprobe(u64 ctx, u64, u64, u64, u64) { return ptr_of<const u64>(ctx)[uprobe_addr]; }
u64 bpf_get_attach_cookie_uprobe(u64 ctx, u64, u64, u64, u64) { return ptr_of<const u64>(ctx)[uprobe_cookie]; }

}  // namespace modbpf
