/* SPDX-License-Identifier: MIT */
/* For the bench's own programs: what the kernel knows of this process, and output without malloc. */
#ifndef USLUB_BENCH_PROCESS_H
#define USLUB_BENCH_PROCESS_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* A line on stdout. Integers and strings alone: those print without allocating. */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	char text[512];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (length < 0 || (size_t)length >= sizeof(text) ||
	    write(STDOUT_FILENO, text, (size_t)length) != length)
		_exit(3);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(3);
	_exit(2);
}

/*
 * What is resident of the heap, stacks and the like: fields 1 and 2 of /proc/self/statm, all and what
 * is mapped from files. Exact but for what the kernel counts by processor, a few pages.
 */
static inline size_t rss_bytes(void)
{
	static int fd = -1;
	char text[128];
	char *next = text;
	ssize_t length;
	size_t resident, shared;

	if (fd < 0)
		fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	length = pread(fd, text, sizeof(text) - 1, 0);
	if (length <= 0)
		die("/proc/self/statm cannot be read\n");
	text[length] = '\0';
	strtoul(next, &next, 10);
	resident = strtoul(next, &next, 10);
	shared = strtoul(next, &next, 10);
	return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

static inline size_t page_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (size_t)usage.ru_minflt + (size_t)usage.ru_majflt;
}

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void sleep_until_ns(uint64_t when)
{
	struct timespec at = {(time_t)(when / 1000000000u), (long)(when % 1000000000u)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static inline size_t number(const char *text, const char *what)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end)
		die("%s: %s is no number\n", what, text);
	return value;
}

#endif
