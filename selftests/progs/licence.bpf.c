// SPDX-License-Identifier: GPL-2.0-only
// A licence that is not GPL-compatible keeps GPL-only helpers away.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Proprietary";

// EXPECT: accept
// RETVAL: 1
SEC("tc")
int allowed(struct __sk_buff *ctx)
{
	return bpf_ktime_get_ns() != 0;
}

// EXPECT: reject "cannot call GPL-restricted function from non-GPL compatible program"
SEC("?tc")
int refused(struct __sk_buff *ctx)
{
	return bpf_trace_printk("x", 2);
}
