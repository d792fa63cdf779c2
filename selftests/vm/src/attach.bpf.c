// SPDX-License-Identifier: GPL-2.0-only
// For 70-run.sh: programs whose sections name no event, or the wrong one; each counts its runs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

enum place { FUNCTION, RETURNED, EVENT, RAW, TYPED, CLOCK, USER, FAULT };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, enum place);
	__type(value, __u64);
} runs SEC(".maps");

static __always_inline int count(enum place at)
{
	__u64 one = 1, *v = bpf_map_lookup_elem(&runs, &at);

	if (v)
		__sync_fetch_and_add(v, 1);
	else
		bpf_map_update_elem(&runs, &at, &one, BPF_ANY);
	return 0;
}

#define PROGRAM(name, section, at) \
	SEC(section) int name(void *ctx) { return count(at); }

PROGRAM(on_function, "any", FUNCTION)
PROGRAM(on_return, "kprobe/no_such_function_here", RETURNED)
PROGRAM(on_event, "any", EVENT)
PROGRAM(on_raw, "any", RAW)
PROGRAM(on_typed, "any", TYPED)
PROGRAM(on_clock, "any", CLOCK)
PROGRAM(on_user, "any", USER)
PROGRAM(on_fault, "perf_event", FAULT)
