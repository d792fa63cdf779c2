// SPDX-License-Identifier: GPL-2.0-only
// Upstream's test_maps test by test: the program itself stops at its first failure. Its file is compiled in unchanged; only main is ours.
// usage: test_maps_each            the tests' names; "NAME.noprealloc" is a test over maps that allocate at each insertion
//        test_maps_each NAME       that test, and "#OK" or "#SKIP" when it did not fail
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

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		for (int noprealloc = 0; noprealloc <= tests[i].both; noprealloc++) {
			char name[128];

			snprintf(name, sizeof(name), "%s%s", tests[i].name, noprealloc ? NOPREALLOC : "");
			if (argc < 2) {
				puts(name);
			} else if (!strcmp(argv[1], name)) {
				map_opts.map_flags = noprealloc ? BPF_F_NO_PREALLOC : 0;
				tests[i].of_task ? tests[i].of_task(0, NULL) : tests[i].plain();
				puts(skips ? "#SKIP" : "#OK"); /* upstream's tests end the process when they fail */
				return 0;
			}
		}
	return argc > 1;
}
