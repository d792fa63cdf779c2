// SPDX-License-Identifier: GPL-2.0-only
// What PROG_LOAD brings about functions and source lines (func_info, line_info), and MAP_CREATE about key and value types,
// checked against a btf. Errno and texts are those of Linux 6.12's check_btf_func_early, check_btf_func, check_btf_line and
// map_check_btf.
//
// The *_parse functions run before the program's subprograms are known (cmd/), the *_check functions with their table at hand
// (verifier/, before the exploration). Pure functions over copied input; task context (they allocate).
#pragma once

#include "base/bpf.h"
#include "base/log.h"
#include "base/vec.h"

namespace modbpf {

class btf;

/// struct bpf_func_info and bpf_line_info of the user interface.
struct func_info {
    u32 insn_off;
    u32 type_id;
};
struct line_info {
    u32 insn_off;
    u32 file_name_off;
    u32 line_off;
    u32 line_col; ///< line << 10 | column
    u32 line() const { return line_col >> 10; }
};

/// Records as user space gave them: count * rec_size bytes. A record may be longer than modbpf's: the rest must be zero.
struct raw_records {
    span<const u8> bytes;
    u32 count;
    u32 rec_size;
};

/// Is rec_size one that Linux takes? To be asked before the records are copied. func: EINVAL with a text; line: EINVAL.
status func_info_rec_size_check(u32 rec_size, verifier_log &log);
status line_info_rec_size_check(u32 count, u32 rec_size);

/// EINVAL, ENOMEM; E2BIG: bytes behind the known fields are not zero: the caller then writes the record size that modbpf knows
/// (8 and 16) to the attribute, as Linux does.
result<vec<func_info>> func_info_parse(const raw_records &raw, const btf &types, verifier_log &log);

/// One subprogram, in ascending order of `start`; the first starts at 0.
struct subprog_facts {
    u32 start;
    bool has_ld_abs;
    bool has_tail_call;
};
/// func_info (validated, non-empty) against the program's subprograms. EINVAL.
status func_info_check(span<const func_info> funcs, const btf &types, span<const subprog_facts> subprogs, verifier_log &log);
/// Without func_info only the main program may use LD_ABS and tail calls. EINVAL.
status func_info_absent_check(span<const subprog_facts> subprogs, verifier_log &log);

/// line_info against the program. Errors as func_info_parse.
result<vec<line_info>> line_info_parse(const raw_records &raw, const btf &types, span<const bpf_insn> insns, verifier_log &log);
/// Parsed line_info, not empty, against the subprograms: each must have a record at its start. EINVAL.
status line_info_check(span<const line_info> lines, span<const subprog_facts> subprogs, verifier_log &log);
/// The record that covers instruction `insn`, or null: the last one at or before it. `lines` ascend.
const line_info *line_info_find(span<const line_info> lines, u32 insn);

/// What MAP_CREATE says about the map, for its types.
struct map_shape {
    u32 map_type;
    u32 max_entries;
    u32 key_size;
    u32 value_size;
};
/// MAP_CREATE's btf_key_type_id and btf_value_type_id (not 0): do the types have the sizes of the map, and suit its type? Arrays
/// take a 32-bit integer key, or, with one element, no key type (0) and a section of variables as value; hash maps may go
/// without key type. EINVAL; ENOTSUPP: a map type that takes no BTF.
status btf_check_key_value(const btf &types, u32 key_type_id, u32 value_type_id, const map_shape &map);

}  // namespace modbpf
