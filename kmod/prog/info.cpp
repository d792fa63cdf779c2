// SPDX-License-Identifier: GPL-2.0-only
// OBJ_GET_INFO_BY_FD on programs: each array is cut to the caller's room, each count becomes the full one.
#include "prog/info.h"

#include "prog/prog.h"
#include "prog/state.h"

namespace modbpf {

namespace {

template <class T> bool put_user(u64 at, T v) { return port_copy_to_user(at, &v, sizeof(v)) == 0; }

/// A record size may be given, then it must be ours; or left out together with its count.
bool record_size_ok(u32 count, u32 size, u32 ours) { return (!count && !size) || size == ours; }

status set_record_sizes(bpf_prog_info &i) {
    if (!record_size_ok(i.nr_func_info, i.func_info_rec_size, sizeof(func_info)) ||
        !record_size_ok(i.nr_line_info, i.line_info_rec_size, sizeof(line_info)) ||
        !record_size_ok(i.nr_jited_line_info, i.jited_line_info_rec_size, sizeof(u64)))
        return error(EINVAL);
    i.func_info_rec_size = sizeof(func_info);
    i.line_info_rec_size = sizeof(line_info);
    i.jited_line_info_rec_size = sizeof(u64);
    return {};
}

status put_map_ids(program *p, bpf_prog_info &i) {
    mutex_guard g(p->maps_lock);
    const vec<ref<map>> &maps = p->verified->maps;
    u32 room = i.nr_map_ids;
    i.nr_map_ids = static_cast<u32>(maps.size());
    for (u32 n = 0; n < min(room, i.nr_map_ids); n++)
        if (!put_user(i.map_ids + n * sizeof(u32), maps[n]->id))
            return error(EFAULT);
    return {};
}

/// As Linux shows a call of a compiled subprogram: the distance in off, and in imm the callee's place among jited_ksyms.
status show_call(program *p, u32 at, bpf_insn &in) {
    const vec<code_subprog> &subs = p->verified->image.subprogs;
    s64 target = static_cast<s64>(at) + in.imm + 1;
    for (u32 s = 0; s < subs.size(); s++)
        if (subs[s].start == target) {
            in.off = static_cast<s16>(in.imm);
            in.imm = static_cast<s32>(s);
            return {};
        }
    return MODBPF_BUG_ON(true) ? status(error(EFAULT)) : status();
}

/// Half of the load of the tick counter's address?
bool is_jiffies_address(const vec<bpf_insn> &x, u32 i) {
    auto loads = [&](u32 at) {
        if (at + 1 >= x.size() || x[at].code != (BPF_LD | BPF_IMM | BPF_DW) || x[at].src_reg)
            return false;
        u64 v = static_cast<u32>(x[at].imm) | static_cast<u64>(static_cast<u32>(x[at + 1].imm)) << 32;
        return v == addr_of(port_jiffies_word());
    };
    return loads(i) || (i && !x[i].code && loads(i - 1));
}

/// Helper numbers and call targets are addresses in Linux; they are hidden from those who may not see addresses.
/// -> whether the rest follows: of a blinded program they see no code at all, unless (a gap of Linux's, and harmless here, where these
/// instructions have no random numbers) it has subprograms.
result<bool> put_xlated(program *p, bpf_prog_info &i) {
    const vec<bpf_insn> &x = p->verified->xlated;
    u32 room = i.xlated_prog_len;
    i.xlated_prog_len = static_cast<u32>(x.size() * sizeof(bpf_insn));
    room = min(room, i.xlated_prog_len);
    bool raw = may_see_addresses();
    if (room && p->blinded && !raw && p->image.funcs().size() == 1) {
        i.xlated_prog_insns = 0;
        return false;
    }
    for (u32 at = 0; at < room; at += sizeof(bpf_insn)) {
        bpf_insn in = x[at / sizeof(bpf_insn)];
        if (in.code == (BPF_JMP | BPF_CALL) && in.src_reg == BPF_PSEUDO_CALL)
            TRY(show_call(p, at / sizeof(bpf_insn), in));
        if (!raw && (in.code == (BPF_JMP | BPF_CALL) || is_jiffies_address(x, at / sizeof(bpf_insn))))
            in.imm = 0;
        if (port_copy_to_user(i.xlated_prog_insns + at, &in, min<u32>(sizeof(in), room - at)))
            return error(EFAULT);
    }
    return true;
}

status put_jited(program *p, bpf_prog_info &i) {
    span<const u8> text = p->image.text();
    span<const jit_func> funcs = p->image.funcs();
    u32 room = i.jited_prog_len, total = 0;
    for (const jit_func &f : funcs)
        total += f.size;
    i.jited_prog_len = total;
    if (!total || !room)
        return {};
    if (!may_see_addresses()) {
        i.jited_prog_insns = 0;
        return {};
    }
    room = min(room, total);
    u64 to = i.jited_prog_insns;
    for (const jit_func &f : funcs) {
        u32 n = min(f.size, room);
        if (MODBPF_BUG_ON(f.offset > text.size() || f.size > text.size() - f.offset))
            return error(EFAULT);
        if (n && port_copy_to_user(to, text.data() + f.offset, n))
            return error(EFAULT);
        to += n;
        room -= n;
    }
    return {};
}

status put_funcs(program *p, bpf_prog_info &i) {
    span<const jit_func> funcs = p->image.funcs();
    u32 count = static_cast<u32>(funcs.size());
    u32 syms = i.nr_jited_ksyms, lens = i.nr_jited_func_lens;
    bool raw = may_see_addresses();
    i.nr_jited_ksyms = i.nr_jited_func_lens = count;
    if (syms && !raw)
        i.jited_ksyms = 0;
    if (lens && !raw)
        i.jited_func_lens = 0;
    if (!raw)
        return {};
    u64 base = addr_of(p->image.text().data());
    for (u32 n = 0; n < count; n++) {
        if (n < syms && !put_user(i.jited_ksyms + n * sizeof(u64), base + funcs[n].offset))
            return error(EFAULT);
        if (n < lens && !put_user(i.jited_func_lens + n * sizeof(u32), funcs[n].size))
            return error(EFAULT);
    }
    return {};
}

template <class T> status put_records(u64 to, u32 *count, const vec<T> &v) {
    u32 room = *count;
    *count = static_cast<u32>(v.size());
    room = min(room, *count);
    if (room && port_copy_to_user(to, v.data(), room * sizeof(T)))
        return error(EFAULT);
    return {};
}

/// Of each line: whether no later line of its function has native code before this one's.
status find_lines_in_place(const vec<line_info> &lines, span<const u32> native, span<const jit_func> funcs, vec<u8> &in_place) {
    TRY(in_place.resize(lines.size()));
    u32 lowest = ~0u;
    size_t f = funcs.size();
    for (size_t n = lines.size(); n--;) {
        u32 insn = lines[n].insn_off;
        if (MODBPF_BUG_ON(insn >= native.size()))
            return error(EFAULT);
        for (; f && funcs[f - 1].insn > insn; f--)
            lowest = ~0u;
        in_place[n] = native[insn] <= lowest;
        lowest = min(lowest, native[insn]);
    }
    return {};
}

/// libbpf refuses the records unless the first of each function is its entry and they rise inside a function: lines whose
/// instructions became one native instruction, or none, or stand behind those of later lines, are a byte apart.
status put_jited_lines(program *p, bpf_prog_info &i) {
    const vec<line_info> &lines = p->verified->lines;
    span<const u32> native = p->image.insn_offsets();
    u32 room = i.nr_jited_line_info;
    i.nr_jited_line_info = static_cast<u32>(lines.size());
    if (!room || lines.empty())
        return {};
    if (!may_see_addresses()) {
        i.jited_line_info = 0;
        return {};
    }
    u64 base = addr_of(p->image.text().data());
    span<const jit_func> funcs = p->image.funcs();
    vec<u8> in_place;
    TRY(find_lines_in_place(lines, native, funcs, in_place));
    u64 at = 0, f = 0;
    for (u32 n = 0; n < min(room, i.nr_jited_line_info); n++) {
        u32 insn = lines[n].insn_off;
        at = in_place[n] ? max(base + native[insn], at + 1) : at + 1;
        if (f < funcs.size() && funcs[f].insn == insn)
            at = base + funcs[f++].offset;
        if (!put_user(i.jited_line_info + n * sizeof(u64), at))
            return error(EFAULT);
    }
    return {};
}

status put_tags(program *p, bpf_prog_info &i) {
    u32 room = i.nr_prog_tags;
    const prog_tag *tags = p->func_tags.empty() ? &p->tag : p->func_tags.data();
    i.nr_prog_tags = p->func_tags.empty() ? 1 : static_cast<u32>(p->func_tags.size());
    room = min(room, i.nr_prog_tags);
    if (room && port_copy_to_user(i.prog_tags, tags, room * sizeof(prog_tag)))
        return error(EFAULT);
    return {};
}

void fill_identity(program *p, bpf_prog_info &i) {
    i.type = p->type->type;
    i.id = p->id;
    i.load_time = p->load_time_ns;
    i.created_by_uid = p->created_by_uid;
    i.gpl_compatible = p->gpl_compatible;
    memcpy(i.tag, p->tag.bytes, sizeof(i.tag));
    memcpy(i.name, p->name, sizeof(i.name));
}

void fill_stats(program *p, bpf_prog_info &i) {
    prog_stats st = total_stats(p);
    i.run_time_ns = st.ns;
    i.run_cnt = st.runs;
    i.recursion_misses = st.misses;
    i.verified_insns = static_cast<u32>(p->verified->stats.insns_processed);
    if (p->types)
        i.btf_id = p->types->id;
}

void hide_code(bpf_prog_info &i) {
    i.jited_prog_len = i.xlated_prog_len = 0;
    i.nr_jited_ksyms = i.nr_jited_func_lens = 0;
    i.nr_func_info = i.nr_line_info = i.nr_jited_line_info = 0;
}

status fill_code(program *p, bpf_prog_info &i) {
    if (bool rest = TRY(put_xlated(p, i)); !rest)
        return {};
    TRY(put_jited(p, i));
    TRY(put_funcs(p, i));
    i.attach_btf_id = p->attach_btf_id;
    ref<program> target = p->current_target();
    i.attach_btf_obj_id = p->attach_types ? p->attach_types->id : target && target->types ? target->types->id : 0;
    TRY(put_records(i.func_info, &i.nr_func_info, p->verified->funcs));
    TRY(put_records(i.line_info, &i.nr_line_info, p->verified->lines));
    TRY(put_jited_lines(p, i));
    return put_tags(p, i);
}

}  // namespace

long prog_info_to_user(program *p, u64 uinfo, u32 *len) {
    // Linux's structure ends with padding that a caller must leave zero.
    status tail = check_user_tail(uinfo, __builtin_offsetof(bpf_prog_info, pad), *len);
    if (!tail.ok())
        return tail.code();
    bpf_prog_info info{};
    u32 n = min<u32>(*len, sizeof(info));
    if (port_copy_from_user(&info, uinfo, n))
        return -EFAULT;
    fill_identity(p, info);
    status s = put_map_ids(p, info);
    if (s.ok())
        s = set_record_sizes(info);
    if (!s.ok())
        return s.code();
    fill_stats(p, info);
    if (!port_capable(PORT_CAP_BPF)) {
        hide_code(info);
    } else if (status c = fill_code(p, info); !c.ok()) {
        return c.code();
    }
    if (port_copy_to_user(uinfo, &info, n))
        return -EFAULT;
    *len = n;
    return 0;
}

}  // namespace modbpf
