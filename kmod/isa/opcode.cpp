// SPDX-License-Identifier: GPL-2.0-only
#include "isa/opcode.h"

#include "base/errno.h"
#include "port/port.h"

namespace modbpf {

namespace {

struct opcode_table {
    opcode_row rows[256];
};

constexpr void add(opcode_table &t, u8 code, insn_kind kind, u8 op, u8 width, bool reg, bool is_signed = false) {
    t.rows[code] = {kind, op, width, reg, is_signed};
}

constexpr void add_alu(opcode_table &t, u8 cls, u8 width) {
    constexpr u8 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,  BPF_AND,
                          BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_MOV, BPF_ARSH};
    for (u8 op : ops) {
        insn_kind kind = op == BPF_MOV ? insn_kind::mov : insn_kind::alu;
        add(t, cls | op | BPF_K, kind, op, width, false);
        add(t, cls | op | BPF_X, kind, op, width, true);
    }
    add(t, cls | BPF_NEG, insn_kind::neg, BPF_NEG, width, false);
}

constexpr void add_branches(opcode_table &t, u8 cls, u8 width) {
    constexpr u8 ops[] = {BPF_JEQ,  BPF_JNE,  BPF_JGT,  BPF_JLT,  BPF_JGE, BPF_JLE,
                          BPF_JSGT, BPF_JSLT, BPF_JSGE, BPF_JSLE, BPF_JSET};
    for (u8 op : ops) {
        add(t, cls | op | BPF_K, insn_kind::branch, op, width, false);
        add(t, cls | op | BPF_X, insn_kind::branch, op, width, true);
    }
    add(t, cls | BPF_JA, insn_kind::jump, BPF_JA, 0, false);
}

constexpr opcode_table build() {
    opcode_table t{};
    add_alu(t, BPF_ALU, 4);
    add_alu(t, BPF_ALU64, 8);
    add(t, BPF_ALU | BPF_END | BPF_TO_LE, insn_kind::to_le, BPF_END, 0, false);
    add(t, BPF_ALU | BPF_END | BPF_TO_BE, insn_kind::to_be, BPF_END, 0, false);
    add(t, BPF_ALU64 | BPF_END, insn_kind::bswap, BPF_END, 0, false);

    add_branches(t, BPF_JMP, 8);
    add_branches(t, BPF_JMP32, 4);
    add(t, BPF_JMP | BPF_CALL, insn_kind::call_helper, BPF_CALL, 0, false);  // decode() tells the three calls apart
    add(t, BPF_JMP | BPF_EXIT, insn_kind::exit, BPF_EXIT, 0, false);
    add(t, BPF_JMP | BPF_JCOND, insn_kind::may_goto, BPF_JCOND, 0, false);

    constexpr struct { u8 size, width; } sizes[] = {{BPF_B, 1}, {BPF_H, 2}, {BPF_W, 4}, {BPF_DW, 8}};
    for (auto s : sizes) {
        add(t, BPF_LDX | BPF_MEM | s.size, insn_kind::load, 0, s.width, false);
        add(t, BPF_ST | BPF_MEM | s.size, insn_kind::store, 0, s.width, false);
        add(t, BPF_STX | BPF_MEM | s.size, insn_kind::store, 0, s.width, true);
        add(t, BPF_LDX | BPF_PROBE_MEM | s.size, insn_kind::probe_load, 0, s.width, false);
        if (s.width < 8) {
            add(t, BPF_LDX | BPF_PROBE_MEMSX | s.size, insn_kind::probe_load, 0, s.width, false, true);
            add(t, BPF_LDX | BPF_MEMSX | s.size, insn_kind::load, 0, s.width, false, true);
            add(t, BPF_LD | BPF_ABS | s.size, insn_kind::ld_packet, 0, s.width, false);
            add(t, BPF_LD | BPF_IND | s.size, insn_kind::ld_packet, 0, s.width, true);
        }
        add(t, BPF_LDX | BPF_PROBE_MEM32 | s.size, insn_kind::arena_load, 0, s.width, false);
        add(t, BPF_ST | BPF_PROBE_MEM32 | s.size, insn_kind::arena_store, 0, s.width, false);
        add(t, BPF_STX | BPF_PROBE_MEM32 | s.size, insn_kind::arena_store, 0, s.width, true);
        if (s.width >= 4) {
            add(t, BPF_STX | BPF_ATOMIC | s.size, insn_kind::atomic, 0, s.width, true);
            add(t, BPF_STX | BPF_PROBE_ATOMIC | s.size, insn_kind::arena_atomic, 0, s.width, true);
        }
    }
    add(t, BPF_LD | BPF_IMM | BPF_DW, insn_kind::ld_imm64, 0, 8, false);
    return t;
}

constexpr opcode_table table = build();

inline const opcode_row &row_of(u8 code) { return table.rows[code]; }

constexpr bool is_div_or_mod(u8 op) {
    return op == BPF_DIV || op == BPF_MOD;
}
constexpr bool is_shift(u8 op) {
    return op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
}

refusal refuse(int err, const char *text) {
    refusal r;
    r.err = err;
    port_snprintf(r.text, sizeof(r.text), "%s", text);
    return r;
}
refusal refuse(int err, const char *fmt, s32 a, s32 b = 0) {
    refusal r;
    r.err = err;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    port_snprintf(r.text, sizeof(r.text), fmt, a, b);
#pragma GCC diagnostic pop
    return r;
}

/// What decode() takes from the opcode alone, and what it has to look at the words for.
struct decode_row {
    insn_desc desc;
    // 1: the register is among those read or written
    u16 reads_dst = 0, reads_src = 0, writes_dst = 0;
    bool by_words = false; ///< complete() has more to say
};
struct decode_table {
    decode_row rows[256];
};

constexpr decode_row decode_row_of(u8 code, const opcode_row &row) {
    decode_row r;
    insn_desc &d = r.desc;
    d.kind = row.kind, d.code = code, d.op = row.op, d.width = row.width, d.reg = row.reg, d.is_signed = row.is_signed;
    switch (row.kind) {
        case insn_kind::unknown:
            break;
        case insn_kind::alu:
            r.reads_dst = r.writes_dst = 1;
            r.reads_src = row.reg;
            r.by_words = is_div_or_mod(row.op);
            break;
        case insn_kind::mov:
            r.writes_dst = 1;
            r.reads_src = r.by_words = row.reg;
            break;
        case insn_kind::neg:
            r.reads_dst = r.writes_dst = 1;
            break;
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
            r.reads_dst = r.writes_dst = 1;
            r.by_words = true;
            break;
        case insn_kind::load:
        case insn_kind::probe_load:
        case insn_kind::arena_load:
            r.reads_src = r.writes_dst = 1;
            break;
        case insn_kind::store:
        case insn_kind::arena_store:
            r.reads_dst = 1;
            r.reads_src = row.reg;
            break;
        case insn_kind::atomic:
        case insn_kind::arena_atomic:
            r.reads_dst = r.reads_src = 1;
            r.by_words = true;
            break;
        case insn_kind::ld_packet: // the context is in r6; ends the program when the bytes are not there
            r.reads_src = row.reg;
            d.uses = reg_bit(BPF_REG_6);
            d.defs = caller_saved_regs;
            break;
        case insn_kind::branch:
            r.reads_dst = 1;
            r.reads_src = row.reg;
            [[fallthrough]];
        case insn_kind::may_goto:
            d.jumps = true;
            r.by_words = true;
            break;
        case insn_kind::jump:
            d.jumps = true;
            d.falls_through = false;
            r.by_words = true;
            break;
        case insn_kind::call_helper:
        case insn_kind::call_sub:
        case insn_kind::call_kfunc:
            d.defs = caller_saved_regs;
            r.by_words = true;
            break;
        case insn_kind::exit:
            d.falls_through = false;
            d.uses = reg_bit(BPF_REG_0);
            break;
        case insn_kind::ld_imm64:
            d.words = 2;
            r.writes_dst = 1;
            r.by_words = true;
            break;
    }
    return r;
}

constexpr decode_table build_decode() {
    decode_table t;
    for (u32 code = 0; code < 256; code++)
        t.rows[code] = decode_row_of(static_cast<u8>(code), table.rows[code]);
    return t;
}

constexpr decode_table decoding = build_decode();

/// Which of the three calls.
void complete_call(insn_desc &d, s64 next) {
    if (d.src == BPF_PSEUDO_CALL) {
        d.kind = insn_kind::call_sub;
        d.uses = 0x3e;
        d.target = next + d.imm;
    } else if (d.src == BPF_PSEUDO_KFUNC_CALL) {
        d.kind = insn_kind::call_kfunc;
    }
}

void complete_atomic(insn_desc &d) {
    if (d.imm == BPF_CMPXCHG)
        d.uses |= reg_bit(BPF_REG_0), d.defs = reg_bit(BPF_REG_0);
    else if (d.imm & BPF_FETCH)
        d.defs = reg_bit(d.src);
}

void complete_imm64(insn_desc &d, span<const bpf_insn> insns, u32 at) {
    if (d.src == BPF_PSEUDO_FUNC)
        d.target = static_cast<s64>(at) + 1 + d.imm;
    d.imm = static_cast<u32>(d.imm);
    if (at + 1 < insns.size())
        d.imm |= static_cast<s64>(static_cast<u64>(static_cast<u32>(insns[at + 1].imm)) << 32);
}

/// What the words say beyond registers and immediate.
void complete(insn_desc &d, span<const bpf_insn> insns, u32 at) {
    s64 next = static_cast<s64>(at) + 1;
    switch (d.kind) {
        case insn_kind::alu:
            d.is_signed = d.off == 1;
            break;
        case insn_kind::mov:
            d.sx_bytes = d.off == 8 || d.off == 16 || d.off == 32 ? static_cast<u8>(d.off / 8) : 0;
            break;
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
            d.width = d.imm == 16 || d.imm == 32 || d.imm == 64 ? static_cast<u8>(d.imm / 8) : 8;
            break;
        case insn_kind::atomic:
        case insn_kind::arena_atomic:
            complete_atomic(d);
            break;
        case insn_kind::jump:
            d.target = next + (bpf_class(d.code) == BPF_JMP32 ? d.imm : d.off);
            break;
        case insn_kind::branch:
        case insn_kind::may_goto:
            d.target = next + d.off;
            break;
        case insn_kind::ld_imm64:
            complete_imm64(d, insns, at);
            break;
        default:
            complete_call(d, next);
            break;
    }
}

}  // namespace

