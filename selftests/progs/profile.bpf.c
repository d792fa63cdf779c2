// SPDX-License-Identifier: GPL-2.0-only
// Where the CPUs are, sampled: modbpf run --attach on_sample=profile:99 --flame=out.svg profile.bpf.o
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct place {
	__u32 tgid;
	__s32 kern_stack; /* ids, or -EFAULT: none */
	__s32 user_stack;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16384);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct place);
	__type(value, __u64);
} samples SEC(".maps");

// EXPECT: accept
SEC("perf_event")
int on_sample(void *ctx)
{
	struct place key = { .tgid = bpf_get_current_pid_tgid() >> 32 };
	__u64 one = 1, *count;

	if (!key.tgid) /* idle */
		return 0;
	key.kern_stack = bpf_get_stackid(ctx, &stacks, 0);
	key.user_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	count = bpf_map_lookup_elem(&samples, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&samples, &key, &one, BPF_NOEXIST);
	return 0;
}
