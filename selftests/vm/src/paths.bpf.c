// SPDX-License-Identifier: GPL-2.0-only
// For paths.cpp: the names of the files that one process asks about.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct path {
	void *mnt, *dentry;
} __attribute__((preserve_access_index));
struct {
	int calls, len, none;
	int cut;
	char name[128], piece[4];
} seen SEC(".data.seen");

const volatile __u32 target;

SEC("fentry/security_inode_getattr")
int BPF_PROG(on_stat, struct path *path)
{
	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	seen.calls++;
	seen.len = bpf_d_path(path, seen.name, sizeof(seen.name));
	seen.cut = bpf_d_path(path, seen.piece, sizeof(seen.piece));
	seen.none = bpf_d_path(path, seen.piece, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
