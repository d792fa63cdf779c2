/* SPDX-License-Identifier: GPL-2.0-only */
/* The trace event that carries programs' trace_printk lines: named as the kernel's own, so trace_pipe shows the same. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM modbpf

#if !defined(MODBPF_PORT_KERNEL_TRACE_EVENT_H) || defined(TRACE_HEADER_MULTI_READ)
#define MODBPF_PORT_KERNEL_TRACE_EVENT_H

#include <linux/tracepoint.h>

TRACE_EVENT(bpf_trace_printk,

	TP_PROTO(const char *text, size_t size),

	TP_ARGS(text, size),

	TP_STRUCT__entry(
		__dynamic_array(char, text, size)
	),

	TP_fast_assign(
		memcpy(__get_dynamic_array(text), text, size);
	),

	TP_printk("%s", __get_str(text))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH port/kernel
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_event
#include <trace/define_trace.h>
