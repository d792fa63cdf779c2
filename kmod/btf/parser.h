// SPDX-License-Identifier: GPL-2.0-only
// The validation of BTF_LOAD, private to btf/: the state that its three passes share.
//
// 1. Header and sections (parse.cpp). 2. Meta: each type by itself: lengths, names, flags (check_meta.cpp). 3. Types: what
// references lead to: existence, completeness, member bounds, cycles (resolve.cpp). Passes 2 and 3 write a line for each type
// to the log. Order of checks, texts and errno are those of Linux 6.12's btf.c. Task context; nothing here recurses: pass 3 keeps its
// own stack of at most 32 types.
#pragma once

#include "btf/btf.h"
#include "btf/format.h"

namespace modbpf {

struct btf_parser {
    btf &b;
    verifier_log &log;
    btf_header hdr{};

    btf_parser(btf &types, verifier_log &l) : b(types), log(l) {}
    status run();

private:
    // parse.cpp
    status parse_header();
    void log_header(u32 size);
    status check_sections(u32 size);
    status parse_strings();
    status parse_types();
    status check_all_metas();
    status check_all_types();
    status check_type_tags();

    // check_meta.cpp: one type; -> bytes that it takes in all
    result<u32> check_meta(const btf_type *t, u32 left);
    status check_kind(const btf_type *t);
    status check_int(const btf_type *t);
    status check_reference(const btf_type *t);
    status check_forward(const btf_type *t);
    status check_array(const btf_type *t);
    status check_composite(const btf_type *t);
    status check_enum(const btf_type *t);
    status check_func_proto(const btf_type *t);
    status check_func(const btf_type *t);
    status check_var(const btf_type *t);
    status check_datasec(const btf_type *t);
    status check_float(const btf_type *t);
    status check_decl_tag(const btf_type *t);
    bool no_vlen(const btf_type *t);
    bool no_kind_flag(const btf_type *t);
    bool enum_name(const btf_type *t, u32 name_off);

    // Names. Offsets must be valid for the last two.
    bool name_offset_valid(u32 off) const { return off <= btf_max_name_offset && off < b.strings_len_; }
    bool identifier(u32 off) const;
    bool section_name(u32 off) const;
    const char *printable(u32 off) const;

    // resolve.cpp
    enum class visit : u8 { no, open, done };
    enum class mode : u8 { undecided, pointer, aggregate }; ///< what the walk has met first: decides where it may stop
    struct vertex {
        const btf_type *t;
        u32 id;
        u32 next_member;
    };
    static constexpr u32 max_depth = 32;
    const btf_type *get(u32 id) const;
    static bool needs_resolve(const btf_type *t);
    static bool source_only(const btf_type *t);
    static bool no_size(const btf_type *t);
    bool done(u32 id) const { return visit_[id] == static_cast<u8>(visit::done); }
    bool may_stop_at(const btf_type *t, u32 id) const;
    const btf_type *sized(u32 *id, u32 *size) const;
    const btf_type *follow(u32 *id) const;
    status push(const btf_type *t, u32 id);
    status pop(u32 id, u32 size);
    status resolve(const btf_type *t, u32 id);
    status step(vertex &v);
    status step_modifier(vertex &v);
    status step_var(vertex &v);
    status step_pointer(vertex &v);
    status step_array(vertex &v);
    status step_composite(vertex &v);
    status step_func(vertex &v);
    status step_datasec(vertex &v);
    status step_decl_tag(vertex &v);
    status settle(vertex &v, u32 next_id, const btf_type *next);
    bool resolve_state_valid(const btf_type *t, u32 id) const;
    status check_proto_types(const btf_type *t);
    bool proto_type_ok(u32 id, status *why);
    // resolve_member.cpp: does a member fit its structure?
    status check_member(const btf_type *s, const btf_member &m, const btf_type *type, bool kflag);
    status check_bit_range(const btf_type *s, const btf_member &m, u32 bit_off, u32 bits);
    status check_int_member(const btf_type *s, const btf_member &m, const btf_type *type, bool kflag);
    status check_enum_bits(const btf_type *s, const btf_member &m);
    status check_float_member(const btf_type *s, const btf_member &m, const btf_type *type);
    status check_byte_member(const btf_type *s, const btf_member &m, u32 size);

    // parse_log.cpp
    void log_details(const btf_type *t);
    void log_line(const btf_type *t, bool details, const char *fmt, __builtin_va_list args);
    void type_ok(const btf_type *t) { note(t, nullptr); }
    void note(const btf_type *t, const char *fmt, ...);
    error fail(const btf_type *t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
    error fail_basic(const btf_type *t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
    error fail_member(const btf_type *s, const btf_member &m, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
    void log_member(const btf_type *s, const btf_member &m);
    error fail_var(const btf_type *s, const btf_var_secinfo &v, const char *text);
    void log_var(const btf_type *s, const btf_var_secinfo &v);
    error fail_text(const char *text, int errno_code = EINVAL);

    u32 log_id_ = 0;        ///< the type that log lines name
    bool meta_phase_ = true;
    mode mode_ = mode::undecided;
    u32 depth_ = 0;
    vertex stack_[max_depth];
    vec<u8> visit_;
    vec<u32> resolved_ids_;
    vec<u32> resolved_sizes_;
};

}  // namespace modbpf
