// SPDX-License-Identifier: GPL-2.0-only
// Helper calls of all program types, verified for the verdict alone: sockets and their references, places where a helper may be
// called, maps of other kinds, memory that a helper writes.
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

constexpr u32 cls = BPF_PROG_TYPE_SCHED_CLS, xdp = BPF_PROG_TYPE_XDP, filter = BPF_PROG_TYPE_SOCKET_FILTER;

struct call_row {
    const char *name;
    prog p;
    u32 type = cls;
    int err = 0;
    const char *text = "";
    u32 flags = 0;
    u32 attach = 0;
};

const prog ret0 = {mov(r0, 0), exit_()};

/// A map that exists for its type alone.
map *typed_map(u32 type, u32 key, u32 value, map *inner = nullptr) {
    static map_ops ops[64]{};
    ops[type].type = type, ops[type].name = "typed", ops[type].verify_only = true;
    map_params p{.type = type, .key_size = key, .value_size = value, .max_entries = 4};
    auto *m = new map(&ops[type], p);
    if (inner)
        m->inner = ref<map>(inner);
    return m;
}

enum : int { outer_fd = 2000, sockmap_fd, xskmap_fd, sk_storage_fd, cgroup_storage_fd, stack_trace_fd, percpu_fd, cgroup_storage2_fd, struct_ops_fd, typed_end };

result<ref<map>> any_map(int fd) {
    static map *maps[] = {
        typed_map(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, verifier_maps::get().at(array_fd)),
        typed_map(BPF_MAP_TYPE_SOCKMAP, 4, 4),
        typed_map(BPF_MAP_TYPE_XSKMAP, 4, 4),
        typed_map(BPF_MAP_TYPE_SK_STORAGE, 4, 8),
        typed_map(BPF_MAP_TYPE_CGROUP_STORAGE, 16, 8),
        typed_map(BPF_MAP_TYPE_STACK_TRACE, 4, 8),
        typed_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8),
        typed_map(BPF_MAP_TYPE_CGROUP_STORAGE, 16, 8),
        typed_map(BPF_MAP_TYPE_STRUCT_OPS, 4, 8),
    };
    if (fd >= outer_fd && fd < typed_end)
        return ref<map>(maps[fd - outer_fd]);
    return verifier_maps::from_fd(fd);
}

outcome run(const call_row &r, u32 more_flags = 0, bool no_pruning = false) {
    options o;
    o.type = r.type, o.flags = r.flags | more_flags, o.no_pruning = no_pruning, o.attach = r.attach;
    o.log_level = BPF_LOG_LEVEL2, o.verify_only = true, o.map_from_fd = any_map;
    return check(r.p, o);
}

/// r0 = a look-up of the socket of 12 zeroed bytes of tuple: 11 words.
prog find_sock(u32 how = BPF_FUNC_sk_lookup_tcp) {
    return prog{st(BPF_DW, r10, -16, 0), st(BPF_DW, r10, -8, 0), mov_x(r6, r1), mov_x(r2, r10), add(r2, -16), mov(r3, 12), mov(r4, 0),
                mov(r5, 0), call(how)};
}
const prog if_null_exit = {jmp(BPF_JNE, r0, 0, 1), exit_()};
prog release(u8 reg = r0) { return {mov_x(r1, reg), call(BPF_FUNC_sk_release)}; }
/// r0 = look-up of key 0 in the map: 6 words.
prog look_up(int fd) {
    return prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4)} + ld_map(r1, fd) + call(BPF_FUNC_map_lookup_elem);
}

