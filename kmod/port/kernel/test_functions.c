// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that the kernel has for test runs of tracing programs. They do nothing but to be called: programs stand at them.
 * Called through static calls, as in ksym.c. One that this kernel lacks is left out.
 */
#include "port/kernel/internal.h"

#include <linux/mutex.h>
#include <linux/static_call.h>

struct chain {
	struct chain *next;
};

/* Their prototypes, as BTF has them. */
int proto_bpf_fentry_test1(int a);
int proto_bpf_fentry_test2(int a, u64 b);
int proto_bpf_fentry_test3(char a, int b, u64 c);
int proto_bpf_fentry_test4(void *a, char b, int c, u64 d);
int proto_bpf_fentry_test5(u64 a, void *b, short c, int d, u64 e);
int proto_bpf_fentry_test6(u64 a, void *b, short c, int d, void *e, u64 f);
int proto_bpf_fentry_test7(struct chain *arg);
int proto_bpf_fentry_test8(struct chain *arg);
u32 proto_bpf_fentry_test9(u32 *a);
int proto_bpf_modify_return_test(int a, int *b);
int proto_bpf_modify_return_test2(int a, int *b, short c, int d, void *e, char f, int g);

#define FUNCTIONS(X)		\
	X(bpf_fentry_test1)	\
	X(bpf_fentry_test2)	\
	X(bpf_fentry_test3)	\
	X(bpf_fentry_test4)	\
	X(bpf_fentry_test5)	\
	X(bpf_fentry_test6)	\
	X(bpf_fentry_test7)	\
	X(bpf_fentry_test8)	\
	X(bpf_fentry_test9)	\
	X(bpf_modify_return_test)	\
	X(bpf_modify_return_test2)

#define DEFINE(name) DEFINE_STATIC_CALL_NULL(modbpf_##name, proto_##name); static bool has_##name;
FUNCTIONS(DEFINE)

static DEFINE_MUTEX(bind_lock); /* `bound` and what has_* and the static calls are set to; task context */
static bool bound;

static void bind(void)
{
	mutex_lock(&bind_lock);
	if (!bound) {
#define BIND(name) {						\
		unsigned long addr = modbpf_ksym_function(#name);	\
									\
		if (addr)						\
			static_call_update(modbpf_##name, (typeof(&proto_##name))addr);	\
		has_##name = addr;					\
	}
		FUNCTIONS(BIND)
		bound = true;
	}
	mutex_unlock(&bind_lock);
}

#define GIVES(want, name, ...) (!has_##name || static_call(modbpf_##name)(__VA_ARGS__) == (want))

static bool watched_functions(void)
{
	struct chain end = { NULL };
	u32 zero = 0;

	return GIVES(2, bpf_fentry_test1, 1) &&
	       GIVES(5, bpf_fentry_test2, 2, 3) &&
	       GIVES(15, bpf_fentry_test3, 4, 5, 6) &&
	       GIVES(34, bpf_fentry_test4, (void *)7, 8, 9, 10) &&
	       GIVES(65, bpf_fentry_test5, 11, (void *)12, 13, 14, 15) &&
	       GIVES(111, bpf_fentry_test6, 16, (void *)17, 18, 19, (void *)20, 21) &&
	       GIVES(0, bpf_fentry_test7, NULL) &&
	       GIVES(0, bpf_fentry_test8, &end) &&
	       GIVES(0, bpf_fentry_test9, &zero);
}

int port_call_test_functions(bool modify, u32 *retval)
{
	u16 effects = 0, sum = 0;
	int number = 2;

	bind();
	*retval = 0;
	if (!modify)
		return watched_functions() ? 0 : -EFAULT;
	if (has_bpf_modify_return_test)
		sum += static_call(modbpf_bpf_modify_return_test)(1, &number);
	effects += number != 2;
	number = 2;
	if (has_bpf_modify_return_test2)
		sum += static_call(modbpf_bpf_modify_return_test2)(1, &number, 3, 4, (void *)5, 6, 7);
	effects += number != 2;
	*retval = (u32)effects << 16 | sum;
	return 0;
}
