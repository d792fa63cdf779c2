// SPDX-License-Identifier: GPL-2.0-only
// modbpf_watch(): what the verifier of the process back end tells its observer, as text and plain numbers.
//
// States are printed by the verifier's own print_state(), into a log of ours in this process. One watcher a process; what it
// needs is allocated when verification begins, and a program that cannot be watched for want of memory is verified unwatched.
#include "loader/lib/libmodbpf.h"
#include "loader/lib/transport.h"

#include "btf/btf.h"
#include "isa/disasm.h"
#include "prog/prog.h"
#include "verifier/env.h"

#include <errno.h>
#include <string.h>

namespace {

using namespace modbpf;

constexpr u32 state_text_max = 64 << 10;

/// What lives from one program's beginning to the next one's.
struct printer {
    verify_request req{};
    verifier_log log;
    verifier_env env{req, log};
    char text[state_text_max];
};

struct {
    modbpf_watcher hooks;
    printer *out; ///< null: the program at hand is not watched
} constinit watching{};

void renew_printer(bool wanted) {
    destroy(watching.out);
    watching.out = wanted ? make<printer>(PORT_SLEEPING) : nullptr;
}

modbpf_insn_kind kind_of(const insn_desc &d) {
    switch (d.kind) {
    case insn_kind::mov: return d.reg && d.width == 8 && !d.sx_bytes ? MODBPF_INSN_MOVE : d.reg ? MODBPF_INSN_OTHER : MODBPF_INSN_IMM;
    case insn_kind::ld_imm64: return MODBPF_INSN_IMM;
    case insn_kind::load:
    case insn_kind::ld_packet: return MODBPF_INSN_LOAD;
    case insn_kind::store:
    case insn_kind::atomic: return MODBPF_INSN_STORE;
    case insn_kind::jump: return MODBPF_INSN_JUMP;
    case insn_kind::branch:
    case insn_kind::may_goto: return MODBPF_INSN_BRANCH;
    case insn_kind::call_helper:
    case insn_kind::call_kfunc: return MODBPF_INSN_CALL;
    case insn_kind::call_sub: return MODBPF_INSN_SUBCALL;
    case insn_kind::exit: return MODBPF_INSN_EXIT;
    default: return MODBPF_INSN_OTHER;
    }
}

/// Source line, file and column, where the program has them.
void add_source(modbpf_insn &out, const verify_request &req, u32 at) {
    const line_info *l = req.types ? line_info_find(req.lines, at) : nullptr;
    if (!l)
        return;
    out.source = req.types->string(l->line_off);
    out.file = req.types->string(l->file_name_off);
    out.line = l->line();
    out.column = l->line_col & 0x3ff;
    if (!out.source || !out.file)
        out.source = out.file = nullptr;
}

modbpf_insn describe(const verify_request &req, u32 at, span<char> text) {
    modbpf_insn out{};
    insn_desc d = decode(req.insns, at);
    disasm_options o;
    o.helper_name = helper_name;
    o.show_pointers = true;
    int n = disasm(text.data(), static_cast<u32>(text.size()), req.insns, at, o);
    if (n > 0 && static_cast<size_t>(n) < text.size() && text[static_cast<u32>(n) - 1] == '\n')
        text[static_cast<u32>(n) - 1] = 0;
    out.text = text.data();
    add_source(out, req, at);
    out.words = d.words;
    out.kind = kind_of(d);
    out.uses = d.uses;
    out.defs = d.defs;
    bool has_dst = d.kind != insn_kind::jump && d.kind != insn_kind::exit && out.kind != MODBPF_INSN_CALL &&
                   out.kind != MODBPF_INSN_SUBCALL && d.kind != insn_kind::ld_packet && d.kind != insn_kind::may_goto;
    bool has_src = d.kind == insn_kind::load || d.kind == insn_kind::atomic || d.reg;
    out.dst = has_dst && d.dst < bpf_reg_count ? d.dst : MODBPF_NO_REG;
    out.src = has_src && d.kind != insn_kind::ld_imm64 && d.src < bpf_reg_count ? d.src : MODBPF_NO_REG;
    out.base = d.kind == insn_kind::load ? out.src : out.kind == MODBPF_INSN_STORE ? out.dst : MODBPF_NO_REG;
    out.off = d.off;
    out.width = d.width;
    out.target = d.target;
    return out;
}

void on_begun(void *, const verify_request &req) {
    renew_printer(true);
    constexpr u32 text_size = disasm_line_max + 64;
    vec<modbpf_insn> insns;
    vec<char> texts;
    if (!watching.out || !insns.resize(req.insns.size()) || !texts.resize(req.insns.size() * text_size)) {
        renew_printer(false);
        return;
    }
    bool second_half = false;
    for (u32 i = 0; i < req.insns.size(); i++) {
        insns[i] = describe(req, i, texts.view().sub(static_cast<size_t>(i) * text_size, text_size));
        if (second_half)
            insns[i].words = 0;
        second_half = !second_half && insns[i].words == 2;
    }
    watching.hooks.begun(watching.hooks.priv, insns.data(), insns.size());
}

bool on_state(void *, u32 insn, const verifier_state &st) {
    printer *p = watching.out;
    if (!p || !watching.hooks.step(watching.hooks.priv, insn))
        return true;
    for (u32 f = 0; f <= st.curframe; f++) {
        p->log = verifier_log();
        u32 size = 0;
        p->text[0] = 0;
        if (!p->log.init(BPF_LOG_LEVEL1 | BPF_LOG_FIXED, reinterpret_cast<u64>(p->text), state_text_max))
            return true;
        print_state(p->env, st, f, true);
        (void)p->log.finalize(&size); // a text that is too long is cut
        watching.hooks.state(watching.hooks.priv, f, p->text);
    }
    return true;
}

void on_moved(void *, span<const u32>, span<const u8> kept) {
    if (watching.out)
        watching.hooks.kept(watching.hooks.priv, kept.data(), kept.size());
}

void on_path(void *, path_event event, u32 insn, u32 place) {
    if (watching.out)
        watching.hooks.path(watching.hooks.priv, static_cast<modbpf_path_event>(event), insn, place);
}

constinit const verify_observer observer = {
    .priv = nullptr, .state = on_state, .moved = on_moved, .begun = on_begun, .path = on_path};

static_assert(static_cast<int>(path_event::entry) == MODBPF_PATH_ENTRY && static_cast<int>(path_event::forked) == MODBPF_PATH_FORKED &&
              static_cast<int>(path_event::resumed) == MODBPF_PATH_RESUMED && static_cast<int>(path_event::pruned) == MODBPF_PATH_PRUNED &&
              static_cast<int>(path_event::ended) == MODBPF_PATH_ENDED);

} // namespace

extern "C" int modbpf_watch(const struct modbpf_watcher *watcher) {
    if (watcher && transport::backend() != transport::backend_kind::process) {
        errno = ENOTSUP;
        return -1;
    }
    load_observer = nullptr;
    renew_printer(false);
    if (watcher) {
        watching.hooks = *watcher;
        load_observer = &observer;
    }
    return 0;
}