port_arena_op arena_op_of(const insn_desc &d) {
    if (d.kind != insn_kind::arena_atomic)
        return d.kind == insn_kind::arena_load ? PORT_ARENA_LOAD : PORT_ARENA_STORE;
    switch (d.imm) {
        case BPF_ADD:
            return PORT_ARENA_ADD;
        case BPF_AND:
            return PORT_ARENA_AND;
        case BPF_OR:
            return PORT_ARENA_OR;
        case BPF_XOR:
            return PORT_ARENA_XOR;
        case BPF_ADD | BPF_FETCH:
            return PORT_ARENA_XADD;
        case BPF_XCHG:
            return PORT_ARENA_XCHG;
        case BPF_CMPXCHG:
            return PORT_ARENA_CMPXCHG;
    }
    return PORT_ARENA_OPS;
}

const opcode_row &opcode(u8 code) { return row_of(code); }

void decode_into(insn_desc &out, span<const bpf_insn> insns, u32 at) {
    const bpf_insn &insn = insns[at];
    const decode_row &row = decoding.rows[insn.code];
    u8 dst = insn.dst_reg, src = insn.src_reg;
    out = row.desc;
    out.dst = dst;
    out.src = src;
    out.off = insn.off;
    out.imm = insn.imm;
    out.uses = static_cast<u16>(row.desc.uses | row.reads_dst << dst | row.reads_src << src);
    out.defs = static_cast<u16>(row.desc.defs | row.writes_dst << dst);
    if (row.by_words)
        complete(out, insns, at);
}

