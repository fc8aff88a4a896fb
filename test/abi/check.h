/*
 * Assertions for tests that run under a foreign malloc.
 *
 * Nothing here allocates: a failure is written from a buffer on the stack.
 * When TEST_ALLOCATOR is set, main() is not reached unless malloc comes from an
 * object of that name: a preload that the loader dropped must not look like success.
 * When it is unset, the program runs on any malloc, and points in which uslub
 * promises more than glibc does are left out: see strict().
 */
#ifndef USLUB_TEST_CHECK_H
#define USLUB_TEST_CHECK_H

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CTest shows a test that ends so as skipped. */
#define SKIP_CODE 77

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, "%s", #cond))
#define CHECK_THAT(cond, ...) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, __VA_ARGS__))

static inline void write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

__attribute__((noreturn, format(printf, 3, 4), unused)) static void
check_failed(const char *file, int line, const char *format, ...)
{
	int error = errno;
	char text[1024];
	va_list args;
	int len = snprintf(text, sizeof(text), "%s:%d: check failed: ", file, line);

	va_start(args, format);
	len += vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
	va_end(args);
	if ((size_t)len > sizeof(text) - 64)
		len = (int)sizeof(text) - 64;
	len += snprintf(text + len, sizeof(text) - (size_t)len, " (errno %d)\n", error);
	write_all(STDERR_FILENO, text, (size_t)len);
	abort();
}

__attribute__((noreturn, unused)) static void skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	exit(SKIP_CODE);
}

/* The allocator under test is ours, so its own promises hold too. */
static inline bool strict(void)
{
	return getenv("TEST_ALLOCATOR") != NULL;
}

/* An emulator's own memory and threads show in this process's figures. */
static inline bool emulated(void)
{
	return getenv("TEST_EMULATED") != NULL;
}

__attribute__((constructor, unused)) static void check_allocator(void)
{
	const char *want = getenv("TEST_ALLOCATOR");
	void *symbol = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	/* What was printed before a failure is wanted most. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!want)
		return;
	CHECK_THAT(symbol && dladdr(symbol, &info), "malloc is not found");
	CHECK_THAT(strstr(info.dli_fname, want), "malloc comes from %s instead of %s",
		   info.dli_fname, want);
}

/* The compiler must neither follow a pointer through malloc nor fold a size. */
static inline void *opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static inline size_t opaque_size(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

/* dlsym into a function pointer, which ISO C has no cast for. */
#define LOOKUP(function, handle, name)                          \
	do {                                                    \
		void *symbol_ = dlsym(handle, name);            \
		memcpy(&(function), &symbol_, sizeof(symbol_)); \
	} while (0)

static inline bool is_aligned(const void *p, size_t align)
{
	return ((uintptr_t)p & (align - 1)) == 0;
}

static inline bool all_bytes(const void *p, unsigned char value, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)p;

	return len == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, len - 1) == 0);
}

#endif
