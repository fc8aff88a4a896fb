/* A call that succeeds leaves errno alone, and so does every free. */
#include <malloc.h>
#include <pthread.h>

#include "proc.h"

#define SENTINEL 4711

static const size_t sizes[] = {
	0, 1, 16, 100, 129, 1000, 4096, 8192, 20000, 65536, 100000, 1 << 20, 33 << 20,
};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

#define KEEPS_ERRNO(what)                                                            \
	do {                                                                         \
		errno = SENTINEL;                                                    \
		what;                                                                \
		CHECK_THAT(errno == SENTINEL, "errno is %d after %s", errno, #what); \
	} while (0)

static void one_size(size_t n)
{
	void *p, *q, *r, *a = NULL;

	KEEPS_ERRNO(p = malloc(n));
	KEEPS_ERRNO(q = calloc(n, 2));
	KEEPS_ERRNO(r = realloc(NULL, n));
	CHECK(p && q && r);
	KEEPS_ERRNO(CHECK(posix_memalign(&a, 4096, n) == 0));
	KEEPS_ERRNO(r = realloc(r, n * 2 + 1));
	KEEPS_ERRNO(r = realloc(r, n / 3 + 1));
	KEEPS_ERRNO((void)malloc_usable_size(p));
	KEEPS_ERRNO(free(p));
	KEEPS_ERRNO(p = aligned_alloc(256, n));
	CHECK(p);
	KEEPS_ERRNO(free(p));
	KEEPS_ERRNO(free(q));
	KEEPS_ERRNO(free(r));
	KEEPS_ERRNO(free(a));
}

static void *in_a_fresh_thread(void *arg)
{
	void *p;

	(void)arg;
	KEEPS_ERRNO(p = malloc(77));
	KEEPS_ERRNO(free(p));
	for (size_t i = 0; i < N_SIZES; i++)
		one_size(sizes[i]);
	return NULL;
}

static void *free_it(void *p)
{
	KEEPS_ERRNO(free(p));
	return NULL;
}

static void free_from_another_thread(void)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		pthread_t thread;
		void *p = malloc(sizes[i]);

		CHECK(p);
		CHECK(pthread_create(&thread, NULL, free_it, p) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
}

/* Enough objects that slabs are made, emptied and given back on the way. */
static void many_objects(size_t n, size_t count)
{
	void **p = malloc(count * sizeof(*p));

	CHECK(p);
	for (size_t i = 0; i < count; i++) {
		KEEPS_ERRNO(p[i] = malloc(n));
		CHECK(p[i]);
	}
	for (size_t i = 0; i < count; i++)
		KEEPS_ERRNO(free(p[i]));
	free(p);
	KEEPS_ERRNO((void)malloc_trim(0));
}

static void posix_memalign_fails_in_silence(void)
{
	void *keep = &keep;
	void *p = keep;
	int result;

	errno = SENTINEL;
	result = posix_memalign(&p, opaque_size(24), 100);
	CHECK(result == EINVAL && p == keep && errno == SENTINEL);
	result = posix_memalign(&p, 64, opaque_size(SIZE_MAX - 100));
	CHECK(result == ENOMEM && p == keep);
	CHECK(!strict() || errno == SENTINEL);
}

int main(void)
{
	pthread_t thread;

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < N_SIZES; i++)
			one_size(sizes[i]);
	}
	CHECK(pthread_create(&thread, NULL, in_a_fresh_thread, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	free_from_another_thread();
	many_objects(48, 100000);
	many_objects(3000, 10000);
	many_objects(100000, 300);
	KEEPS_ERRNO(free(opaque(NULL)));
	posix_memalign_fails_in_silence();
	puts("errno: ok");
	return 0;
}