insn_desc decode(span<const bpf_insn> insns, u32 at) {
    insn_desc d;
    decode_into(d, insns, at);
    return d;
}

refusal check_load(span<const bpf_insn> insns, u32 at) {
    const bpf_insn &insn = insns[at];
    u8 mode = bpf_mode(insn.code);
    if (bpf_class(insn.code) == BPF_LDX && ((mode != BPF_MEM && mode != BPF_MEMSX) || insn.imm != 0))
        return refuse(EINVAL, "BPF_LDX uses reserved fields\n");
    if (insn.code != (BPF_LD | BPF_IMM | BPF_DW)) {
        insn_kind kind = row_of(insn.code).kind;
        if (kind == insn_kind::unknown || kind == insn_kind::arena_store || kind == insn_kind::arena_atomic)
            return refuse(EINVAL, "unknown opcode %02x\n", insn.code);
        return {};
    }
    const bpf_insn *high = at + 1 < insns.size() ? &insns[at + 1] : nullptr;
    if (!high || high->code || high->dst_reg || high->src_reg || high->off)
        return refuse(EINVAL, "invalid bpf_ld_imm64 insn\n");
    switch (insn.src_reg) {
        case 0:
        case BPF_PSEUDO_BTF_ID:
        case BPF_PSEUDO_FUNC:
        case BPF_PSEUDO_MAP_VALUE:
        case BPF_PSEUDO_MAP_IDX_VALUE:
            return {};
        case BPF_PSEUDO_MAP_FD:
        case BPF_PSEUDO_MAP_IDX:
            if (high->imm == 0)
                return {};
            break;
    }
    return refuse(EINVAL, "unrecognized bpf_ld_imm64 insn\n");
}

