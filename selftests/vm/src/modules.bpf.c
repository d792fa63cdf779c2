// SPDX-License-Identifier: GPL-2.0-only
// For modules.cpp: programs at a function of a stock module (dummy).
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

struct net_device {
	char name[16];
	unsigned int mtu;
} __attribute__((preserve_access_index));

__u64 entries, exits, carrier, result, mtu, told;
char device[16];

SEC("?fentry/dummy_change_carrier")
int BPF_PROG(at_entry, struct net_device *dev, bool on)
{
	entries++;
	carrier = on;
	mtu = dev->mtu;
	bpf_probe_read_kernel(device, sizeof(device), dev->name);
	return 0;
}

SEC("?fexit/dummy_change_carrier")
int BPF_PROG(at_exit, struct net_device *dev, bool on, int ret)
{
	exits++;
	result = ret + 1;
	told = bpf_get_func_arg_cnt(ctx);
	return 0;
}
