/* SPDX-License-Identifier: GPL-2.0-only */
/* modbpf is stricter than Linux here, on purpose (docs/verifier.md): what `modbpf diff` must tell apart. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint/sched/sched_process_exec")
int below_context(void *ctx)
{
	return ((int *)ctx)[-6];
}

SEC("xdp")
int same(struct xdp_md *ctx)
{
	return ctx->ingress_ifindex ? XDP_PASS : XDP_DROP;
}