std::vector<call_row> socket_rows() {
    return {
        {"found, released", find_sock() + if_null_exit + release() + ret0},
        {"never released", find_sock() + ret0, cls, EINVAL, "Unreleased reference id=2 alloc_insn=8"},
        {"lost on one path", find_sock() + if_null_exit + ret0, cls, EINVAL, "Unreleased reference id=2 alloc_insn=8"},
        {"released without a look", find_sock() + release() + ret0, cls, EACCES,
         "R1 type=sock_or_null expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_"},
        {"released twice", find_sock() + if_null_exit + prog{mov_x(r7, r0)} + release() + release(r7) + ret0, cls, EACCES,
         "R1 type=scalar expected=sock_common"},
        {"used after the release", find_sock() + if_null_exit + prog{mov_x(r7, r0)} + release() + prog{ldx(BPF_W, r0, r7, 4)} + ret0,
         cls, EACCES, "R7 invalid mem access 'scalar'"},
        {"a request's or a full socket", find_sock(BPF_FUNC_skc_lookup_tcp) + if_null_exit + release() + ret0},
        {"its family", find_sock() + if_null_exit + prog{ldx(BPF_W, r7, r0, 4)} + release() + ret0},
        {"a byte of its family", find_sock() + if_null_exit + prog{ldx(BPF_B, r7, r0, 4)} + release() + ret0},
        {"not its family's second byte", find_sock() + if_null_exit + prog{ldx(BPF_B, r7, r0, 5)} + release() + ret0, cls, EACCES,
         "R0 invalid sock access off=5 size=1"},
        {"a byte of its address", find_sock() + if_null_exit + prog{ldx(BPF_B, r7, r0, 33)} + release() + ret0},
        {"its mark", find_sock() + if_null_exit + prog{ldx(BPF_W, r7, r0, 16)} + release() + ret0},
        {"half its mark", find_sock() + if_null_exit + prog{ldx(BPF_H, r7, r0, 16)} + release() + ret0, cls, EACCES,
         "R0 invalid sock access off=16 size=2"},
        {"padding", find_sock() + if_null_exit + prog{ldx(BPF_H, r7, r0, 50)} + release() + ret0, cls, EACCES,
         "R0 invalid sock access off=50 size=2"},
        {"behind its end", find_sock() + if_null_exit + prog{ldx(BPF_W, r7, r0, 80)} + release() + ret0, cls, EACCES,
         "R0 invalid sock access off=80 size=4"},
        {"two fields at once", find_sock() + if_null_exit + prog{ldx(BPF_DW, r7, r0, 16)} + release() + ret0, cls, EACCES,
         "R0 invalid sock access off=16 size=8"},
        {"the type of a request", find_sock(BPF_FUNC_skc_lookup_tcp) + if_null_exit + prog{ldx(BPF_W, r7, r0, 8)} + release() + ret0, cls,
         EACCES, "R0 invalid sock_common access off=8 size=4"},
        {"written", find_sock() + if_null_exit + prog{st(BPF_W, r0, 4, 1)} + release() + ret0, cls, EACCES, "R0 cannot write into sock"},
        {"moved", find_sock() + if_null_exit + prog{add(r0, 4)} + release() + ret0, cls, EACCES,
         "R0 pointer arithmetic on sock prohibited"},
        {"moved before the look", find_sock() + prog{add(r0, 4)} + if_null_exit + release() + ret0, cls, EACCES,
         "R0 pointer arithmetic on sock_or_null prohibited, null-check it first"},
        {"as the connection that it is",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r0), call(BPF_FUNC_tcp_sock), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_W, r8, r0, 0)} +
             release(r7) + ret0},
        {"a 64-bit counter of it",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r0), call(BPF_FUNC_tcp_sock), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r8, r0, 80)} +
             release(r7) + ret0},
        {"half of a counter",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r0), call(BPF_FUNC_tcp_sock), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_W, r8, r0, 80)} +
             release(r7) + ret0,
         cls, EACCES, "R0 invalid tcp_sock access off=80 size=4"},
        {"a cast ends with the socket",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r0), call(BPF_FUNC_tcp_sock), jmp(BPF_JNE, r0, 0, 3), mov_x(r1, r7),
                                           call(BPF_FUNC_sk_release), ja(4), mov_x(r8, r0), mov_x(r1, r7), call(BPF_FUNC_sk_release),
                                           ldx(BPF_W, r0, r8, 0)} + ret0,
         cls, EACCES, "R8 invalid mem access 'scalar'"},
        {"released as what it was cast to",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r0), call(BPF_FUNC_tcp_sock), jmp(BPF_JNE, r0, 0, 1), mov_x(r0, r7)} +
             release() + ret0},
        {"the listener holds no reference",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r0), call(BPF_FUNC_get_listener_sock), jmp(BPF_JEQ, r0, 0, 2)} + release() +
             release(r7) + ret0,
         cls, EINVAL, "R1 must be referenced when passed to release function"},
        {"the socket of the packet is not released", prog{ldx(BPF_DW, r0, r1, 168)} + if_null_exit + release() + ret0, cls, EINVAL,
         "R1 must be referenced when passed to release function"},
        {"the socket of the packet", prog{ldx(BPF_DW, r0, r1, 168)} + if_null_exit + prog{ldx(BPF_W, r0, r0, 4)} + ret0},
        {"its full socket", prog{ldx(BPF_DW, r1, r1, 168), jmp(BPF_JNE, r1, 0, 2)} + ret0 +
                                prog{call(BPF_FUNC_sk_fullsock), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_W, r0, r0, 8)} + ret0},
        {"with the packet's leave", prog{ldx(BPF_DW, r1, r1, 168), call(BPF_FUNC_sk_fullsock)} + ret0, cls, EACCES,
         "R1 type=sock_common_or_null expected=sock_common, sock, tcp_sock, xdp_sock"},
        {"held across a tail call",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r1, r6)} + ld_map(r2, prog_array_fd) + prog{mov(r3, 0), call(BPF_FUNC_tail_call)} +
             release(r7) + ret0,
         cls, EINVAL, "tail_call would lead to reference leak"},
        {"held across a packet load", find_sock() + if_null_exit + prog{mov_x(r7, r0), raw(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0)} + release(r7) + ret0,
         cls, EINVAL, "BPF_LD_[ABS|IND] cannot be mixed with socket references"},
        {"two kinds of base for one load",
         find_sock() + if_null_exit + prog{mov_x(r7, r0), mov_x(r8, r6), ldx(BPF_W, r9, r6, 0), jmp(BPF_JEQ, r9, 0, 1), mov_x(r8, r7),
                                           ldx(BPF_W, r9, r8, 4)} + release(r7) + ret0,
         cls, EINVAL, "same insn cannot be used with different pointers"},
        {"not for socket filters", find_sock() + ret0, filter, EINVAL, "program of this type cannot use helper bpf_sk_lookup_tcp#84"},
        {"compared with itself", find_sock() + if_null_exit + prog{mov_x(r7, r0), jmp(BPF_JEQ, r7, 0, 2)} + release(r7) + ret0},
    };
}

