/* What the kernel knows of this process, read without allocating. */
#ifndef USLUB_TEST_PROC_H
#define USLUB_TEST_PROC_H

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>

#include "check.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static inline size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Field 0 of /proc/self/statm is the address space in pages, field 1 the resident set. */
static inline size_t statm_bytes(int field)
{
	char text[256];
	char *next = text;
	unsigned long pages = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	CHECK_THAT(len > 0, "/proc/self/statm cannot be read");
	close(fd);
	text[len] = '\0';
	for (int i = 0; i <= field; i++)
		pages = strtoul(next, &next, 10);
	return pages * page_bytes();
}

static inline size_t rss_bytes(void)
{
	return statm_bytes(1);
}

static inline size_t address_space_bytes(void)
{
	return statm_bytes(0);
}

/* What is resident; in an emulator, which keeps much for itself, what malloc says that it holds. */
static inline size_t footprint_bytes(void)
{
	struct mallinfo2 info;

	if (!emulated())
		return rss_bytes();
	info = mallinfo2();
	return info.arena + info.hblkhd;
}

static inline long minor_faults(void)
{
	struct rusage usage;

	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	return usage.ru_minflt;
}

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void sleep_ms(unsigned int ms)
{
	struct timespec span = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&span, NULL);
}

#endif
