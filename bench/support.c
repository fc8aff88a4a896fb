// SPDX-License-Identifier: MIT
/* What the harness needs: tables outside the measured heap, threads on processors, whose malloc. */
#include "workload.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/*
 * The harness's own variables lie at another offset of a page in each process. Processors compare the
 * low twelve bits of addresses first, so a loop whose variables happen to share them with an allocator's
 * words waits for stores that only look like its own; the median over rounds must not depend on one such
 * accident. See docs/decisions/0004-page-offsets.md.
 */
static size_t map_offset(void)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);

	return (size_t)(random[0] % 64) * 64;
}

void *bench_map(size_t size)
{
	char *p = mmap(NULL, size + map_offset(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if ((void *)p == MAP_FAILED) {
		perror("uslub_bench: no memory for the harness");
		exit(1);
	}
	return p + map_offset();
}

void bench_unmap(void *p, size_t size)
{
	munmap((char *)p - map_offset(), size + map_offset());
}

static cpu_set_t allowed; /* written by bench_processors() alone, before any thread starts */

int bench_processors(void)
{
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
		perror("uslub_bench: sched_getaffinity");
		exit(1);
	}
	return CPU_COUNT(&allowed);
}

/* Without pins a thread woken by another begins beside it, and shares its processor for a while. */
void bench_pin(unsigned int thread)
{
	unsigned int left = thread;
	cpu_set_t one;

	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || left-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

void bench_unpin(void)
{
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

void bench_thread(pthread_t *thread, void *(*function)(void *), void *arg)
{
	pthread_attr_t attr;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)256 << 10);
	error = pthread_create(thread, &attr, function, arg);
	pthread_attr_destroy(&attr);
	if (error) {
		fprintf(stderr, "uslub_bench: no thread: %s\n", strerror(error));
		exit(1);
	}
}

const char *malloc_provider(void)
{
	static const char *const names[] = {"malloc", "free", "calloc", "realloc"};
	const char *file = NULL;
	Dl_info info;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *function = dlsym(RTLD_DEFAULT, names[i]);

		if (!function || !dladdr(function, &info) || !info.dli_fname)
			return NULL;
		if (file && strcmp(file, info.dli_fname) != 0)
			return NULL;
		file = info.dli_fname;
	}
	return file;
}