std::vector<call_row> map_rows() {
    prog inner = look_up(outer_fd) + if_null_exit +
                 prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4), mov_x(r1, r0), call(BPF_FUNC_map_lookup_elem)};
    return {
        {"a map in a map", inner + if_null_exit + prog{ldx(BPF_DW, r0, r0, 40)} + ret0, filter},
        {"its value has its size", inner + if_null_exit + prog{ldx(BPF_DW, r0, r0, 44)} + ret0, filter, EACCES, "value_size=48 off=44 size=8"},
        {"without a look", look_up(outer_fd) + prog{mov_x(r1, r0), mov_x(r2, r10), add(r2, -4), call(BPF_FUNC_map_lookup_elem)} + ret0, filter,
         EACCES, "R1 type=map_value_or_null expected=map_ptr"},
        {"the inner map is not written", look_up(outer_fd) + if_null_exit + prog{st(BPF_W, r0, 0, 0)} + ret0, filter, EACCES,
         "only read from bpf_"},
        {"the inner map does not move", look_up(outer_fd) + if_null_exit + prog{add(r0, 8)} + ret0, filter, EACCES,
         "R0 pointer arithmetic on map_ptr prohibited"},
        {"updated from a program", prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4), mov_x(r3, r2), mov(r4, 0)} + ld_map(r1, outer_fd) +
                                       call(BPF_FUNC_map_update_elem) + ret0,
         filter, EINVAL, "cannot pass map_type 12 into func bpf_map_update_elem#2"},
        {"a socket of a map", look_up(sockmap_fd) + if_null_exit + release() + ret0},
        {"a socket of a map, kept", look_up(sockmap_fd) + if_null_exit + ret0, cls, EINVAL, "Unreleased reference"},
        {"sockets deleted where they may be", prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4)} + ld_map(r1, sockmap_fd) +
                                                  call(BPF_FUNC_map_delete_elem) + ret0},
        {"and where not", prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4)} + ld_map(r1, sockmap_fd) +
                              call(BPF_FUNC_map_delete_elem) + ret0,
         BPF_PROG_TYPE_KPROBE, EINVAL, "cannot update sockmap in this context"},
        {"an XDP socket", look_up(xskmap_fd) + if_null_exit + prog{ldx(BPF_W, r0, r0, 0)} + ret0, xdp},
        {"behind an XDP socket", look_up(xskmap_fd) + if_null_exit + prog{ldx(BPF_W, r0, r0, 4)} + ret0, xdp, EACCES,
         "R0 invalid xdp_sock access off=4 size=4"},
        {"storage of the packet's socket",
         prog{ldx(BPF_DW, r2, r1, 168), jmp(BPF_JNE, r2, 0, 2)} + ret0 + ld_map(r1, sk_storage_fd) +
             prog{mov(r3, 0), mov(r4, 1), call(BPF_FUNC_sk_storage_get), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r0, r0, 0)} + ret0},
        {"begun with a value of the stack",
         prog{st(BPF_DW, r10, -8, 7), ldx(BPF_DW, r2, r1, 168), jmp(BPF_JNE, r2, 0, 2)} + ret0 + ld_map(r1, sk_storage_fd) +
             prog{mov_x(r3, r10), add(r3, -8), mov(r4, 1), call(BPF_FUNC_sk_storage_get)} + ret0},
        {"begun with less than a value",
         prog{st(BPF_W, r10, -4, 7), ldx(BPF_DW, r2, r1, 168), jmp(BPF_JNE, r2, 0, 2)} + ret0 + ld_map(r1, sk_storage_fd) +
             prog{mov_x(r3, r10), add(r3, -4), mov(r4, 1), call(BPF_FUNC_sk_storage_get)} + ret0,
         cls, EINVAL, "invalid indirect access to stack R3 off=-4 size=8"},
        {"begun with a value that may be NULL",
         prog{mov_x(r6, r1)} + lookup() + prog{mov_x(r3, r0), ldx(BPF_DW, r2, r6, 168), jmp(BPF_JNE, r2, 0, 2)} + ret0 + ld_map(r1, sk_storage_fd) +
             prog{mov(r4, 1), call(BPF_FUNC_sk_storage_get)} + ret0},
        {"begun with what a map of maps has",
         prog{mov_x(r6, r1)} + look_up(outer_fd) + prog{mov_x(r3, r0), ldx(BPF_DW, r2, r6, 168), jmp(BPF_JNE, r2, 0, 2)} + ret0 +
             ld_map(r1, sk_storage_fd) + prog{mov(r4, 1), call(BPF_FUNC_sk_storage_get)} + ret0,
         cls, EACCES, "R3 type=map_ptr expected=fp"},
        {"storage of the group", ld_map(r1, cgroup_storage_fd) + prog{mov(r2, 0), call(BPF_FUNC_get_local_storage), ldx(BPF_DW, r0, r0, 0)} + ret0,
         BPF_PROG_TYPE_CGROUP_SKB},
        {"storage with flags", ld_map(r1, cgroup_storage_fd) + prog{mov(r2, 1), call(BPF_FUNC_get_local_storage)} + ret0,
         BPF_PROG_TYPE_CGROUP_SKB, EINVAL, "get_local_storage() doesn't support non-zero flags"},
        {"two storages of the group", ld_map(r1, cgroup_storage_fd) + ld_map(r2, cgroup_storage2_fd) + ret0, BPF_PROG_TYPE_CGROUP_SKB, EBUSY,
         "only one cgroup storage of each type is allowed"},
        {"the same storage twice", ld_map(r1, cgroup_storage_fd) + ld_map(r2, cgroup_storage_fd) + prog{mov(r0, 1), exit_()},
         BPF_PROG_TYPE_CGROUP_SKB},
        {"operations of the kernel", ld_map(r1, struct_ops_fd) + ret0, cls, EINVAL, "bpf_struct_ops map cannot be used in prog"},
        {"a map that a sleeping program may hold", ld_map(r1, array_fd) + ret0, BPF_PROG_TYPE_KPROBE, 0, "", BPF_F_SLEEPABLE},
        {"a map that a sleeping program may not hold", ld_map(r1, stack_trace_fd) + ret0, BPF_PROG_TYPE_KPROBE, EINVAL,
         "Sleepable programs can only use array, hash, ringbuf and local storage maps", BPF_F_SLEEPABLE},
        {"a stack's number", prog{} + ld_map(r2, stack_trace_fd) + prog{mov(r3, 0), call(BPF_FUNC_get_stackid)} + ret0, BPF_PROG_TYPE_KPROBE},
        {"in a map of another type", prog{} + ld_map(r2, array_fd) + prog{mov(r3, 0), call(BPF_FUNC_get_stackid)} + ret0, BPF_PROG_TYPE_KPROBE,
         EINVAL, "cannot pass map_type 2 into func bpf_get_stackid#27"},
        {"another CPU's value", prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4), mov(r3, 0)} + ld_map(r1, percpu_fd) +
                                    prog{call(BPF_FUNC_map_lookup_percpu_elem), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r0, r0, 0)} + ret0},
        {"another CPU's value of a plain map", prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4), mov(r3, 0)} + ld_map(r1, array_fd) +
                                                   call(BPF_FUNC_map_lookup_percpu_elem) + ret0,
         cls, EINVAL, "cannot pass map_type 2 into func bpf_map_lookup_percpu_elem#195"},
    };
}

