// SPDX-License-Identifier: MIT
/* What the harness needs: tables outside the measured heap, threads on processors, whose malloc. */
#include "workload.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *bench_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED) {
		perror("uslub_bench: no memory for the harness");
		exit(1);
	}
	return p;
}

void bench_unmap(void *p, size_t size)
{
	munmap(p, size);
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
