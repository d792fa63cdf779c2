// SPDX-License-Identifier: GPL-2.0-only
// What the verifier's tests share: a small assembler, test maps by number, and one call that verifies a program.
#pragma once

#include "maps/map.h"
#include "port/user/user.h"
#include "verifier/verifier.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace modbpf::test {

using prog = std::vector<bpf_insn>;

inline constexpr u8 r0 = 0, r1 = 1, r2 = 2, r3 = 3, r4 = 4, r5 = 5, r6 = 6, r7 = 7, r8 = 8, r9 = 9, r10 = 10;

inline bpf_insn raw(u8 code, u8 dst, u8 src, s16 off, s32 imm) {
    bpf_insn i{};
    i.code = code, i.dst_reg = dst & 0xf, i.src_reg = src & 0xf, i.off = off, i.imm = imm;
    return i;
}
inline bpf_insn alu(u8 op, u8 dst, s32 imm) { return raw(BPF_ALU64 | op | BPF_K, dst, 0, 0, imm); }
inline bpf_insn alu_x(u8 op, u8 dst, u8 src) { return raw(BPF_ALU64 | op | BPF_X, dst, src, 0, 0); }
inline bpf_insn alu32(u8 op, u8 dst, s32 imm) { return raw(BPF_ALU | op | BPF_K, dst, 0, 0, imm); }
inline bpf_insn alu32_x(u8 op, u8 dst, u8 src) { return raw(BPF_ALU | op | BPF_X, dst, src, 0, 0); }
inline bpf_insn mov(u8 dst, s32 imm) { return alu(BPF_MOV, dst, imm); }
inline bpf_insn mov_x(u8 dst, u8 src) { return alu_x(BPF_MOV, dst, src); }
inline bpf_insn mov32(u8 dst, s32 imm) { return alu32(BPF_MOV, dst, imm); }
inline bpf_insn mov32_x(u8 dst, u8 src) { return alu32_x(BPF_MOV, dst, src); }
inline bpf_insn movsx(u8 dst, u8 src, s16 bits) { return raw(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, bits, 0); }
inline bpf_insn add(u8 dst, s32 imm) { return alu(BPF_ADD, dst, imm); }
inline bpf_insn add_x(u8 dst, u8 src) { return alu_x(BPF_ADD, dst, src); }
inline bpf_insn ldx(u8 size, u8 dst, u8 src, s16 off) { return raw(BPF_LDX | BPF_MEM | size, dst, src, off, 0); }
inline bpf_insn ldsx(u8 size, u8 dst, u8 src, s16 off) { return raw(BPF_LDX | BPF_MEMSX | size, dst, src, off, 0); }
inline bpf_insn stx(u8 size, u8 dst, u8 src, s16 off) { return raw(BPF_STX | BPF_MEM | size, dst, src, off, 0); }
inline bpf_insn st(u8 size, u8 dst, s16 off, s32 imm) { return raw(BPF_ST | BPF_MEM | size, dst, 0, off, imm); }
inline bpf_insn atomic(u8 size, s32 op, u8 dst, u8 src, s16 off) { return raw(BPF_STX | BPF_ATOMIC | size, dst, src, off, op); }
inline bpf_insn ja(s16 off) { return raw(BPF_JMP | BPF_JA, 0, 0, off, 0); }
inline bpf_insn jmp(u8 op, u8 dst, s32 imm, s16 off) { return raw(BPF_JMP | op | BPF_K, dst, 0, off, imm); }
inline bpf_insn jmp_x(u8 op, u8 dst, u8 src, s16 off) { return raw(BPF_JMP | op | BPF_X, dst, src, off, 0); }
inline bpf_insn jmp32(u8 op, u8 dst, s32 imm, s16 off) { return raw(BPF_JMP32 | op | BPF_K, dst, 0, off, imm); }
inline bpf_insn jmp32_x(u8 op, u8 dst, u8 src, s16 off) { return raw(BPF_JMP32 | op | BPF_X, dst, src, off, 0); }
inline bpf_insn call(u32 id) { return raw(BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<s32>(id)); }
inline bpf_insn call_pc(s32 off) { return raw(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, off); }
inline bpf_insn exit_() { return raw(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
inline bpf_insn ld_abs(u8 size, s32 off) { return raw(BPF_LD | BPF_ABS | size, 0, 0, 0, off); }
inline bpf_insn ld_ind(u8 size, u8 src, s32 off) { return raw(BPF_LD | BPF_IND | size, 0, src, 0, off); }

/// Programs are joined from pieces, since some (64-bit immediates, map look-ups) take several words.
inline prog operator+(prog a, const prog &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
inline prog operator+(prog a, bpf_insn b) {
    a.push_back(b);
    return a;
}
inline prog ld64(u8 dst, u64 v) {
    return {raw(BPF_LD | BPF_IMM | BPF_DW, dst, 0, 0, static_cast<s32>(v)), raw(0, 0, 0, 0, static_cast<s32>(v >> 32))};
}
inline prog ld_map(u8 dst, int fd) {
    return {raw(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_MAP_FD, 0, fd), raw(0, 0, 0, 0, 0)};
}
inline prog ld_value(u8 dst, int fd, u32 off) {
    return {raw(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_MAP_VALUE, 0, fd), raw(0, 0, 0, 0, static_cast<s32>(off))};
}

// Maps that every test has, by "file descriptor".
enum : int {
    hash_fd = 1000,   ///< 8-byte keys, 48-byte values
    array_fd,         ///< 4 elements of 48 bytes
    ringbuf_fd,
    prog_array_fd,
    perf_fd,
    rodata_fd,        ///< frozen, read-only for programs: { u32 5, "hi %d\0" at 8, 16 bytes "xxxx" at 16 }
    rdonly_fd,        ///< read-only for programs, not frozen
    wronly_fd,
    last_fd,
};

/// r0 = lookup(hash, key 0 on the stack): 6 words.
inline prog lookup() {
    return prog{st(BPF_DW, r10, -8, 0), mov_x(r2, r10), add(r2, -8)} + ld_map(r1, hash_fd) + call(BPF_FUNC_map_lookup_elem);
}
inline constexpr int lookup_words = 6;

struct options {
    u32 type = BPF_PROG_TYPE_SOCKET_FILTER;
    u32 flags = 0;
    bool no_pruning = false;
    bool other_arm_first = false;
    u32 log_level = BPF_LOG_LEVEL1;
    u32 log_size = 1 << 20;
    bool gpl = true;
    bool perfmon = true;
    bool verify_only = false;
    const btf *kernel = nullptr;
    bool bpf = true;
    u32 attach = 0; ///< expected attach type
    result<ref<map>> (*map_from_fd)(int fd) = nullptr; ///< null: verifier_maps
    const btf *types = nullptr;
    attach_request target{};
    std::vector<func_info> funcs{};
    std::vector<line_info> lines{};
    const verify_observer *observer = nullptr;
};

struct outcome {
    int err = 0; ///< positive errno
    std::string log;
    own<verified_program> program;
};

class verifier_maps {
public:
    verifier_maps() {
        auto make_map = [&](int fd, u32 type, u32 key, u32 value, u32 count, u32 flags) {
            map_params p{.type = type, .key_size = key, .value_size = value, .max_entries = count, .flags = flags};
            snprintf(p.name, sizeof(p.name), "m%d", fd);
            auto r = find_map_ops(type)->create(p);
            if (r) {
                maps_[fd - hash_fd] = *r;
                (*r)->user_get();
            }
        };
        make_map(hash_fd, BPF_MAP_TYPE_HASH, 8, 48, 4, 0);
        make_map(array_fd, BPF_MAP_TYPE_ARRAY, 4, 48, 4, 0);
        make_map(ringbuf_fd, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0);
        make_map(prog_array_fd, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0);
        make_map(perf_fd, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 4, 0);
        make_map(rodata_fd, BPF_MAP_TYPE_ARRAY, 4, 32, 1, BPF_F_RDONLY_PROG);
        make_map(rdonly_fd, BPF_MAP_TYPE_ARRAY, 4, 48, 1, BPF_F_RDONLY_PROG);
        make_map(wronly_fd, BPF_MAP_TYPE_ARRAY, 4, 48, 1, BPF_F_WRONLY_PROG);
        u8 text[32] = {5, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 'h', 'i', ' ', '%', 'd', 0};
        memset(text + 16, 'x', 16);
        u32 zero = 0;
        map *ro = at(rodata_fd);
        if (ro) {
            ro->ops->update_user(ro, &zero, text, 0);
            ro->frozen = true;
        }
    }
    ~verifier_maps() {
        for (map *m : maps_)
            if (m) {
                m->user_put();
                m->put();
            }
        map_free_barrier();
    }
    map *at(int fd) { return fd >= hash_fd && fd < last_fd ? maps_[fd - hash_fd] : nullptr; }
    static verifier_maps &get() {
        static verifier_maps m;
        return m;
    }
    static result<ref<map>> from_fd(int fd) {
        map *m = get().at(fd);
        if (!m)
            return error(EBADF);
        return ref<map>(m);
    }

private:
    map *maps_[last_fd - hash_fd]{};
};

inline outcome check(const prog &p, const options &o = {}) {
    outcome out;
    std::vector<char> buf(o.log_size ? o.log_size : 1);
    verifier_log log;
    status st = log.init(o.log_level, o.log_level ? addr_of(buf.data()) : 0, o.log_level ? o.log_size : 0);
    if (!st.ok()) {
        out.err = st.err().code();
        return out;
    }
    verify_request req{};
    req.insns = {p.data(), p.size()};
    req.type = find_prog_type(o.type);
    req.expected_attach_type = o.attach;
    req.prog_flags = o.flags;
    req.gpl_compatible = o.gpl;
    req.perfmon = o.perfmon;
    req.verify_only = o.verify_only;
    req.kernel = o.kernel;
    req.bpf = o.bpf;
    req.types = o.types;
    req.attach = o.target;
    req.funcs = {o.funcs.data(), o.funcs.size()};
    req.lines = {o.lines.data(), o.lines.size()};
    req.map_from_fd = o.map_from_fd ? o.map_from_fd : verifier_maps::from_fd;
    req.no_pruning = o.no_pruning;
    req.other_arm_first = o.other_arm_first;
    req.observer = o.observer;
    auto r = verify(req, log);
    u32 size = 0;
    (void)log.finalize(&size).ok();
    if (o.log_level)
        out.log = std::string(buf.data(), strnlen(buf.data(), o.log_size));
    if (r.ok())
        out.program = move(r).value();
    else
        out.err = r.err().code();
    return out;
}

}  // namespace modbpf::test