std::vector<call_row> memory_rows() {
    auto headers = [](s32 off) {
        return prog{st(BPF_DW, r10, -40, 0), st(BPF_DW, r10, -32, 0), st(BPF_DW, r10, -24, 0), st(BPF_DW, r10, -16, 0), st(BPF_DW, r10, -8, 0),
                    mov_x(r1, r10), add(r1, -40), mov_x(r2, r10), add(r2, off), call(BPF_FUNC_tcp_raw_check_syncookie_ipv4)} +
               ret0;
    };
    return {
        {"memory of a fixed size", headers(-20)},
        {"less than that", headers(-19), cls, EINVAL, "invalid indirect access to stack R2 off=-19 size=20"},
        {"a length that is read and written", prog{st(BPF_DW, r10, -8, 0), mov(r2, 0), mov_x(r3, r10), add(r3, -4), mov(r4, 0), mov(r5, 0),
                                                   call(BPF_FUNC_check_mtu)} + ret0},
        {"not aligned", prog{st(BPF_DW, r10, -8, 0), mov(r2, 0), mov_x(r3, r10), add(r3, -5), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_check_mtu)} +
                            ret0,
         cls, EACCES, "misaligned stack access off"},
        {"written to a map that is only read", ld_value(r3, rdonly_fd, 0) + prog{mov(r2, 0), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_check_mtu)} + ret0,
         cls, EACCES, "write into map forbidden"},
        {"a route into a map that is only read", ld_value(r2, rdonly_fd, 0) + prog{mov(r3, 48), mov(r4, 0), call(BPF_FUNC_fib_lookup)} + ret0, cls,
         EACCES, "write into map forbidden"},
        {"a route", prog{mov_x(r6, r1)} + lookup() + if_null_exit +
                        prog{mov_x(r1, r6), mov_x(r2, r0), mov(r3, 48), mov(r4, 0), call(BPF_FUNC_fib_lookup)} + ret0},
        {"a stack of a raw tracepoint into a map that is only read",
         ld_value(r2, rdonly_fd, 0) + prog{mov(r3, 48), mov(r4, 0), call(BPF_FUNC_get_stack)} + ret0, BPF_PROG_TYPE_RAW_TRACEPOINT, EACCES,
         "write into map forbidden"},
        {"text into a map that is only read",
         ld_value(r1, rdonly_fd, 0) + prog{mov(r2, 48)} + ld_value(r3, rodata_fd, 8) + prog{st(BPF_DW, r10, -8, 1), mov_x(r4, r10), add(r4, -8),
                                                                                         mov(r5, 8), call(BPF_FUNC_snprintf)} + ret0,
         cls, EACCES, "write into map forbidden"},
    };
}

