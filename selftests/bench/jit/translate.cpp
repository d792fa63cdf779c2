// SPDX-License-Identifier: GPL-2.0-only
#include "sources.h"

#include "helpers/packet.h"
#include "jit/jit.h"
#include "verifier/context.h"
#include "verifier/verifier.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace modbpf::bench {

namespace {

double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

/// The return thunk within reach of text: what it does matters to image.cpp alone.
u64 near_thunk() {
    static void *const text = port_text_alloc(1);
    return addr_of(text);
}

} // namespace

bool translate(const void *insns, size_t count, bool return_thunk, native_code &out) {
    verifier_log log;
    verify_request req{};
    req.insns = {static_cast<const bpf_insn *>(insns), count};
    req.type = find_prog_type(BPF_PROG_TYPE_SCHED_CLS);
    req.gpl_compatible = req.perfmon = true;
    req.map_from_fd = [](int) -> result<ref<map>> { return error(EBADF); };
    if (!log.init(0, 0, 0).ok())
        return false;
    auto verified = verify(req, log);
    if (!verified.ok())
        return fprintf(stderr, "modbpf refuses it: %d\n", verified.err().code()), false;
    jit_machine machine{};
    machine.endbr = machine.sls = true;
    machine.bmi2 = __builtin_cpu_supports("bmi2"); // as the kernel's JIT finds it
    if (return_thunk)
        machine.return_thunk = near_thunk();
    jit_options options;
    options.env = &machine;
    options.blind = port_jit_harden() > 1; // to see what it costs
    double best = 1e18;
    jit_image image;
    for (u32 i = 0; i < 50; i++) {
        double from = now_ns();
        auto r = jit_compile((*verified)->image, options);
        best = std::min(best, now_ns() - from);
        if (!r.ok())
            return fprintf(stderr, "modbpf cannot translate it: %d\n", r.err().code()), false;
        image = move(*r);
    }
    out.text.assign(image.text().begin(), image.text().end());
    for (const jit_func &f : image.funcs())
        out.functions.push_back({addr_of(image.text().data()) + f.offset, f.offset, f.size});
    out.insns = static_cast<u32>((*verified)->image.insns.size());
    out.translation_ns = best;
    out.data_at = __builtin_offsetof(packet_run, data), out.data_end_at = __builtin_offsetof(packet_run, data_end);
    return true;
}

} // namespace modbpf::bench
