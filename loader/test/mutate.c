/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mutate FILE DIR COUNT SEED: writes COUNT broken variants of FILE into DIR, named 0000.o and up: truncations, flipped bits,
 * overwritten words (with the numbers that break parsers), moved blocks, and section headers and BTF hit on purpose.
 * The same seed gives the same files.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long state;

static unsigned int rnd(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (unsigned int)(state >> 16) % below : 0;
}

static const unsigned int nasty[] = { 0, 1, 2, 7, 0x7f, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000u, 0xffffffffu, 0xfffffff8u };

static void put_word(unsigned char *p, size_t size, size_t at)
{
	unsigned int v = nasty[rnd(sizeof(nasty) / sizeof(nasty[0]))];
	size_t n = 1u << rnd(3);

	if (size < 4)
		return;
	if (at > size - 4)
		at = size - 4;
	memcpy(p + at, &v, n);
}

/* A place inside the section header table, or inside a section. */
static size_t elf_place(const unsigned char *p, size_t size)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)p;
	size_t n = e->e_shnum, at = e->e_shoff;
	const Elf64_Shdr *s;

	if (size < sizeof(*e) || !n || at > size || n * sizeof(Elf64_Shdr) > size - at)
		return rnd((unsigned int)size);
	at += rnd((unsigned int)n) * sizeof(Elf64_Shdr);
	if (rnd(2))
		return at + rnd(sizeof(Elf64_Shdr) / 4) * 4;
	s = (const Elf64_Shdr *)(p + at);
	return s->sh_size ? s->sh_offset + rnd((unsigned int)s->sh_size) / 4 * 4 : rnd((unsigned int)size);
}

static size_t mutate(unsigned char *p, size_t size)
{
	unsigned int hits = 1 + rnd(6), i;
	size_t a, b, n;

	switch (rnd(5)) {
	case 0:
		return rnd((unsigned int)size);
	case 1:
		for (i = 0; i < hits; i++)
			p[rnd((unsigned int)size)] ^= 1u << rnd(8);
		return size;
	case 2:
		a = rnd((unsigned int)size);
		b = rnd((unsigned int)size);
		n = 1 + rnd(256);
		if (a + n <= size && b + n <= size)
			memmove(p + a, p + b, n);
		return size;
	default:
		for (i = 0; i < hits; i++)
			put_word(p, size, elf_place(p, size));
		return size;
	}
}

int main(int argc, char **argv)
{
	static unsigned char original[1 << 20], copy[1 << 20];
	size_t size;
	FILE *f;

	if (argc != 5 || !(f = fopen(argv[1], "rb"))) {
		fprintf(stderr, "usage: mutate FILE DIR COUNT SEED\n");
		return 2;
	}
	size = fread(original, 1, sizeof(original), f);
	fclose(f);
	state = strtoull(argv[4], NULL, 0) * 0x9e3779b97f4a7c15ull + 1;
	for (int i = 0; i < atoi(argv[3]); i++) {
		char name[4096];
		size_t n;

		memcpy(copy, original, size);
		n = mutate(copy, size);
		snprintf(name, sizeof(name), "%s/%04d.o", argv[2], i);
		f = fopen(name, "wb");
		if (!f || fwrite(copy, 1, n, f) != n || fclose(f)) {
			perror(name);
			return 2;
		}
	}
	return 0;
}
