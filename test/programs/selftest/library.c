// SPDX-License-Identifier: MIT
/*
 * The preload library of the harness's own test: glibc's malloc under its other names, with one
 * fault each that FAULT selects.  A fault shows itself after many calls only, so that it hits the
 * case's program and not the small ones around it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define GOOD 0
#define REPORT 1
#define CRASH 2
#define HANG 3
#define OUTPUT 4

#define MANY 2000

void *__libc_malloc(size_t size);
void __libc_free(void *object);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *object, size_t size);

static void say(int fd, const char *text, size_t length)
{
	if (write(fd, text, length) < 0)
		_exit(9);
}

static void show_fault(void)
{
	static const char report[] = "uslub: BUG kmalloc-64 (1234): double free of 0x10\n";
	static const char output[] = "one line more\n";

	switch (FAULT) {
	case REPORT:
		say(STDERR_FILENO, report, sizeof(report) - 1);
		break;
	case CRASH:
		abort();
	case HANG:
		for (;;)
			pause();
	case OUTPUT:
		say(STDOUT_FILENO, output, sizeof(output) - 1);
		break;
	default:
		break;
	}
}

void *malloc(size_t size)
{
	static int calls;

	if (++calls == MANY)
		show_fault();
	return __libc_malloc(size);
}

void free(void *object)
{
	__libc_free(object);
}

void *calloc(size_t count, size_t size)
{
	return __libc_calloc(count, size);
}

void *realloc(void *object, size_t size)
{
	return __libc_realloc(object, size);
}
