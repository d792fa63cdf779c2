// SPDX-License-Identifier: GPL-2.0-only
// Relocations applied to instructions. See core_relo.h.
#include "btf/core_relo.h"

#include "btf/format.h"
#include "isa/opcode.h"

namespace modbpf {

namespace {

constexpr const char *kind_names[] = {
    "byte_off", "byte_sz", "field_exists", "signed", "lshift_u64", "rshift_u64", "local_type_id", "target_type_id", "type_exists",
    "type_size", "enumval_exists", "enumval_value", "type_matches",
};

/// One relocation at work.
struct relocation {
    const core_relo &r;
    u32 index;
    const btf &local;
    const core_targets &targets;
    verifier_log &log;
    core_spec own{}, candidate{};
    u32 bit_offset = 0; ///< of the first candidate that fits
    u32 seen = 0;       ///< candidates so far

    relocation(const core_relo &relo, u32 i, const btf &l, const core_targets &t, verifier_log &g) : r(relo), index(i), local(l), targets(t), log(g) {}
    core_kind kind() const { return core_kind{r.kind}; }
    u32 insn() const { return r.insn_off / sizeof(bpf_insn); }
    const char *kind_name() const { return r.kind < count_of(kind_names) ? kind_names[r.kind] : "unknown"; }
};

/// What a spec says: the number that goes into the instruction, and of a field its size and type.
struct value {
    u64 number = 0;
    u32 size = 0;
    u32 type = 0;
    bool certain = true; ///< the compiler must have written the local value
    bool absent = false; ///< the target has no such thing
};

/// What the instruction becomes.
struct verdict {
    value before, after;
    bool poison = false;
    bool bad_size = false; ///< a load or store of the target's field would read or write another value
};

/// A bit-field is loaded with the smallest integer that has it whole.
status bitfield_room(relocation &j, u32 bit_off, u32 bits, u32 *byte_off, u32 *bytes) {
    if (!*bytes)
        return error(EINVAL);
    *byte_off = bit_off / 8 / *bytes * *bytes;
    while (bit_off + bits - *byte_off * 8 > *bytes * 8) {
        if (*bytes >= 8) {
            j.log.printf("prog '': relo %d at insn #%d can't be satisfied for bitfield\n", j.r.kind, j.insn());
            return error(E2BIG);
        }
        *bytes *= 2;
        *byte_off = bit_off / 8 / *bytes * *bytes;
    }
    return {};
}

result<value> element_value(relocation &j, const core_spec &s, const core_access &a) {
    value v;
    u32 size;
    if (!s.types->size_of(a.type_id, &size))
        return error(EINVAL);
    if (j.kind() == core_kind::field_byte_offset) {
        v.number = s.bit_offset / 8;
        v.size = size, v.type = a.type_id;
    } else if (j.kind() == core_kind::field_byte_size) {
        v.number = size;
    } else {
        j.log.printf("prog '': relo %d at insn #%d can't be applied to array access\n", j.r.kind, j.insn());
        return error(EINVAL);
    }
    return v;
}

bool is_signed(const btf &types, const btf_type *t) {
    return (t->is_enum() && t->kind_flag()) ||
           (t->kind() == btf_kind::integer && (types.tail<btf_int_data>(t)->encoding() & BTF_INT_SIGNED));
}

result<value> field_value(relocation &j, const core_spec &s) {
    value v;
    const core_access &a = s.at[s.len - 1];
    if (!a.name)
        return element_value(j, s, a);
    const btf_type *holder = s.types->type(a.type_id);
    const btf_member &m = s.types->tail<btf_member>(holder)[a.index];
    u32 type = s.types->skip_modifiers(m.type), bits = m.bitfield_size(holder->kind_flag()), bytes, byte_off = s.bit_offset / 8;
    const btf_type *t = s.types->type(type);
    bool bitfield = bits;
    if (!t || !s.types->size_of(type, &bytes))
        return error(EINVAL);
    if (bitfield)
        TRY(bitfield_room(j, s.bit_offset, bits, &byte_off, &bytes));
    else
        bits = bytes * 8;
    v.certain = !bitfield; // compilers choose the load
    switch (j.kind()) {
    case core_kind::field_byte_offset:
        v.number = byte_off;
        if (!bitfield)
            v.size = bytes, v.type = type;
        break;
    case core_kind::field_byte_size: v.number = bytes; break;
    case core_kind::field_signed:
        v.number = is_signed(*s.types, t);
        v.certain = true;
        break;
    case core_kind::field_lshift: v.number = 64 - (s.bit_offset + bits - byte_off * 8); break;
    case core_kind::field_rshift:
        v.number = 64 - bits;
        v.certain = true;
        break;
    default: return error(EOPNOTSUPP);
    }
    return v;
}

result<value> type_value(relocation &j, const core_spec &s) {
    value v;
    u32 size;
    switch (j.kind()) {
    case core_kind::type_id_target:
        v.number = s.root;
        v.certain = false; // ids change when objects are linked
        return v;
    case core_kind::type_exists:
    case core_kind::type_matches: v.number = 1; return v;
    case core_kind::type_size:
        if (!s.types->size_of(s.root, &size))
            return error(EINVAL);
        v.number = size;
        return v;
    default: return error(EOPNOTSUPP);
    }
}

value enumerator_value(const core_spec &s) {
    const btf_type *t = s.types->type(s.at[0].type_id);
    value v;
    if (t->kind() == btf_kind::enum_) {
        v.number = static_cast<u64>(static_cast<s64>(s.types->tail<btf_enum>(t)[s.at[0].index].val));
    } else {
        const btf_enum64 &e = s.types->tail<btf_enum64>(t)[s.at[0].index];
        v.number = static_cast<u64>(e.val_hi32) << 32 | e.val_lo32;
    }
    return v;
}

bool is_question(core_kind k) {
    return k == core_kind::field_exists || k == core_kind::enumval_exists || k == core_kind::type_exists || k == core_kind::type_matches;
}

/// The value of a spec; null: nothing was found in the target.
result<value> value_of(relocation &j, const core_spec *s) {
    core_kind k = j.kind();
    value v;
    if (j.r.kind >= count_of(kind_names))
        return error(EOPNOTSUPP);
    if (is_question(k) || !s) {
        v.number = s ? 1 : 0;
        v.absent = !is_question(k) && (k <= core_kind::field_rshift || k == core_kind::enumval_value);
        return v;
    }
    if (k == core_kind::enumval_value)
        return enumerator_value(*s);
    return k <= core_kind::field_rshift ? field_value(j, *s) : type_value(j, *s);
}

/// May a load or store of the local size be changed to the target's? Pointers and unsigned numbers keep their value.
bool size_may_change(relocation &j, const verdict &v, const core_spec &target) {
    const btf_type *a = j.local.type(v.before.type), *b = target.types->type(v.after.type);
    if (!a || !b)
        return false;
    if (a->kind() == btf_kind::pointer && b->kind() == btf_kind::pointer)
        return true;
    return a->kind() == btf_kind::integer && b->kind() == btf_kind::integer &&
           j.local.tail<btf_int_data>(a)->encoding() != BTF_INT_SIGNED && target.types->tail<btf_int_data>(b)->encoding() != BTF_INT_SIGNED;
}

result<verdict> decide(relocation &j, const core_spec *target) {
    verdict v;
    auto before = value_of(j, &j.own), after = before.ok() ? value_of(j, target) : result<value>(before.err());
    if (!after.ok()) {
        if (after.err().code() == EOPNOTSUPP)
            j.log.printf("prog '': relo #%d: unrecognized CO-RE relocation %s (%d) at insn #%d\n", j.index, j.kind_name(), j.r.kind,
                         j.insn());
        return after.err();
    }
    v.before = *before, v.after = *after;
    v.poison = v.after.absent;
    v.bad_size = v.before.size != v.after.size && (!target || !size_may_change(j, v, *target));
    return v;
}

/// What the candidates of one BTF say, and those before them: every one that the path leads through must give the same. `any`: one did.
status look_in(relocation &j, const btf &target, const char *name, verdict &so_far, bool &any) {
    size_t len = essential_length(name);
    btf_kind kind = j.local.type(j.r.type_id)->kind();
    for (u32 id = target.next_candidate(0, name, len, kind); id; id = target.next_candidate(id, name, len, kind), j.seen++) {
        auto matched = core_match(j.own, j.kind(), target, id, &j.candidate);
        if (!matched.ok()) {
            j.log.printf("prog '': relo #%d: error matching candidate #%d [%u] %s: %d\n ", j.index, j.seen, id, name, -matched.err().code());
            return matched.err();
        }
        if (!*matched)
            continue;
        verdict v = TRY(decide(j, &j.candidate));
        if (!any) {
            so_far = v, any = true;
            j.bit_offset = j.candidate.bit_offset;
        } else if (j.candidate.bit_offset != j.bit_offset) {
            j.log.printf("prog '': relo #%d: field offset ambiguity: %u != %u\n", j.index, j.candidate.bit_offset, j.bit_offset);
            return error(EINVAL);
        } else if (v.poison != so_far.poison || v.after.number != so_far.after.number) {
            j.log.printf("prog '': relo #%d: relocation decision ambiguity: %s %llu != %s %llu\n", j.index,
                         v.poison ? "failure" : "success", v.after.number, so_far.poison ? "failure" : "success", so_far.after.number);
            return error(EINVAL);
        }
    }
    return {};
}

result<verdict> resolve(relocation &j, const char *name) {
    verdict v;
    bool any = false;
    if (j.targets.kernel)
        TRY(look_in(j, *j.targets.kernel, name, v, any));
    if (!j.seen && j.targets.kernel && j.targets.modules) {
        auto modules = j.targets.modules();
        if (!modules.ok() && modules.err().code() == ENOMEM)
            return modules.err();
        for (size_t m = 0; modules.ok() && m < modules->size(); m++)
            TRY(look_in(j, *(*modules)[m], name, v, any));
    }
    return any ? result<verdict>(v) : decide(j, nullptr);
}

void poison(bpf_insn &in) { in = make_insn(BPF_JMP | BPF_CALL, 0, 0, 0, poisoned_call); }

bool unexpected(relocation &j, const char *what, const verdict &v, u64 found, u64 shown) {
    if (!v.before.certain || found == v.before.number)
        return false;
    j.log.printf("prog '': relo #%d: unexpected insn #%d (%s) value: got %llu, exp %llu -> %llu\n", j.index, j.insn(), what, shown,
                 v.before.number, v.after.number);
    return true;
}

status bad_insn(relocation &j, const bpf_insn &in) {
    j.log.printf("prog '': relo #%d: trying to relocate unrecognized insn #%d, code:0x%x, src:0x%x, dst:0x%x, off:0x%x, imm:0x%x\n",
                 j.index, j.insn(), in.code, in.src_reg, in.dst_reg, in.off, in.imm);
    return error(EINVAL);
}

status patch_alu(relocation &j, bpf_insn &in, const verdict &v) {
    if (in.code & BPF_X)
        return bad_insn(j, in);
    if (v.poison) {
        poison(in);
        return {};
    }
    if (unexpected(j, "ALU/ALU64", v, static_cast<u64>(static_cast<s64>(in.imm)), static_cast<u32>(in.imm)))
        return error(EINVAL);
    in.imm = static_cast<s32>(v.after.number);
    return {};
}

/// -> the size field of an opcode, or -1.
s32 size_code(u32 bytes) { return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : bytes == 4 ? BPF_W : bytes == 8 ? BPF_DW : -1; }
u32 size_bytes(u8 code) {
    u32 size = code & 0x18;
    return size == BPF_B ? 1 : size == BPF_H ? 2 : size == BPF_W ? 4 : 8;
}

status patch_memory(relocation &j, bpf_insn &in, const verdict &v) {
    constexpr u64 max_off = 32767;
    if (v.poison) {
        poison(in);
        return {};
    }
    if (unexpected(j, "LDX/ST/STX", v, static_cast<u64>(static_cast<s64>(in.off)), static_cast<u32>(static_cast<s32>(in.off))))
        return error(EINVAL);
    if (v.after.number > max_off) {
        j.log.printf("prog '': relo #%d: insn #%d (LDX/ST/STX) value too big: %llu\n", j.index, j.insn(), v.after.number);
        return error(ERANGE);
    }
    if (v.bad_size) {
        j.log.printf("prog '': relo #%d: insn #%d (LDX/ST/STX) accesses field incorrectly. "
                     "Make sure you are accessing pointers, unsigned integers, or fields of matching type and size.\n",
                     j.index, j.insn());
        poison(in);
        return {};
    }
    in.off = static_cast<s16>(v.after.number);
    if (v.after.size == v.before.size)
        return {};
    if (size_bytes(in.code) != v.before.size) {
        j.log.printf("prog '': relo #%d: insn #%d (LDX/ST/STX) unexpected mem size: got %d, exp %u\n", j.index, j.insn(),
                     size_bytes(in.code), v.before.size);
        return error(EINVAL);
    }
    s32 code = size_code(v.after.size);
    if (code < 0) {
        j.log.printf("prog '': relo #%d: insn #%d (LDX/ST/STX) invalid new mem size: %u\n", j.index, j.insn(), v.after.size);
        return error(EINVAL);
    }
    in.code = static_cast<u8>((in.code & ~0x18) | code);
    return {};
}

status patch_imm64(relocation &j, span<bpf_insn> insns, const verdict &v) {
    u32 at = j.insn();
    bool wide = insns[at].code == (BPF_LD | BPF_IMM | BPF_DW) && at + 1 < insns.size();
    if (!wide || insns[at].src_reg || insns[at].off || insns[at + 1].code || insns[at + 1].dst_reg || insns[at + 1].src_reg ||
        insns[at + 1].off) {
        j.log.printf("prog '': relo #%d: insn #%d (LDIMM64) has unexpected form\n", j.index, at);
        return error(EINVAL);
    }
    bpf_insn *w = &insns[at];
    if (v.poison) {
        poison(w[0]), poison(w[1]);
        return {};
    }
    u64 now = static_cast<u32>(w[0].imm) | static_cast<u64>(static_cast<u32>(w[1].imm)) << 32;
    if (unexpected(j, "LDIMM64", v, now, now))
        return error(EINVAL);
    w[0].imm = static_cast<s32>(v.after.number);
    w[1].imm = static_cast<s32>(v.after.number >> 32);
    return {};
}

status patch(relocation &j, span<bpf_insn> insns, const verdict &v) {
    bpf_insn &in = insns[j.insn()];
    switch (bpf_class(in.code)) {
    case BPF_ALU:
    case BPF_ALU64: return patch_alu(j, in, v);
    case BPF_LDX:
    case BPF_ST:
    case BPF_STX: return patch_memory(j, in, v);
    case BPF_LD: return patch_imm64(j, insns, v);
    default: return bad_insn(j, in);
    }
}

/// TYPE_ID_LOCAL needs no kernel type: linkers may have left an old id in the instruction.
verdict own_id(const relocation &j) {
    verdict v;
    v.before.number = v.after.number = j.r.type_id;
    v.before.certain = false;
    return v;
}

status parse_own(relocation &j, const char *name) {
    static constexpr const char *const kinds[] = {
        "UNKNOWN", "INT",      "PTR",  "ARRAY",      "STRUCT", "UNION",   "ENUM",  "FWD",      "TYPEDEF",  "VOLATILE",
        "CONST",   "RESTRICT", "FUNC", "FUNC_PROTO", "VAR",    "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
    };
    status st = core_parse(j.local, j.r, &j.own);
    if (st.ok())
        return st;
    const char *text = j.local.string(j.r.access_str_off);
    j.log.printf("prog '': relo #%d: parsing [%d] %s %s + %s failed: %d\n", j.index, j.r.type_id,
                 kinds[static_cast<u32>(j.local.type(j.r.type_id)->kind())], *name ? name : "<anon>", text ? text : "<?>", st.code());
    return error(EINVAL);
}

}  // namespace

status core_apply(const core_relo &r, u32 index, const btf &local, const core_targets &targets, span<bpf_insn> insns, verifier_log &log) {
    own<relocation> j(make<relocation>(PORT_SLEEPING, r, index, local, targets, log));
    if (!j)
        return error(ENOMEM);
    const btf_type *t = local.type(r.type_id);
    if (!t) {
        log.printf("relo #%u: bad type id %u\n", index, r.type_id);
        return error(EINVAL);
    }
    const char *name = local.string(t->name_off);
    bool needs_kernel = j->kind() != core_kind::type_id_local;
    if (!name || (needs_kernel && !*name)) {
        if (needs_kernel)
            log.printf("target candidate search failed for %d\n", r.type_id);
        return error(EINVAL);
    }
    TRY(parse_own(*j, name));
    verdict v = needs_kernel ? TRY(resolve(*j, name)) : own_id(*j);
    return patch(*j, insns, v);
}

}  // namespace modbpf