namespace {

bool mov_uses_reserved(const bpf_insn &i) {
    if (bpf_src(i.code) == BPF_K)
        return i.src_reg || i.off;
    if (i.off != 0 && i.off != 8 && i.off != 16 && !(i.off == 32 && bpf_class(i.code) == BPF_ALU64))
        return true;
    return i.imm != 0;
}

bool alu_uses_reserved(const bpf_insn &i) {
    if (bpf_src(i.code) == BPF_X ? i.imm != 0 : i.src_reg != 0)
        return true;
    return i.off != 0 && !(i.off == 1 && is_div_or_mod(bpf_op(i.code)));
}

bool call_uses_reserved(const bpf_insn &i) {
    return (i.src_reg != BPF_PSEUDO_KFUNC_CALL && i.off) || i.src_reg > BPF_PSEUDO_KFUNC_CALL || i.dst_reg;
}

bool jump_uses_reserved(const bpf_insn &i) {
    return i.src_reg || i.dst_reg || (bpf_class(i.code) == BPF_JMP ? i.imm != 0 : i.off != 0);
}

bool is_atomic_op(s32 imm) {
    switch (imm) {
        case BPF_ADD:
        case BPF_ADD | BPF_FETCH:
        case BPF_AND:
        case BPF_AND | BPF_FETCH:
        case BPF_OR:
        case BPF_OR | BPF_FETCH:
        case BPF_XOR:
        case BPF_XOR | BPF_FETCH:
        case BPF_XCHG:
        case BPF_CMPXCHG:
            return true;
    }
    return false;
}

refusal check_compute(const bpf_insn &i, insn_kind kind) {
    switch (kind) {
        case insn_kind::alu:
            return alu_uses_reserved(i) ? refuse(EINVAL, "BPF_ALU uses reserved fields\n") : refusal{};
        case insn_kind::neg:
            return i.src_reg || i.off || i.imm ? refuse(EINVAL, "BPF_NEG uses reserved fields\n") : refusal{};
        case insn_kind::mov:
            if (i.code == (BPF_ALU64 | BPF_MOV | BPF_X) && i.off == BPF_ADDR_SPACE_CAST) {
                if (i.imm != 1 && i.imm != 1 << 16)
                    return refuse(EINVAL, "addr_space_cast insn can only convert between address space 1 and 0\n");
                return {};
            }
            return mov_uses_reserved(i) ? refuse(EINVAL, "BPF_MOV uses reserved fields\n") : refusal{};
        default:
            if (i.src_reg || i.off || (i.imm != 16 && i.imm != 32 && i.imm != 64))
                return refuse(EINVAL, "BPF_END uses reserved fields\n");
            return {};
    }
}

refusal check_jump(const bpf_insn &i, insn_kind kind) {
    switch (kind) {
        case insn_kind::jump:
            return jump_uses_reserved(i) ? refuse(EINVAL, "BPF_JA uses reserved fields\n") : refusal{};
        case insn_kind::branch:
            if (bpf_src(i.code) == BPF_X ? i.imm != 0 : i.src_reg != 0)
                return refuse(EINVAL, "BPF_JMP/JMP32 uses reserved fields\n");
            return {};
        case insn_kind::may_goto:
            if (i.src_reg != BPF_MAY_GOTO || i.dst_reg || i.imm || i.off == 0)
                return refuse(EINVAL, "invalid may_goto off %d imm %d\n", i.off, i.imm);
            return {};
        case insn_kind::exit:
            // off is not looked at, as in Linux.
            return i.imm || i.src_reg || i.dst_reg ? refuse(EINVAL, "BPF_EXIT uses reserved fields\n") : refusal{};
        default:
            return call_uses_reserved(i) ? refuse(EINVAL, "BPF_CALL uses reserved fields\n") : refusal{};
    }
}

refusal check_memory(const bpf_insn &i, insn_kind kind) {
    switch (kind) {
        case insn_kind::store:
        case insn_kind::arena_store:
            if (bpf_class(i.code) == BPF_STX)
                return i.imm ? refuse(EINVAL, "BPF_STX uses reserved fields\n") : refusal{};
            return i.src_reg ? refuse(EINVAL, "BPF_ST uses reserved fields\n") : refusal{};
        case insn_kind::atomic:
        case insn_kind::arena_atomic:
            return is_atomic_op(i.imm) ? refusal{}
                                       : refuse(EINVAL, "BPF_ATOMIC uses invalid atomic opcode %02x\n", i.imm);
        case insn_kind::ld_imm64:
            return i.off ? refuse(EINVAL, "BPF_LD_IMM64 uses reserved fields\n") : refusal{};
        case insn_kind::ld_packet:
            if (i.dst_reg || i.off || (bpf_mode(i.code) == BPF_ABS && i.src_reg))
                return refuse(EINVAL, "BPF_LD_[ABS|IND] uses reserved fields\n");
            return {};
        default:
            return {};  // load: stage 2
    }
}

}  // namespace

