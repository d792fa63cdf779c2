// SPDX-License-Identifier: GPL-2.0-only
// Helper functions: probe reads, formatting, strings, time and task.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

char text[64];

// EXPECT: accept
// CTX: words 7 18446744073709551615
// RETVAL: 28
SEC("raw_tp")
int format(struct bpf_raw_tracepoint_args *ctx)
{
	static const char fmt[] = "%d|%5u|%-4x|%04llx|%+d|%c%%";
	__u64 args[] = { ctx->args[1], 42, 0xab, 0xbeef, ctx->args[0], 'z' };
	long n = bpf_snprintf(text, sizeof(text), fmt, args, sizeof(args));

	if (bpf_strncmp(text, sizeof(text), "-1|   42|ab  |beef|+7|z%"))
		return -1;
	return n + 3;
}

// The text is cut to the buffer; the length is that of the whole text with its NUL.
// EXPECT: accept
// RETVAL: 8
SEC("raw_tp")
int format_cut(struct bpf_raw_tracepoint_args *ctx)
{
	static const char fmt[] = "abc%d";
	__u64 args[] = { 1234 };
	char small[4];
	long n = bpf_snprintf(small, sizeof(small), fmt, args, sizeof(args));

	return small[3] == 0 && small[2] == 'c' ? n : -1;
}

// EXPECT: reject "Invalid format string"
SEC("?raw_tp")
int format_bad(struct bpf_raw_tracepoint_args *ctx)
{
	static const char fmt[] = "%f";
	__u64 args[] = { 1 };

	return bpf_snprintf(text, sizeof(text), fmt, args, sizeof(args));
}

// A read of address 0 fails and leaves zeros.
// EXPECT: accept
// RETVAL: -14
SEC("raw_tp")
int probe_read_fault(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 v = 5;
	long err = bpf_probe_read_user(&v, sizeof(v), (void *)8);

	return v ? 1 : err;
}

// EXPECT: accept
// RETVAL: 1
SEC("raw_tp")
int time_goes_on(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 a = bpf_ktime_get_ns(), b = bpf_ktime_get_ns();

	return a && b >= a && bpf_ktime_get_boot_ns() && bpf_jiffies64();
}

// EXPECT: accept
// RETVAL: 1
SEC("raw_tp")
int task(struct bpf_raw_tracepoint_args *ctx)
{
	char comm[16];

	if (bpf_get_current_comm(comm, sizeof(comm)) || !comm[0])
		return -1;
	if (!(__u32)bpf_get_current_pid_tgid() || !bpf_get_current_task())
		return -2;
	return bpf_get_smp_processor_id() < 4096;
}

// EXPECT: accept
// RETVAL: 255
SEC("tc")
int parse_number(struct __sk_buff *ctx)
{
	char s[8] = "0xff";
	long v;

	if (bpf_strtol(s, sizeof(s), 0, &v) != 4)
		return -1;
	return v;
}

// EXPECT: accept
// RETVAL: 6
SEC("tc")
int trace(struct __sk_buff *ctx)
{
	return bpf_trace_printk("len %d", sizeof("len %d"), ctx->len);
}

// EXPECT: reject "bpf_probe_read#4"
SEC("?tc")
int wrong_program_type(struct __sk_buff *ctx)
{
	char byte;

	return bpf_probe_read(&byte, 1, ctx);
}

// EXPECT: reject "invalid zero-sized read"
SEC("?raw_tp")
int zero_size(struct bpf_raw_tracepoint_args *ctx)
{
	char comm[16];

	return bpf_get_current_comm(comm, 0);
}