std::vector<call_row> place_rows() {
    prog copy = {mov_x(r1, r10), add(r1, -8), mov(r2, 8), mov(r3, 0), call(BPF_FUNC_copy_from_user)};
    auto get_retval = prog{call(BPF_FUNC_get_retval)} + prog{mov(r0, 1), exit_()};
    return {
        {"sleeps where it may", copy + ret0, BPF_PROG_TYPE_KPROBE, 0, "", BPF_F_SLEEPABLE},
        {"sleeps where it may not", copy + ret0, BPF_PROG_TYPE_KPROBE, EINVAL, "helper call might sleep in a non-sleepable prog"},
        {"not for filters", copy + ret0, filter, EINVAL, "program of this type cannot use helper bpf_copy_from_user#148"},
        {"the address at connect", prog{st(BPF_DW, r10, -8, 0), st(BPF_DW, r10, -16, 0), mov_x(r2, r10), add(r2, -16), mov(r3, 16), call(BPF_FUNC_bind)} +
                                       prog{mov(r0, 1), exit_()},
         BPF_PROG_TYPE_CGROUP_SOCK_ADDR, 0, "", 0, BPF_CGROUP_INET4_CONNECT},
        {"the address at sendmsg", prog{st(BPF_DW, r10, -8, 0), st(BPF_DW, r10, -16, 0), mov_x(r2, r10), add(r2, -16), mov(r3, 16), call(BPF_FUNC_bind)} +
                                       prog{mov(r0, 1), exit_()},
         BPF_PROG_TYPE_CGROUP_SOCK_ADDR, EINVAL, "program of this type cannot use helper bpf_bind#64", 0, BPF_CGROUP_UDP4_SENDMSG},
        {"a hook's return value", get_retval, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, 0, "", 0, BPF_CGROUP_INET4_CONNECT},
        {"which is not looked at", get_retval, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, EINVAL, "program of this type cannot use helper bpf_get_retval#186", 0,
         BPF_CGROUP_INET4_GETPEERNAME},
        {"the address of a probed function", prog{call(BPF_FUNC_get_func_ip)} + ret0, BPF_PROG_TYPE_KPROBE},
        {"the address of a tracepoint", prog{call(BPF_FUNC_get_func_ip)} + ret0, BPF_PROG_TYPE_TRACEPOINT, ENOTSUPP,
         "func bpf_get_func_ip#173 not supported for program type 5"},
    };
}

