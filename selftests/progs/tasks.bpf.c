// SPDX-License-Identifier: GPL-2.0-only
// Helpers of tasks, and programs that may sleep.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} table SEC(".maps");

struct words {
	__u64 in, out;
};

// EXPECT: accept
// RETVAL: 1
SEC("raw_tp")
int control_groups(void *ctx)
{
	return bpf_get_current_cgroup_id() && bpf_get_current_ancestor_cgroup_id(0) == 1 &&
	       !bpf_get_current_ancestor_cgroup_id(-1) && !bpf_get_current_ancestor_cgroup_id(1000);
}

// EXPECT: accept
// RETVAL: -22
SEC("raw_tp")
int no_such_signal(void *ctx)
{
	return bpf_send_signal(1000);
}

// EXPECT: accept
// RETVAL: 0
SEC("raw_tp")
int no_signal(void *ctx)
{
	return bpf_send_signal(0) + bpf_send_signal_thread(0);
}

// EXPECT: accept
// RETVAL: -44
SEC("raw_tp")
int another_namespace(void *ctx)
{
	struct bpf_pidns_info ids = { 1, 1 };
	long a = bpf_get_ns_current_pid_tgid(1, 1, &ids, sizeof(ids));
	long b = bpf_get_ns_current_pid_tgid(1, 1, &ids, 4);

	return ids.pid ? 1 : a + b;
}

// EXPECT: accept
// CTX: words 5 0
// RETVAL: 10
SEC("syscall")
int context(struct words *ctx)
{
	__u32 key = 1, value = ctx->in, *found;

	bpf_map_update_elem(&table, &key, &value, 0);
	found = bpf_map_lookup_elem(&table, &key);
	ctx->out = found ? *found + 5 : 0;
	return ctx->out;
}

// EXPECT: accept
// CTX: words 0
// RETVAL: -14
SEC("syscall")
int reads_user_memory(struct words *ctx)
{
	__u64 word = 9;
	long err = bpf_copy_from_user(&word, sizeof(word), (void *)ctx->in);

	return word ? 1 : err;
}

static int count(__u32 i, __u32 *n)
{
	__u32 key = i & 3;

	*n += bpf_map_lookup_elem(&table, &key) ? 10 : 1;
	return 0;
}

// EXPECT: accept
// RETVAL: 4
SEC("syscall")
int loops(void *ctx)
{
	__u32 n = 0;

	bpf_loop(4, count, &n, 0);
	return n;
}
