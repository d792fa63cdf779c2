/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * process_test FILE.o [BACKEND]: libbpf on the process back end, end to end: load, test runs, ring_buffer over mmap and epoll, mapped
 * array, dup and close, ids, fork. BACKEND "kernel" runs the same on the kernel's own BPF, as the peer.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/lib/libmodbpf.h"

static int failures;
#define CHECK(c) do { if (!(c)) { failures++; printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #c, errno); } } while (0)

static unsigned long long last;
static int seen;

static int on_record(void *ctx, void *data, size_t size)
{
	(void)ctx;
	CHECK(size == 8);
	memcpy(&last, data, 8);
	seen++;
	return 0;
}

static int run(int prog, unsigned long long first)
{
	unsigned char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);

	memcpy(packet, &first, 8);
	return bpf_prog_test_run_opts(prog, &o) ? -1 : (int)o.retval;
}

static void streams(struct bpf_object *obj, int prog)
{
	int ring_fd = bpf_object__find_map_fd_by_name(obj, "events");
	struct ring_buffer *rb = ring_buffer__new(ring_fd, on_record, NULL, NULL);

	CHECK(rb != NULL);
	if (!rb)
		return;
	CHECK(ring_buffer__poll(rb, 0) == 0);
	CHECK(run(prog, 0x1122334455667788ull) == 2);
	CHECK(ring_buffer__poll(rb, 1000) == 1);
	CHECK(seen == 1 && last == 0x1122334455667788ull);
	CHECK(ring_buffer__poll(rb, 0) == 0);
	/* Around the ring several times: 16 bytes a record in 4096. */
	for (int i = 0; i < 1000; i++) {
		CHECK(run(prog, (unsigned long long)i) == 2);
		if (i % 100 == 99) {
			CHECK(ring_buffer__poll(rb, 1000) == 100);
			CHECK(last == (unsigned long long)i);
		}
	}
	/* Full: 256 records fit less the one that would close the gap; then the program sees no room. */
	int fit = 0;
	while (fit < 300 && run(prog, 1) == 2)
		fit++;
	CHECK(fit == 255 || fit == 256);
	CHECK(ring_buffer__consume(rb) == fit);
	ring_buffer__free(rb);
}

static void on_sample(void *ctx, int cpu, void *data, unsigned int size)
{
	(void)ctx;
	(void)cpu;
	CHECK(size >= 8 && size < 16);
	memcpy(&last, data, 8);
	seen++;
}

static void on_lost(void *ctx, int cpu, unsigned long long n)
{
	(void)cpu;
	*(unsigned long long *)ctx += n;
}

static void perf_streams(struct bpf_object *obj)
{
	int prog = bpf_program__fd(bpf_object__find_program_by_name(obj, "put_perf"));
	unsigned long long lost = 0;
	struct perf_buffer *pb;

	CHECK(run(prog, 1) == 0); /* no event in any slot */
	pb = perf_buffer__new(bpf_object__find_map_fd_by_name(obj, "perf"), 1, on_sample, on_lost, &lost, NULL);
	CHECK(pb != NULL);
	if (!pb)
		return;
	seen = 0;
	CHECK(run(prog, 0xabcdef) == 2);
	CHECK(perf_buffer__poll(pb, 1000) >= 0 && seen == 1 && last == 0xabcdef);
	for (int i = 0; i < 1000; i++) {
		CHECK(run(prog, (unsigned long long)i) == 2);
		perf_buffer__consume(pb);
		CHECK(last == (unsigned long long)i);
	}
	CHECK(seen == 1001 && lost == 0);
	for (int i = 0; i < 1000; i++) /* one page a CPU: more than fits */
		run(prog, 5);
	perf_buffer__consume(pb);
	CHECK(run(prog, 6) == 2); /* carries the count of the lost ones before it */
	perf_buffer__consume(pb);
	CHECK(seen < 2000 && lost > 0 && seen + lost == 2002);
	perf_buffer__free(pb);
}