void expect(const std::vector<call_row> &rows) {
    for (const auto &r : rows) {
        auto out = run(r);
        EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
        EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
        EXPECT_EQ(out.log.find("verifier bug"), std::string::npos) << r.name << "\n" << out.log;
        EXPECT_EQ(run(r, 0, true).err, r.err) << r.name << " without pruning";
        EXPECT_EQ(run(r, BPF_F_TEST_STATE_FREQ).err, r.err) << r.name << " with a checkpoint at each prune point";
    }
}

}  // namespace

TEST(HelperCalls, Sockets) { expect(socket_rows()); }
TEST(HelperCalls, Maps) { expect(map_rows()); }
TEST(HelperCalls, Memory) { expect(memory_rows()); }
TEST(HelperCalls, Places) { expect(place_rows()); }

/// A tail call through either of two maps: not for those whose mispredicted paths must be harmless.
TEST(HelperCalls, TailCallThroughTwoMaps) {
    auto two_maps = [](int second) {
        return prog{mov_x(r6, r1), ldx(BPF_W, r7, r1, 0)} + ld_map(r2, prog_array_fd) + prog{jmp(BPF_JEQ, r7, 0, 2)} + ld_map(r2, second) +
               prog{mov_x(r1, r6), mov(r3, 0), call(BPF_FUNC_tail_call)} + ret0;
    };
    options o;
    o.map_from_fd = [](int fd) -> result<ref<map>> {
        static map *other = typed_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4);
        return fd == typed_end ? result<ref<map>>(ref<map>(other)) : verifier_maps::from_fd(fd);
    };
    o.verify_only = true;
    EXPECT_EQ(check(two_maps(typed_end), o).err, 0);
    o.perfmon = false;
    auto out = check(two_maps(typed_end), o);
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("tail_call abusing map_ptr"), std::string::npos) << out.log;
    EXPECT_EQ(check(two_maps(prog_array_fd), o).err, 0) << check(two_maps(prog_array_fd), o).log;
}

/// What is verified but cannot run is refused behind the verdict, by name.
TEST(HelperCalls, AbsentOnesAreNamed) {
    EXPECT_EQ(check(find_sock() + if_null_exit + release() + ret0, {.type = cls}).err, 0); // held: nothing attaches the type
    auto out = check(prog{mov(r2, 0), call(BPF_FUNC_override_return)} + ret0, {.type = BPF_PROG_TYPE_KPROBE});
    EXPECT_EQ(out.err, ENOTSUPP);
    EXPECT_NE(out.log.find("helper bpf_override_return is not supported by modbpf"), std::string::npos) << out.log;
}

}  // namespace modbpf::test
