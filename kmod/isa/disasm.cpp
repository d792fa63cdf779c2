// SPDX-License-Identifier: GPL-2.0-only
#include "isa/disasm.h"

#include "isa/opcode.h"
#include "port/port.h"

namespace modbpf {

namespace {

constexpr const char *class_names[8] = {"ld", "ldx", "st", "stx", "alu", "jmp", "jmp32", "alu64"};
constexpr const char *alu_names[16] = {
    "+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian", "", ""};
constexpr const char *jump_names[16] = {
    "jmp", "==", ">", ">=", "&", "!=", "s>", "s>=", "call", "exit", "<", "<=", "s<", "s<=", "", ""};

const char *width_name(u8 width, bool is_signed) {
    switch (width) {
        case 1:
            return is_signed ? "s8" : "u8";
        case 2:
            return is_signed ? "s16" : "u16";
        case 4:
            return is_signed ? "s32" : "u32";
        default:
            return "u64";
    }
}

/// Where a line goes; every print starts the line anew, because each instruction has one.
struct line {
    char *buf;
    u32 size;
    int print(const char *fmt, ...) __attribute__((format(printf, 2, 3)));
};

int line::print(const char *fmt, ...) {
    __builtin_va_list args;
    __builtin_va_start(args, fmt);
    int n = port_vsnprintf(buf, size, fmt, args);
    __builtin_va_end(args);
    return n;
}

char reg_letter(const insn_desc &d) {
    return d.width == 4 ? 'w' : 'r';
}

const char *operator_text(const insn_desc &d) {
    if (d.is_signed)
        return d.op == BPF_DIV ? "s/=" : "s%=";
    return alu_names[d.op >> 4];
}

const char *extension_text(const insn_desc &d) {
    switch (d.sx_bytes) {
        case 1:
            return "(s8)";
        case 2:
            return "(s16)";
        case 4:
            return "(s32)";
        default:
            return "";
    }
}

int print_compute(line &out, const insn_desc &d) {
    char r = reg_letter(d);
    switch (d.kind) {
        case insn_kind::bswap:
            return out.print("(%02x) r%d = bswap%d r%d\n", d.code, d.dst, static_cast<s32>(d.imm), d.dst);
        case insn_kind::to_le:
        case insn_kind::to_be:
            return out.print("(%02x) r%d = %s%d r%d\n", d.code, d.dst, d.kind == insn_kind::to_be ? "be" : "le",
                             static_cast<s32>(d.imm), d.dst);
        case insn_kind::neg:
            return out.print("(%02x) %c%d = -%c%d\n", d.code, r, d.dst, r, d.dst);
        default:
            break;
    }
    if (d.code == (BPF_ALU64 | BPF_MOV | BPF_X) && d.off == BPF_ADDR_SPACE_CAST)
        return out.print("(%02x) r%d = addr_space_cast(r%d, %d, %d)\n", d.code, d.dst, d.src,
                         static_cast<u32>(d.imm) >> 16, static_cast<u16>(d.imm));
    if (d.reg)
        return out.print("(%02x) %c%d %s %s%c%d\n", d.code, r, d.dst, operator_text(d), extension_text(d), r, d.src);
    return out.print("(%02x) %c%d %s %d\n", d.code, r, d.dst, operator_text(d), static_cast<s32>(d.imm));
}

int print_atomic(line &out, const insn_desc &d) {
    const char *type = width_name(d.width, false), *suffix = d.width == 8 ? "64" : "";
    if (d.imm == BPF_CMPXCHG)
        return out.print("(%02x) r0 = atomic%s_cmpxchg((%s *)(r%d %+d), r0, r%d)\n", d.code, suffix, type, d.dst, d.off,
                         d.src);
    if (d.imm == BPF_XCHG)
        return out.print("(%02x) r%d = atomic%s_xchg((%s *)(r%d %+d), r%d)\n", d.code, d.src, suffix, type, d.dst,
                         d.off, d.src);
    const char *op;
    switch (d.imm & ~static_cast<s64>(BPF_FETCH)) {
        case BPF_ADD:
            op = "add";
            break;
        case BPF_AND:
            op = "and";
            break;
        case BPF_OR:
            op = "or";
            break;
        case BPF_XOR:
            op = "xor";
            break;
        default:
            return out.print("BUG_%02x\n", d.code);
    }
    if (d.imm & BPF_FETCH)
        return out.print("(%02x) r%d = atomic%s_fetch_%s((%s *)(r%d %+d), r%d)\n", d.code, d.src, suffix, op, type,
                         d.dst, d.off, d.src);
    return out.print("(%02x) lock *(%s *)(r%d %+d) %s r%d\n", d.code, type, d.dst, d.off, alu_names[d.imm >> 4 & 15],
                     d.src);
}

int print_memory(line &out, const insn_desc &d) {
    const char *type = width_name(d.width, d.is_signed);
    switch (d.kind) {
        case insn_kind::load:
        case insn_kind::probe_load:
        case insn_kind::arena_load:
            return out.print("(%02x) r%d = *(%s *)(r%d %+d)\n", d.code, d.dst, type, d.src, d.off);
        case insn_kind::atomic:
        case insn_kind::arena_atomic:
            return print_atomic(out, d);
        case insn_kind::ld_packet:
            if (d.reg)
                return out.print("(%02x) r0 = *(%s *)skb[r%d + %d]\n", d.code, type, d.src, static_cast<s32>(d.imm));
            return out.print("(%02x) r0 = *(%s *)skb[%d]\n", d.code, type, static_cast<s32>(d.imm));
        default:
            break;
    }
    if (d.reg)
        return out.print("(%02x) *(%s *)(r%d %+d) = r%d\n", d.code, type, d.dst, d.off, d.src);
    return out.print("(%02x) *(%s *)(r%d %+d) = %d\n", d.code, type, d.dst, d.off, static_cast<s32>(d.imm));
}

int print_call(line &out, const insn_desc &d, const bpf_insn &insn, const disasm_options &o) {
    const char *name = nullptr;
    if (d.src == 0 && insn.imm >= 0 && o.helper_name && (name = o.helper_name(static_cast<u32>(insn.imm))))
        return out.print("(%02x) call bpf_%s#%d\n", d.code, name, insn.imm);
    if (o.call_name)
        name = o.call_name(o.priv, insn);
    if (d.src != BPF_PSEUDO_CALL) {
        if (!name)
            name = d.src == BPF_PSEUDO_KFUNC_CALL ? "kernel-function" : "unknown";
        return out.print("(%02x) call %s#%d\n", d.code, name, insn.imm);
    }
    if (name)
        return out.print("(%02x) call pc%s\n", d.code, name);
    return out.print("(%02x) call pc%+d\n", d.code, insn.imm);
}

int print_branch(line &out, const insn_desc &d) {
    char r = reg_letter(d);
    const char *op = jump_names[d.op >> 4];
    if (d.reg)
        return out.print("(%02x) if %c%d %s %c%d goto pc%+d\n", d.code, r, d.dst, op, r, d.src, d.off);
    return out.print("(%02x) if %c%d %s 0x%x goto pc%+d\n", d.code, r, d.dst, op, static_cast<u32>(d.imm), d.off);
}

int print_imm64(line &out, const insn_desc &d, const bpf_insn &insn, const disasm_options &o) {
    u64 imm = static_cast<u64>(d.imm);
    if (d.src != 0 && d.src != BPF_PSEUDO_FUNC && d.src <= BPF_PSEUDO_MAP_IDX_VALUE && !o.show_pointers)
        imm = 0;
    const char *text = o.imm_name ? o.imm_name(o.priv, insn, imm) : nullptr;
    if (text)
        return out.print("(%02x) r%d = %s\n", d.code, d.dst, text);
    return out.print("(%02x) r%d = 0x%llx\n", d.code, d.dst, imm);
}

/// Words that no program of Linux can hold print as in its log, for tools that dump raw bytes.
int print_unknown(line &out, const insn_desc &d) {
    switch (bpf_class(d.code)) {
        case BPF_STX:
            return out.print("BUG_%02x\n", d.code);
        case BPF_ST:
            if (bpf_mode(d.code) == BPF_ATOMIC)
                return out.print("(%02x) nospec\n", d.code);
            return out.print("BUG_st_%02x\n", d.code);
        case BPF_LDX:
            return out.print("BUG_ldx_%02x\n", d.code);
        case BPF_LD:
            return out.print("BUG_ld_%02x\n", d.code);
        default:
            return out.print("(%02x) %s\n", d.code, class_names[bpf_class(d.code)]);
    }
}

}  // namespace

int disasm(char *buf, u32 size, span<const bpf_insn> insns, u32 at, const disasm_options &options) {
    line out{buf, size};
    insn_desc d = decode(insns, at);
    const bpf_insn &insn = insns[at];
    switch (d.kind) {
        case insn_kind::alu:
        case insn_kind::mov:
        case insn_kind::neg:
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
            return print_compute(out, d);
        case insn_kind::load:
        case insn_kind::probe_load:
        case insn_kind::store:
        case insn_kind::atomic:
        case insn_kind::arena_load:
        case insn_kind::arena_store:
        case insn_kind::arena_atomic:
        case insn_kind::ld_packet:
            return print_memory(out, d);
        case insn_kind::jump:
            if (bpf_class(d.code) == BPF_JMP32)
                return out.print("(%02x) gotol pc%+d\n", d.code, insn.imm);
            return out.print("(%02x) goto pc%+d\n", d.code, d.off);
        case insn_kind::branch:
            return print_branch(out, d);
        case insn_kind::may_goto:
            return out.print("(%02x) may_goto pc%+d\n", d.code, d.off);
        case insn_kind::call_helper:
        case insn_kind::call_sub:
        case insn_kind::call_kfunc:
            return print_call(out, d, insn, options);
        case insn_kind::exit:
            return out.print("(%02x) exit\n", d.code);
        case insn_kind::ld_imm64:
            return print_imm64(out, d, insn, options);
        case insn_kind::unknown:
            break;
    }
    return print_unknown(out, d);
}

const char *alu_op_name(u8 op) {
    return alu_names[op >> 4 & 15];
}
const char *class_name(u8 insn_class) {
    return class_names[insn_class & 7];
}

}  // namespace modbpf
