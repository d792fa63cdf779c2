// SPDX-License-Identifier: GPL-2.0-only
// func_info and line_info: the records of PROG_LOAD that tie instructions to BTF. Checks and log texts as Linux 6.12's.
#include "prog/prog.h"

namespace modbpf {

namespace {

constexpr u32 max_record = 252; // MAX_FUNCINFO_REC_SIZE
constexpr u32 int_max = 0x7fffffff;

/// One user record of rec_size bytes into our `size`; what lies behind must be zero. On E2BIG the user learns our size.
status copy_record(void *dst, u32 size, u64 from, u32 rec_size, u64 size_field, u32 tell, const char *what, verifier_log &log) {
    status tail = check_user_tail(from, size, rec_size);
    if (!tail.ok()) {
        if (tail.err().code() == E2BIG) {
            log.printf("nonzero tailing record in %s", what);
            if (port_copy_to_user(size_field, &tell, sizeof(tell)))
                return error(EFAULT);
        }
        return tail.err();
    }
    memset(dst, 0, size);
    if (port_copy_from_user(dst, from, min(size, rec_size)))
        return error(EFAULT);
    return {};
}

/// Starts of the subprograms, by their calls, in order; false when a target lies outside (the verifier will say so).
result<bool> subprog_starts(span<const bpf_insn> insns, vec<u8> &starts) {
    TRY(starts.resize(insns.size()));
    starts[0] = 1;
    for (size_t i = 0; i < insns.size(); i++) {
        const bpf_insn &in = insns[i];
        bool call = in.code == (BPF_JMP | BPF_CALL) && in.src_reg == BPF_PSEUDO_CALL;
        bool func = in.code == (BPF_LD | BPF_IMM | BPF_DW) && in.src_reg == BPF_PSEUDO_FUNC;
        if (!call && !func)
            continue;
        s64 target = static_cast<s64>(i) + in.imm + 1;
        if (target < 0 || target >= static_cast<s64>(insns.size()))
            return false;
        starts[static_cast<size_t>(target)] = 1;
    }
    return true;
}

status check_layout(span<const bpf_insn> insns, span<const func_info> funcs, const vec<u8> &starts, verifier_log &log) {
    if (funcs.empty())
        return {};
    size_t count = 0;
    for (size_t i = 0; i < insns.size(); i++)
        count += starts[i];
    if (count != funcs.size()) {
        log.printf("number of funcs in func_info doesn't match number of subprogs\n");
        return error(EINVAL);
    }
    for (const func_info &f : funcs)
        if (f.insn_off >= insns.size() || !starts[f.insn_off]) {
            log.printf("func_info BTF section doesn't match subprog layout in BPF program\n");
            return error(EINVAL);
        }
    return {};
}

u32 next_start(const vec<u8> &starts, u32 from) {
    while (from < starts.size() && !starts[from])
        from++;
    return from;
}

status check_line(const line_info &l, u32 i, u32 prev, const btf &types, span<const bpf_insn> insns, verifier_log &log) {
    if ((i && l.insn_off <= prev) || l.insn_off >= insns.size()) {
        log.printf("Invalid line_info[%u].insn_off:%u (prev_offset:%u prog->len:%u)\n", i, l.insn_off, prev,
                   static_cast<u32>(insns.size()));
        return error(EINVAL);
    }
    if (!insns[l.insn_off].code) {
        log.printf("Invalid insn code at line_info[%u].insn_off\n", i);
        return error(EINVAL);
    }
    if (!types.string(l.line_off) || !types.string(l.file_name_off)) {
        log.printf("Invalid line_info[%u].line_off or .file_name_off\n", i);
        return error(EINVAL);
    }
    return {};
}

}  // namespace

status load_func_info(const prog_load_attr &a, u64 uattr, const btf &types, verifier_log &log, vec<func_info> &out) {
    if (!a.func_info_cnt)
        return {};
    u32 rec = a.func_info_rec_size;
    if (rec < sizeof(func_info) || rec > max_record || rec % sizeof(u32)) {
        log.printf("invalid func info rec size %u\n", rec);
        return error(EINVAL);
    }
    if (a.func_info_cnt > int_max / sizeof(func_info))
        return error(ENOMEM); // more than the kernel's allocator gives for the table
    u64 at = a.func_info;
    for (u32 i = 0; i < a.func_info_cnt; i++, at += rec) {
        func_info f;
        TRY(copy_record(&f, sizeof(f), at, rec, uattr + __builtin_offsetof(prog_load_attr, func_info_rec_size), sizeof(f), "func info",
                        log));
        if (i == 0 && f.insn_off) {
            log.printf("nonzero insn_off %u for the first func info record", f.insn_off);
            return error(EINVAL);
        }
        if (i && f.insn_off <= out.back().insn_off) {
            log.printf("same or smaller insn offset (%u) than previous func info record (%u)", f.insn_off, out.back().insn_off);
            return error(EINVAL);
        }
        const btf_type *t = types.type(f.type_id);
        if (!t || t->kind() != btf_kind::func) {
            log.printf("invalid type id %d in func info", static_cast<s32>(f.type_id));
            return error(EINVAL);
        }
        const btf_type *proto = types.type(t->size_or_type);
        if (!proto || proto->kind() != btf_kind::func_proto)
            return error(EINVAL);
        TRY(out.push(f));
    }
    return {};
}

status load_line_info(const prog_load_attr &a, u64 uattr, const btf &types, span<const bpf_insn> insns, span<const func_info> funcs,
                      verifier_log &log, vec<line_info> &out) {
    vec<u8> starts;
    bool laid_out = TRY(subprog_starts(insns, starts));
    if (!laid_out) // the verifier refuses the call, with its own text
        return {};
    TRY(check_layout(insns, funcs, starts, log));
    if (!a.line_info_cnt)
        return {};
    if (a.line_info_cnt > int_max / sizeof(line_info))
        return error(EINVAL);
    u32 rec = a.line_info_rec_size;
    if (rec < sizeof(line_info) || rec > max_record || rec % sizeof(u32))
        return error(EINVAL);
    u64 at = a.line_info;
    u32 prev = 0, sub = 0, start = 0; // the subprogram that still waits for its first line, and where it begins
    for (u32 i = 0; i < a.line_info_cnt; i++, at += rec) {
        line_info l;
        TRY(copy_record(&l, sizeof(l), at, rec, uattr + __builtin_offsetof(prog_load_attr, line_info_rec_size), sizeof(l), "line_info",
                        log));
        TRY(check_line(l, i, prev, types, insns, log));
        if (start < insns.size() && l.insn_off == start) {
            sub++;
            start = next_start(starts, start + 1);
        } else if (start < l.insn_off) {
            log.printf("missing bpf_line_info for func#%u\n", sub);
            return error(EINVAL);
        }
        prev = l.insn_off;
        TRY(out.push(l));
    }
    if (start < insns.size()) {
        u32 missing = 0;
        for (u32 s = start; s < insns.size(); s = next_start(starts, s + 1))
            missing++;
        log.printf("missing bpf_line_info for %u funcs starting from func#%u\n", missing, sub);
        return error(EINVAL);
    }
    return {};
}

}  // namespace modbpf