static void mapped_array(struct bpf_object *obj, int prog)
{
	int fd = bpf_object__find_map_fd_by_name(obj, "shared");
	unsigned long long v = 5, *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned int key = 1;

	CHECK(p != MAP_FAILED);
	if (p == MAP_FAILED)
		return;
	p[1] = 100;
	CHECK(run(prog, 0) == 2);
	CHECK(p[1] == 101);
	CHECK(bpf_map_lookup_elem(fd, &key, &v) == 0 && v == 101);
	CHECK(bpf_map_freeze(fd) == -EBUSY); /* a writable mapping is there */
	CHECK(munmap(p, 4096) == 0);
	CHECK(bpf_map_freeze(fd) == 0);
	CHECK(bpf_map_update_elem(fd, &key, &v, 0) == -EPERM);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
}

static void lifetime(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "life", 4, 8, 10, NULL), copy, again;
	struct bpf_map_info info = { 0 };
	unsigned int len = sizeof(info), key = 3;
	unsigned long long v = 7;

	CHECK(fd >= 0);
	CHECK(bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.id && !strcmp(info.name, "life"));
	copy = dup(fd);
	close(fd);
	CHECK(bpf_map_update_elem(copy, &key, &v, 0) == 0);
	again = bpf_map_get_fd_by_id(info.id);
	CHECK(again >= 0);
	close(copy);
	v = 0;
	CHECK(bpf_map_lookup_elem(again, &key, &v) == 0 && v == 7);
	close(again);
	/* The kernel frees the id at once; so must the back end by the next call. */
	CHECK(bpf_map_get_fd_by_id(info.id) == -ENOENT);
	CHECK(bpf_map_lookup_elem(again, &key, &v) == -EBADF);
	CHECK(bpf_map_lookup_elem(0, &key, &v) < 0);
}

/* What bpftool annotates its dumps with: libbpf checks the records' order and the functions' addresses. */
static void line_records(struct bpf_object *obj)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, obj) {
		static char lines[64 * 1024], jited[32 * 1024];
		__u64 syms[16];
		__u32 lens[16];
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);
		struct bpf_prog_linfo *l;

		CHECK(bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) == 0);
		__u32 n = info.nr_line_info, funcs = info.nr_jited_ksyms;

		memset(&info, 0, sizeof(info));
		info.nr_line_info = info.nr_jited_line_info = n;
		info.line_info_rec_size = sizeof(struct bpf_line_info);
		info.jited_line_info_rec_size = sizeof(__u64);
		info.nr_jited_ksyms = info.nr_jited_func_lens = funcs;
		info.line_info = (__u64)(unsigned long)lines;
		info.jited_line_info = (__u64)(unsigned long)jited;
		info.jited_ksyms = (__u64)(unsigned long)syms;
		info.jited_func_lens = (__u64)(unsigned long)lens;
		CHECK(n > 0 && n < 1000 && funcs > 0 && funcs < 16);
		CHECK(bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) == 0);
		CHECK(info.nr_jited_line_info == n);
		l = bpf_prog_linfo__new(&info);
		CHECK(l != NULL);
		CHECK(l && bpf_prog_linfo__lfind(l, 0, 0) != NULL);
		for (__u32 f = 0; l && f < funcs; f++)
			CHECK(bpf_prog_linfo__lfind_addr_func(l, syms[f], f, 0) != NULL);
		bpf_prog_linfo__free(l);
	}
}

static void in_child(int prog)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "child", 4, 4, 1, NULL);

		_exit(fd >= 0 && run(prog, 1) == 2 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
	const char *backend = argc > 2 ? argv[2] : "process";
	struct bpf_object *obj;
	int prog;

	CHECK(modbpf_select_backend(backend) == 0);
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj || bpf_object__load(obj)) {
		printf("cannot load %s on the %s back end (errno %d)\n", argv[1], backend, errno);
		return 1;
	}
	prog = bpf_program__fd(bpf_object__find_program_by_name(obj, "put"));
	in_child(prog);
	struct ring_buffer *none = ring_buffer__new(prog, on_record, NULL, NULL);
	CHECK(none == NULL);
	/* The child's record, where memory is shared with it, is not ours to count. */
	struct ring_buffer *rb = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "events"), on_record, NULL, NULL);
	ring_buffer__consume(rb);
	ring_buffer__free(rb);
	seen = 0;
	line_records(obj);
	streams(obj, prog);
	perf_streams(obj);
	mapped_array(obj, prog);
	lifetime();
	bpf_object__close(obj);
	if (!failures)
		printf("ok: libbpf on the %s back end\n", backend);
	return failures != 0;
}
