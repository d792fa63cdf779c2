// SPDX-License-Identifier: GPL-2.0-only
// The structures of OBJ_GET_INFO_BY_FD, as Linux 6.12 lays them out. Facts of the user interface (UAPI linux/bpf.h).
#pragma once

#include "base/bpf.h"

namespace modbpf {

struct bpf_prog_info {
    u32 type, id;
    u8 tag[tag_size];
    u32 jited_prog_len, xlated_prog_len;
    u64 jited_prog_insns, xlated_prog_insns;
    u64 load_time;
    u32 created_by_uid, nr_map_ids;
    u64 map_ids;
    char name[obj_name_len];
    u32 ifindex;
    u32 gpl_compatible; ///< bit 0
    u64 netns_dev, netns_ino;
    u32 nr_jited_ksyms, nr_jited_func_lens;
    u64 jited_ksyms, jited_func_lens;
    u32 btf_id, func_info_rec_size;
    u64 func_info;
    u32 nr_func_info, nr_line_info;
    u64 line_info, jited_line_info;
    u32 nr_jited_line_info, line_info_rec_size, jited_line_info_rec_size, nr_prog_tags;
    u64 prog_tags;
    u64 run_time_ns, run_cnt, recursion_misses;
    u32 verified_insns, attach_btf_obj_id, attach_btf_id, pad;
};
static_assert(sizeof(bpf_prog_info) == 232);

struct bpf_map_info {
    u32 type, id, key_size, value_size, max_entries, map_flags;
    char name[obj_name_len];
    u32 ifindex, btf_vmlinux_value_type_id;
    u64 netns_dev, netns_ino;
    u32 btf_id, btf_key_type_id, btf_value_type_id, btf_vmlinux_id;
    u64 map_extra;
};
static_assert(sizeof(bpf_map_info) == 88);

struct bpf_btf_info {
    u64 btf;
    u32 btf_size, id;
    u64 name;
    u32 name_len, kernel_btf;
};
static_assert(sizeof(bpf_btf_info) == 32);

enum : u32 { BPF_PERF_EVENT_UPROBE = 1, BPF_PERF_EVENT_URETPROBE = 2, BPF_PERF_EVENT_KPROBE = 3, BPF_PERF_EVENT_KRETPROBE = 4, BPF_PERF_EVENT_TRACEPOINT = 5,
             BPF_PERF_EVENT_EVENT = 6 };

struct bpf_link_info {
    u32 type, id, prog_id, pad;
    union {
        struct {
            u64 tp_name;
            u32 tp_name_len;
        } raw_tracepoint;
        struct {
            u32 attach_type, target_obj_id, target_btf_id;
        } tracing;
        struct {
            u64 addrs;
            u32 count, flags;
            u64 missed, cookies;
        } kprobe_multi;
        struct {
            u64 path, offsets, ref_ctr_offsets, cookies;
            u32 path_size, count, flags, pid;
        } uprobe_multi;
        struct {
            u64 target_name;
            u32 target_name_len;
            u32 map_id;   ///< bpf_map_elem
            union {
                struct {
                    u32 tid, pid; ///< task, task_file, task_vma: one of them, or none
                };
                struct {
                    u64 id;
                    u32 order;
                } cgroup;
            };
        } iter;
        struct {
            u32 type, pad;
            union {
                struct {
                    u64 file_name;
                    u32 name_len, offset;
                    u64 cookie;
                } uprobe;
                struct {
                    u64 func_name;
                    u32 name_len, offset;
                    u64 addr, missed, cookie;
                } kprobe;
                struct {
                    u64 tp_name;
                    u32 name_len, pad;
                    u64 cookie;
                } tracepoint;
                struct {
                    u64 config;
                    u32 type, pad;
                    u64 cookie;
                } event;
            };
        } perf_event;
    };
};
static_assert(sizeof(bpf_link_info) == 64);

}  // namespace modbpf
