/*
 * What the unit tests share: cmocka, random numbers, threads, and children whose stderr is read.
 *
 * An assertion of cmocka's may fail on the test's own thread only; in other threads and in children
 * must() ends the program instead.
 */
#ifndef USLUB_UNIT_H
#define USLUB_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __has_feature
#define UNIT_FEATURE(x) __has_feature(x)
#else
#define UNIT_FEATURE(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || UNIT_FEATURE(thread_sanitizer)
#define UNDER_TSAN true
#else
#define UNDER_TSAN false
#endif
#if defined(__SANITIZE_ADDRESS__) || UNIT_FEATURE(address_sanitizer)
#define UNDER_ASAN true
#else
#define UNDER_ASAN false
#endif

/*
 * Of memory that one thread gave back to the kernel, and another got from it, ThreadSanitizer sees the
 * accesses and nothing between: system calls are made directly. Two threads that make a section do so.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:section_create\n";
}

/* Threads that still run at the end need no second of time: there are none, or they are a parent's. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}

/* Leaves a test that the machine can't do, and says why. */
#define skip_if(cond, why)                                    \
	do {                                                  \
		if (cond) {                                   \
			print_message("left out: %s\n", why); \
			skip();                               \
		}                                             \
	} while (0)

/* Rounds of a loop that a sanitizer slows down by a factor. */
#define ROUNDS(n) (UNDER_TSAN || UNDER_ASAN ? (n) / 5 : (n))

#define must(cond) ((cond) ? (void)0 : must_failed(__FILE__, __LINE__, #cond))

__attribute__((noreturn)) static inline void must_failed(const char *file, int line,
							 const char *text)
{
	fprintf(stderr, "%s:%d: must hold: %s\n", file, line, text);
	abort();
}

/* splitmix64 */
static inline uint64_t random_next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static inline size_t random_below(uint64_t *seed, size_t n)
{
	return (size_t)(random_next(seed) >> 16) % n;
}

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void sleep_ms(uint64_t ms)
{
	struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left))
		;
}

#define MAX_THREADS 64U

/* Runs fn in n threads at once, on the elements of an array of arguments, and waits for their ends. */
static inline void run_threads(unsigned int n, void *(*fn)(void *), void *args, size_t stride)
{
	pthread_t threads[MAX_THREADS];

	must(n <= MAX_THREADS);
	for (unsigned int i = 0; i < n; i++)
		must(!pthread_create(&threads[i], NULL, fn,
				     (void *)((uintptr_t)args + i * stride)));
	for (unsigned int i = 0; i < n; i++)
		must(!pthread_join(threads[i], NULL));
}

/* Runs fn in a thread of its own. */
static inline void run_thread(void *(*fn)(void *), void *arg)
{
	run_threads(1, fn, arg, 0);
}

/* What a child did: waitpid()'s status, and its stderr as a string. */
struct child {
	int status;
	char err[4096];
};

static inline void read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
}

/* Runs fn in a child of fork. Coverage and sanitizers report in exit(), which _exit() leaves out. */
static inline void run_child(struct child *child, void (*fn)(void *), void *arg)
{
	int fds[2];
	pid_t pid;

	must(!pipe(fds));
	fflush(NULL);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn(arg);
		exit(0);
	}
	close(fds[1]);
	read_all(fds[0], child->err, sizeof(child->err));
	close(fds[0]);
	must(waitpid(pid, &child->status, 0) == pid);
}

/* The same, where the child must end well and say nothing. */
static inline void run_good_child(void (*fn)(void *), void *arg)
{
	struct child child;

	run_child(&child, fn, arg);
	if (child.status || child.err[0])
		fprintf(stderr, "child: status %#x, stderr: %s\n", (unsigned int)child.status,
			child.err);
	assert_int_equal(child.status, 0);
	assert_string_equal(child.err, "");
}

/* Runs fn here and returns what it writes to stderr: less than a pipe holds. */
static inline void capture_stderr(void (*fn)(void *), void *arg, char *text, size_t size)
{
	int fds[2], saved = dup(STDERR_FILENO);

	must(saved >= 0 && !pipe(fds));
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	fn(arg);
	dup2(saved, STDERR_FILENO);
	close(saved);
	read_all(fds[0], text, size);
	close(fds[0]);
}

/* How many pages of the range are in memory. */
static inline size_t resident_pages(const void *addr, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	unsigned char in_core[4096];

	must(size / page <= sizeof(in_core));
	must(!mincore((void *)(uintptr_t)addr, size, in_core));
	for (size_t i = 0; i < size / page; i++)
		n += in_core[i] & 1;
	return n;
}

static inline bool is_zero(const void *p, size_t size)
{
	const unsigned char *bytes = p;

	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

#endif
