/*
 * One mistake a program: mistake(p) tells misuse.py the address that the report must name, and a
 * program that lives on ends by survived(), which shows that the heap is still whole.
 */
#ifndef USLUB_TEST_MISUSE_H
#define USLUB_TEST_MISUSE_H

#include <malloc.h>

#include "../check.h"

/* The address, out of the compiler's sight. */
static inline void *mistake(void *p)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "address 0x%zx\n", (size_t)(uintptr_t)p);

	write_all(STDOUT_FILENO, text, (size_t)len);
	return opaque(p);
}

/* Objects of all sizes at once: one that was handed out twice loses its pattern. */
static inline int survived(void)
{
	enum { N = 3000 };
	static unsigned char *p[N];
	static size_t size[N];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			size[i] = (size_t)(i * i) % (size_t)(i % 10 ? 600 : 90000) + 1;
			p[i] = malloc(size[i]);
			CHECK(p[i]);
			memset(p[i], i, size[i]);
		}
		for (int i = 0; i < N; i++)
			CHECK(all_bytes(p[i], (unsigned char)i, size[i]));
		for (int i = 0; i < N; i++)
			free(p[i]);
	}
	puts("survived");
	return 0;
}

#endif
