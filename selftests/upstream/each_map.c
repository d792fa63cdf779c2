// SPDX-License-Identifier: GPL-2.0-only
// Upstream's test_maps test by test: the program itself stops at its first failure. Its file is compiled in unchanged; only main is ours.
// usage: test_maps_each [NAME]     all, or that one; "NAME.noprealloc" is it over maps that allocate at each insertion
// It prints "#test NAME", what the test prints, and "#OK", "#SKIP" or "#FAIL".
#define main upstream_main
#include "test_maps.c"
#undef main

#define DEFINE_TEST(name) extern void test_##name(void);
#include <map_tests/tests.h>
#undef DEFINE_TEST

#define NOPREALLOC ".noprealloc"

static const struct {
	const char *name;
	void (*of_task)(unsigned int task, void *data);
	void (*plain)(void);
	int both; /* upstream runs it with BPF_F_NO_PREALLOC, too */
} tests[] = {
	{"hashmap", test_hashmap, NULL, 1},
	{"hashmap_percpu", test_hashmap_percpu, NULL, 1},
	{"hashmap_walk", test_hashmap_walk, NULL, 1},
	{"hashmap_zero_seed", NULL, test_hashmap_zero_seed, 1},
	{"arraymap", test_arraymap, NULL, 1},
	{"arraymap_percpu", test_arraymap_percpu, NULL, 1},
	{"arraymap_percpu_many_keys", NULL, test_arraymap_percpu_many_keys, 1},
	{"devmap", test_devmap, NULL, 1},
	{"devmap_hash", test_devmap_hash, NULL, 1},
	{"sockmap", test_sockmap, NULL, 1},
	{"map_large", NULL, test_map_large, 1},
	{"map_parallel", NULL, test_map_parallel, 1},
	{"map_stress", NULL, test_map_stress, 1},
	{"map_rdonly", NULL, test_map_rdonly, 1},
	{"map_wronly", NULL, test_map_wronly, 1},
	{"reuseport_array", NULL, test_reuseport_array, 1},
	{"queuemap", test_queuemap, NULL, 1},
	{"stackmap", test_stackmap, NULL, 1},
	{"map_in_map", NULL, test_map_in_map, 1},
#define DEFINE_TEST(name) {#name, NULL, test_##name, 0},
#include <map_tests/tests.h>
#undef DEFINE_TEST
};

enum { SECONDS = 600 }; /* for one test: the longest takes a minute on an emulated machine */

/* In a process of its own: upstream's tests end it when they fail. */
static void run(size_t i, const char *name, int flags)
{
	int status = 0;
	pid_t child;

	printf("#test %s\n", name);
	fflush(stdout);
	child = fork();
	if (!child) {
		dup2(1, 2);
		alarm(SECONDS);
		map_opts.map_flags = flags;
		tests[i].of_task ? tests[i].of_task(0, NULL) : tests[i].plain();
		exit(skips ? 77 : 0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		perror("test_maps_each");
	else if (WIFSIGNALED(status))
		printf("killed by signal %d\n#FAIL\n", WTERMSIG(status));
	else
		printf("#%s\n", WEXITSTATUS(status) == 77 ? "SKIP" : WEXITSTATUS(status) ? "FAIL" : "OK");
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		for (int noprealloc = 0; noprealloc <= tests[i].both; noprealloc++) {
			char name[128];

			snprintf(name, sizeof(name), "%s%s", tests[i].name, noprealloc ? NOPREALLOC : "");
			if (argc < 2 || !strcmp(argv[1], name))
				run(i, name, noprealloc ? BPF_F_NO_PREALLOC : 0);
		}
	return 0;
}
