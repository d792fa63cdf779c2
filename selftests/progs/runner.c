// SPDX-License-Identifier: GPL-2.0-only
/*
 * runner: loads and runs the programs of selftests/progs and checks what the comments above them say (README.md).
 *
 *     runner SOURCE.bpf.c OBJECT.o [PROGRAM]
 *
 * Speaks plain libbpf, so it tests whichever bpf() answers: the kernel's, or modbpf's under libmodbpf.so. Prints TAP; the exit
 * status is 0 when every program did what it should. With RUNNER_DUMP in the environment each run also prints, behind "# ", what it
 * left behind: return value, packet, maps, ring buffer records.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 4096

struct expectation {
	char name[64];
	char message[128]; /* of a reject */
	char with[128];
	char needs[128];
	bool reject;
	bool run;
	int retval;
	unsigned int repeat;
	unsigned char data[MAX_BYTES];
	unsigned int data_size;
	unsigned long long ctx[12];
	unsigned int ctx_words;
	unsigned char out[MAX_BYTES];
	unsigned int out_size;
};

static char log_text[1 << 20];
static unsigned int tests, failures;

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level, (void)fmt, (void)args;
	return 0;
}

static void report(bool ok, const char *name, const char *fmt, ...)
{
	va_list args;

	tests++;
	failures += !ok;
	printf("%sok %u - %s", ok ? "" : "not ", tests, name);
	if (!ok) {
		printf(": ");
		va_start(args, fmt);
		vprintf(fmt, args);
		va_end(args);
	}
	printf("\n");
}

/* "45 00 zero:8 ff:4" */
static unsigned int parse_bytes(const char *s, unsigned char *out)
{
	unsigned int n = 0;

	while (n < MAX_BYTES) {
		unsigned int value, count = 1;
		int used;

		while (isspace((unsigned char)*s))
			s++;
		if (sscanf(s, "zero:%u%n", &count, &used) == 1)
			value = 0;
		else if (sscanf(s, "%2x:%u%n", &value, &count, &used) != 2) {
			count = 1;
			if (sscanf(s, "%2x%n", &value, &used) != 1)
				break;
		}
		for (; count && n < MAX_BYTES; count--)
			out[n++] = value;
		s += used;
	}
	return n;
}

static void start_over(struct expectation *e)
{
	memset(e, 0, sizeof(*e));
	e->data_size = 64;
	e->repeat = 1;
}

static void take_line(struct expectation *e, const char *line, bool *seen)
{
	const char *s;

	if ((s = strstr(line, "EXPECT: "))) {
		start_over(e);
		*seen = true;
		e->reject = !strncmp(s + 8, "reject", 6);
		if (e->reject)
			sscanf(s + 8, "reject \"%127[^\"]\"", e->message);
	} else if ((s = strstr(line, "RETVAL: "))) {
		e->run = true;
		e->retval = atoi(s + 8);
	} else if ((s = strstr(line, "REPEAT: "))) {
		e->repeat = atoi(s + 8);
	} else if ((s = strstr(line, "DATA_OUT: "))) {
		e->out_size = parse_bytes(s + 10, e->out);
	} else if ((s = strstr(line, "DATA: "))) {
		memset(e->data, 0, sizeof(e->data));
		e->data_size = parse_bytes(s + 6, e->data);
	} else if ((s = strstr(line, "WITH: "))) {
		snprintf(e->with, sizeof(e->with), "%s", s + 6);
	} else if ((s = strstr(line, "NEEDS: "))) {
		sscanf(s + 7, "%127s", e->needs);
	} else if ((s = strstr(line, "CTX: words"))) {
		char *end;

		for (s += 10; e->ctx_words < 12; s = end) {
			e->ctx[e->ctx_words] = strtoull(s, &end, 0);
			if (end == s)
				break;
			e->ctx_words++;
		}
	}
}

/* The function's name: the word before the first '(' that no attribute owns. */
static bool take_name(struct expectation *e, const char *line)
{
	const char *s = strstr(line, "__attribute__") ? strstr(line, "))") + 2 : line;
	const char *end = strchr(s, '('), *p = end;

	if (!end)
		return false;
	while (p > s && (isalnum((unsigned char)p[-1]) || p[-1] == '_'))
		p--;
	snprintf(e->name, sizeof(e->name), "%.*s", (int)(end - p), p);
	return e->name[0];
}

static bool wanted(const struct expectation *e, const char *name)
{
	const char *p = e->with;
	size_t n = strlen(name);

	if (!strcmp(name, e->name))
		return true;
	while ((p = strstr(p, name))) {
		bool starts = p == e->with || p[-1] == ' ', ends = !p[n] || isspace((unsigned char)p[n]);

		if (starts && ends)
			return true;
		p += n;
	}
	return false;
}

static void print_bytes(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
}

static int print_record(void *name, void *data, size_t size)
{
	printf("# %s record ", (char *)name);
	print_bytes(data, size);
	printf("\n");
	return 0;
}

static void dump_ring(const struct bpf_map *map, char *name)
{
	struct ring_buffer *rb = ring_buffer__new(bpf_map__fd(map), print_record, name, NULL);

	if (rb)
		ring_buffer__consume(rb);
	ring_buffer__free(rb);
}

