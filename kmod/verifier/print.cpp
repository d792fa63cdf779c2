// SPDX-License-Identifier: GPL-2.0-only
// The verifier's log: register states, instructions, source lines and statistics in the text format of Linux 6.12.
#include "btf/btf.h"
#include "isa/disasm.h"
#include "verifier/callback.h"
#include "verifier/dynptr.h"
#include "verifier/fastcall.h"

namespace modbpf {

error verifier_bug(env &e, const char *what) {
    port_bug(__FILE__, static_cast<int>(e.insn), what);
    verbose(e, "verifier bug: %s\n", what);
    return error(EFAULT);
}

namespace {

constexpr const char *base_names[] = {
    "?",         "scalar",      "ctx",      "map_ptr",   "map_value", "map_key", "fp",  "pkt_meta", "pkt",  "pkt_end",
    "flow_keys", "sock",        "sock_common", "tcp_sock", "tp_buffer", "xdp_sock", "ptr_", "mem", "arena", "buf",
    "func",      "dynptr_ptr",
};
static_assert(count_of(base_names) == static_cast<u32>(reg_type::dynptr) + 1);

constexpr struct {
    type_flag flag;
    const char *text;
} prefixes[] = {
    {type_flag::rdonly, "rdonly_"},       {type_flag::ringbuf, "ringbuf_"}, {type_flag::user, "user_"}, {type_flag::percpu, "percpu_"},
    {type_flag::untrusted, "untrusted_"}, {type_flag::trusted, "trusted_"}, {type_flag::rcu, "rcu_"},
};

}  // namespace

/// Linux's name of a kind. The text stays until the next call.
const char *reg_type_name(env &e, reg_type t) {
    char *at = e.type_text, *end = e.type_text + sizeof(e.type_text);
    auto add = [&](const char *text) { at += port_snprintf(at, static_cast<size_t>(end - at), "%s", text); };
    *at = 0;
    for (const auto &p : prefixes)
        if (has(t, p.flag))
            add(p.text);
    u32 base = static_cast<u32>(base_of(t));
    add(base < count_of(base_names) ? base_names[base] : "?");
    if (has(t, type_flag::maybe_null))
        add(base_of(t) == reg_type::btf_ptr ? "or_null_" : "_or_null");
    return e.type_text;
}

namespace {

/// Large numbers are shown in hexadecimal, as Linux does.
void print_signed(env &e, s64 v) {
    if (v >= -32768 && v <= 32767)
        verbose(e, "%lld", v);
    else
        verbose(e, "0x%llx", static_cast<u64>(v));
}
void print_unsigned(env &e, u64 v) {
    if (v <= 65535)
        verbose(e, "%llu", v);
    else
        verbose(e, "0x%llx", v);
}

/// "id=1,map=m,ks=4,...": puts a comma before every item but the first.
struct item_list {
    env &e;
    bool first = true;
    void next() {
        if (!first)
            verbose(e, ",");
        first = false;
    }
};

void print_pointer_items(env &e, const reg_state &r, item_list &l) {
    if (r.ref_id) {
        l.next();
        verbose(e, "ref_obj_id=%d", r.ref_id);
    }
    if (r.has_map() && r.map_ptr) {
        if (r.map_ptr->params.name[0]) {
            l.next();
            verbose(e, "map=%s", r.map_ptr->params.name);
        }
        l.next();
        verbose(e, "ks=%d,vs=%d", r.map_ptr->params.key_size, r.map_ptr->params.value_size);
    }
    if (!r.is_scalar() && r.off) {
        l.next();
        verbose(e, "off=");
        print_signed(e, r.off);
    }
    if (r.is_packet()) {
        l.next();
        verbose(e, "r=");
        print_unsigned(e, static_cast<u64>(static_cast<s64>(r.range)));
    }
    if (r.base() == reg_type::mem) {
        l.next();
        verbose(e, "sz=");
        print_unsigned(e, r.mem_size);
    }
    if (r.type == reg_type::dynptr) {
        l.next();
        verbose(e, "type=%s", dynptr_name(r.dynptr));
    }
}

void print_reg(env &e, u32 frame, const reg_state &r) {
    if (r.is_const()) {
        print_signed(e, static_cast<s64>(r.var.value()));
        return;
    }
    verbose(e, "%s", reg_type_name(e, r.type));
    if (r.base() == reg_type::btf_ptr && r.types) {
        const char *name = r.types->name(r.btf_id);
        verbose(e, "%s", name ? name : "");
    }
    if (r.type == reg_type::stack) {
        if (frame != r.frame)
            verbose(e, "[%d]", r.frame);
        if (r.var.is_const()) {
            print_signed(e, static_cast<s64>(r.var.value()) + r.off);
            return;
        }
    }
    verbose(e, "(");
    item_list l{e};
    if (r.id) {
        l.next();
        verbose(e, "id=%d", r.id & ~id_add_const);
        if (r.id & id_add_const)
            verbose(e, "%+d", r.off);
    }
    print_pointer_items(e, r, l);
    if (!r.var.is_const()) {
        char text[256];
        if (scalar_format(text, sizeof(text), r.var)) {
            l.next();
            verbose(e, "%s", text);
        }
    } else if (r.var.value()) {
        l.next();
        verbose(e, "imm=");
        print_signed(e, static_cast<s64>(r.var.value()));
    }
    verbose(e, ")");
}

/// What paths did since the last checkpoint, and those from it.
const char *use_text(bool read, bool written) { return read ? written ? "_rw" : "_r" : written ? "_w" : ""; }

/// An object's facts are shown at its lowest slot.
bool is_main_slot(const stack_slot &s) { return s.spilled.dynptr != dynptr_kind::none ? s.spilled.first_slot : s.spilled.ref_id != 0; }

void print_object(env &e, const reg_state &r) {
    if (r.dynptr != dynptr_kind::none) {
        verbose(e, "dynptr_%s(", dynptr_name(r.dynptr));
        item_list l{e};
        l.next();
        verbose(e, "id=%d", r.id);
        if (r.ref_id) {
            l.next();
            verbose(e, "ref_id=%d", r.ref_id);
        }
        verbose(e, ")");
        return;
    }
    const char *name = r.types ? r.types->name(r.btf_id) : nullptr; // bpf_iter_<name>
    verbose(e, "iter_%s(ref_id=%d,state=%s,depth=%u)", name && strlen(name) > 9 ? name + 9 : "<invalid>", r.ref_id,
            r.iter == iter_state::active ? "active" : "drained", r.iter_depth);
}

void print_slot(env &e, const func_state &f, u32 index, const checkpoint_trace *trace) {
    const stack_slot &s = f.stack[index];
    constexpr char letter[] = {'?', 'r', 'm', '0', 'd', 'i'};
    char text[slot_bytes + 1];
    bool used = false;
    for (u32 i = 0; i < slot_bytes; i++) {
        text[i] = letter[static_cast<u32>(s.kind[i])];
        used |= s.kind[i] != slot_kind::invalid;
    }
    text[slot_bytes] = 0;
    if (!used)
        return;
    if (s.is_object() && !is_main_slot(s))
        return;
    bool read = trace && trace->read.slots[f.frameno] >> index & 1, precise = trace && trace->precise.slots[f.frameno] >> index & 1;
    verbose(e, " fp%d%s=", -static_cast<s32>(slot_bytes * (index + 1)), use_text(read, f.written_slots >> index & 1));
    if (s.is_object()) {
        print_object(e, s.spilled);
        return;
    }
    if (!s.is_spill()) {
        verbose(e, "%s", text);
        return;
    }
    u32 i = 0; // what stands above a spill of less than 8 bytes
    while (s.kind[i] != slot_kind::spill)
        i++;
    text[i] = 0;
    verbose(e, precise ? "%sP" : "%s", text);
    print_reg(e, f.frameno, s.spilled);
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

void tnum_text(char *buf, u32 size, const tnum &t) {
    if (t.is_const())
        port_snprintf(buf, size, t.value <= 65535 ? "%llu" : "0x%llx", t.value);
    else
        port_snprintf(buf, size, "(0x%llx; 0x%llx)", t.value, t.mask);
}

void print_state(env &e, const verifier_state &st, u32 frame, bool all, const checkpoint_trace *trace) {
    const func_state &f = *st.frame[frame];
    if (f.frameno)
        verbose(e, " frame%d:", f.frameno);
    for (u32 i = 0; i < bpf_reg_count; i++) {
        const reg_state &r = f.regs[i];
        if (r.type == reg_type::not_init || (!all && !(e.scratched_regs >> i & 1)))
            continue;
        bool read = trace && trace->read.regs[frame] >> i & 1, precise = trace && trace->precise.regs[frame] >> i & 1;
        verbose(e, precise ? " R%d%s=P" : " R%d%s=", i, use_text(read, f.written_regs >> i & 1));
        print_reg(e, f.frameno, r);
    }
    for (u32 i = 0; i < f.stack.size(); i++)
        if (all || (e.scratched_slots >> i & 1))
            print_slot(e, f, i, trace);
    for (u32 i = 0; i < st.refs.size(); i++)
        verbose(e, i ? ",%d" : " refs=%d", st.refs[i].id);
    if (f.callback)
        verbose(e, f.callback->async ? " async_cb" : " cb");
    verbose(e, "\n");
    if (!all)
        e.scratched_regs = 0, e.scratched_slots = 0;
}

/// The state that an instruction left, on the instruction's line if nothing was printed since.
void print_insn_state(env &e) {
    if (e.prev_log_pos && e.prev_log_pos == e.log.position()) {
        e.log.reset(e.prev_log_pos - 1);
        u64 pos = e.prev_insn_print_len;
        u64 column = max<u64>(pos + 4, 40); // states start at column 40, or at the next multiple of 8
        verbose(e, "%*c;", static_cast<int>(align_up(column, 8) - pos - 1), ' ');
    } else {
        verbose(e, "%d:", e.insn);
    }
    print_state(e, *e.cur, e.cur->curframe, false);
}

void print_line(env &e, u32 insn, const char *prefix) {
    if (!(e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2)) || !e.req.types)
        return;
    const line_info *l = line_info_find(e.req.lines, insn), *p = e.prev_line;
    if (!l || l == p)
        return;
    if (p && l->file_name_off == p->file_name_off && l->line_col >> 10 == p->line_col >> 10)
        return;
    const char *text = e.req.types->string(l->line_off), *path = e.req.types->string(l->file_name_off);
    if (!text || !path)
        return;
    while (is_space(*text))
        text++;
    const char *file = path;
    for (const char *c = path; *c; c++)
        if (*c == '/')
            file = c + 1;
    verbose(e, "%s%s @ %s:%u\n", prefix, text, file, l->line_col >> 10);
    e.prev_line = l;
}

/// The kernel function that a call names, for the disassembler.
static const char *kfunc_name(void *priv, const bpf_insn &insn) {
    if (insn.src_reg == BPF_PSEUDO_KFUNC_CALL)
        for (const kfunc_desc &k : static_cast<const env *>(priv)->kfuncs)
            if (k.id == static_cast<u32>(insn.imm) && k.off == insn.off)
                return k.name;
    return nullptr;
}

void print_insn_text(env &e, u32 at) {
    disasm_options o;
    o.helper_name = helper_name;
    o.call_name = kfunc_name;
    o.priv = &e;
    o.show_pointers = e.req.perfmon;
    char text[disasm_line_max + 64];
    disasm(text, sizeof(text), e.code(), at, o);
    verbose(e, "%d: %s", at, text);
}

void print_insn(env &e, u32 at) {
    print_insn_text(e, at);
    e.prev_insn_print_len = e.log.position() - e.prev_log_pos;
    e.prev_log_pos = e.log.position();
}

void print_stats(env &e) {
    if (e.log.level() & BPF_LOG_STATS) {
        verbose(e, "verification time %lld usec\n", static_cast<s64>(e.stats.time_ns / 1000));
        verbose(e, "stack depth ");
        for (u32 i = 0; i < e.subs.size(); i++)
            verbose(e, "%s%d", i ? "+" : "", counted_depth(e.subs[i]) + e.subs[i].stack_extra);
        verbose(e, "\n");
    }
    verbose(e,
            "processed %d insns (limit %d) max_states_per_insn %d total_states %d peak_states %d mark_read %d\n",
            static_cast<int>(e.processed), static_cast<int>(max_insns_privileged),
            static_cast<int>(e.stats.max_states_per_insn), static_cast<int>(e.stats.total_states),
            static_cast<int>(e.stats.peak_states), static_cast<int>(e.stats.longest_mark_read));
}

}  // namespace modbpf