refusal check_encoding(const bpf_insn &insn) {
    insn_kind kind = row_of(insn.code).kind;
    switch (kind) {
        case insn_kind::alu:
        case insn_kind::mov:
        case insn_kind::neg:
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
            return check_compute(insn, kind);
        case insn_kind::load:
        case insn_kind::probe_load:
        case insn_kind::store:
        case insn_kind::atomic:
        case insn_kind::arena_load:
        case insn_kind::arena_store:
        case insn_kind::arena_atomic:
        case insn_kind::ld_imm64:
        case insn_kind::ld_packet:
            return check_memory(insn, kind);
        case insn_kind::unknown:
            return refuse(EINVAL, "unknown opcode %02x\n", insn.code);
        default:
            return check_jump(insn, kind);
    }
}

refusal check_operand(const bpf_insn &insn) {
    const opcode_row &row = row_of(insn.code);
    if (row.kind != insn_kind::alu || row.reg)
        return {};
    if (is_div_or_mod(row.op) && insn.imm == 0)
        return refuse(EINVAL, "div by zero\n");
    if (is_shift(row.op) && (insn.imm < 0 || insn.imm >= row.width * 8))
        return refuse(EINVAL, "invalid shift %d\n", insn.imm);
    return {};
}

}  // namespace modbpf