static void dump_map(const struct expectation *e, const struct bpf_map *map)
{
	static unsigned char key[MAX_BYTES], next[MAX_BYTES], value[1 << 20];
	enum bpf_map_type type = bpf_map__type(map);
	size_t size = bpf_map__value_size(map);
	bool first = true;
	char name[160];

	snprintf(name, sizeof(name), "%s %s", e->name, bpf_map__name(map));
	if (type == BPF_MAP_TYPE_RINGBUF)
		return dump_ring(map, name);
	if (type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_PERF_EVENT_ARRAY)
		return;
	if (type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY)
		size = (size + 7) / 8 * 8 * libbpf_num_possible_cpus();
	if (size > sizeof(value) || bpf_map__key_size(map) > MAX_BYTES)
		return;
	for (; !bpf_map_get_next_key(bpf_map__fd(map), first ? NULL : key, next); first = false) {
		memcpy(key, next, bpf_map__key_size(map));
		if (bpf_map_lookup_elem(bpf_map__fd(map), key, value))
			continue;
		printf("# %s ", name);
		print_bytes(key, bpf_map__key_size(map));
		printf(": ");
		print_bytes(value, size);
		printf("\n");
	}
}

static void dump(const struct expectation *e, struct bpf_object *obj, const struct bpf_test_run_opts *opts)
{
	struct bpf_map *map;

	printf("# %s returned %u, packet ", e->name, opts->retval);
	print_bytes(opts->data_out, opts->data_out ? opts->data_size_out : 0);
	printf("\n");
	bpf_object__for_each_map(map, obj)
		dump_map(e, map);
}

static void run(const struct expectation *e, struct bpf_object *obj, struct bpf_program *prog)
{
	static unsigned char out[2 * MAX_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	if (e->ctx_words) {
		opts.ctx_in = e->ctx;
		opts.ctx_size_in = e->ctx_words * 8;
	} else if (bpf_program__type(prog) != BPF_PROG_TYPE_RAW_TRACEPOINT && bpf_program__type(prog) != BPF_PROG_TYPE_SYSCALL) {
		opts.data_in = e->data;
		opts.data_size_in = e->data_size;
		opts.data_out = out;
		opts.data_size_out = sizeof(out);
		opts.repeat = e->repeat;
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	if (!err && getenv("RUNNER_DUMP"))
		dump(e, obj, &opts);
	if (err)
		report(false, e->name, "test run: %s", strerror(errno));
	else if ((int)opts.retval != e->retval)
		report(false, e->name, "returned %d, not %d", (int)opts.retval, e->retval);
	else if (e->out_size && (opts.data_size_out < e->out_size || memcmp(out, e->out, e->out_size)))
		report(false, e->name, "the packet is not what it should be");
	else
		report(true, e->name, "");
}

/* Does the running kernel's BTF have the kernel function that the program calls? */
static bool kernel_has(const char *function)
{
	static struct btf *kernel;

	if (!function[0])
		return true;
	if (!kernel)
		kernel = btf__load_vmlinux_btf();
	return !libbpf_get_error(kernel) && btf__find_by_name_kind(kernel, function, BTF_KIND_FUNC) > 0;
}

static void check(const struct expectation *e, const char *object)
{
	/* Level 0: libbpf asks for the log when the load fails. */
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log_text, .kernel_log_size = sizeof(log_text),
		    .kernel_log_level = e->reject);
	struct bpf_object *obj = bpf_object__open_file(object, &opts);
	struct bpf_program *p, *prog = NULL;
	int err;

	if (!obj) {
		report(false, e->name, "cannot open %s", object);
		return;
	}
	log_text[0] = 0;
	bpf_object__for_each_program(p, obj) {
		bpf_program__set_autoload(p, wanted(e, bpf_program__name(p)));
		if (!strcmp(bpf_program__name(p), e->name))
			prog = p;
	}
	if (!prog) {
		report(false, e->name, "is not in %s", object);
		goto out;
	}
	err = bpf_object__load(obj);
	if (e->reject && !err)
		report(false, e->name, "was accepted");
	else if (e->reject)
		report(strstr(log_text, e->message), e->name, "the log lacks \"%s\":\n%s", e->message, log_text);
	else if (err)
		report(false, e->name, "was refused (%d):\n%s", err, log_text);
	else if (e->run)
		run(e, obj, prog);
	else
		report(true, e->name, "");
out:
	bpf_object__close(obj);
}

int main(int argc, char **argv)
{
	static struct expectation e;
	bool seen = false, named = false;
	char line[512];
	FILE *f;

	if (argc < 3) {
		fprintf(stderr, "usage: %s SOURCE.bpf.c OBJECT.o [PROGRAM]\n", argv[0]);
		return 2;
	}
	f = fopen(argv[1], "r");
	if (!f) {
		perror(argv[1]);
		return 2;
	}
	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "//", 2)) {
			take_line(&e, line, &seen);
		} else if (seen && !strncmp(line, "SEC(", 4)) {
			named = true;
		} else if (named && take_name(&e, line)) {
			if (argc >= 4 && strcmp(argv[3], e.name))
				;
			else if (!kernel_has(e.needs))
				printf("ok %u - %s # SKIP no %s\n", ++tests, e.name, e.needs);
			else
				check(&e, argv[2]);
			seen = named = false;
		}
	}
	fclose(f);
	printf("1..%u\n", tests);
	return failures || !tests;
}
