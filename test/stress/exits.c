/*
 * malloc and free where threads and the process end: destructors of thread-specific data, of C++
 * thread_local objects, atexit handlers, destructors of the program. --count threads end so, and
 * nothing may stay behind of them.
 */
#include <pthread.h>

#include "stress.h"

enum { KEYS = 4, ROUNDS = 3 };

static struct stress_options options = {.seconds = 0, .threads = 1, .count = 20000};
static pthread_key_t keys[KEYS];
static _Atomic unsigned long ran_keys, ran_locals, ran_exits;

/* What g++ makes of `thread_local` with a destructor; of the C++ ABI, in every libc. */
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;

/* Passed from destructor to destructor; the last one drops it. */
struct luggage {
	struct record object;
	int rounds;
	int key;
};

static struct luggage *pack(int key, int rounds)
{
	struct luggage *luggage = malloc(sizeof(*luggage));
	struct random r;

	CHECK(luggage);
	random_seed(&r, options.seed, (uint64_t)(uintptr_t)luggage);
	object_make(&luggage->object, &r, MIX_SMALL);
	luggage->rounds = rounds;
	luggage->key = key;
	return luggage;
}

static void unpack(struct luggage *luggage)
{
	struct random r;

	random_seed(&r, options.seed, (uint64_t)(uintptr_t)luggage + 1);
	object_resize(&luggage->object, &r, MIX_SMALL);
	object_free(&luggage->object, &r);
	free(luggage);
}

/* Sets itself again, so that it runs after any other library's destructors too. */
static void key_ends(void *value)
{
	struct luggage *luggage = value;
	int key = luggage->key, rounds = luggage->rounds;

	atomic_fetch_add(&ran_keys, 1);
	unpack(luggage);
	if (rounds > 0)
		CHECK(pthread_setspecific(keys[key], pack(key, rounds - 1)) == 0);
}

static void local_ends(void *value)
{
	atomic_fetch_add(&ran_locals, 1);
	unpack(value);
}

static void *short_life(void *arg)
{
	struct record left;
	struct random r;

	random_seed(&r, options.seed, (uint64_t)(uintptr_t)arg);
	for (int key = 0; key < KEYS; key++)
		CHECK(pthread_setspecific(keys[key], pack(key, ROUNDS)) == 0);
	CHECK(__cxa_thread_atexit_impl(local_ends, pack(0, 0), &__dso_handle) == 0);
	object_make(&left, &r, MIX_SMALL);
	object_free(&left, &r);
	return NULL;
}

/* Has not allocated before its destructors run. */
static void *lazy_life(void *prepared)
{
	CHECK(pthread_setspecific(keys[0], prepared) == 0);
	return NULL;
}

static void run(void *(*life)(void *), void *arg)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, life, arg) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void at_exit(void)
{
	atomic_fetch_add(&ran_exits, 1);
	unpack(pack(0, 0));
	/* A handler may add another. */
	if (atomic_load(&ran_exits) < 5)
		CHECK(atexit(at_exit) == 0);
}

__attribute__((destructor)) static void at_the_very_end(void)
{
	if (options.count == 0)
		return;
	for (int i = 0; i < 100; i++)
		unpack(pack(0, 0));
	CHECK(atomic_load(&ran_exits) >= 5);
	write_all(STDOUT_FILENO, "destructors: ok\n", 16);
}

static void check_counts(unsigned long threads)
{
	unsigned long each = KEYS * (ROUNDS + 1);
	unsigned long lazy = threads / 2;

	printf("%lu threads: %lu key destructors, %lu of thread_local\n", threads, ran_keys,
	       ran_locals);
	CHECK(ran_locals == threads - lazy);
	CHECK(ran_keys == (threads - lazy) * each + lazy * (ROUNDS + 1));
}

int main(int argc, char **argv)
{
	size_t early = 0, late;

	stress_parse(&options, argc, argv);
	CHECK(atexit(at_exit) == 0);
	for (int key = 0; key < KEYS; key++)
		CHECK(pthread_key_create(&keys[key], key_ends) == 0);
	for (unsigned long i = 0; i < options.count; i++) {
		if (i % 2)
			run(lazy_life, pack(0, ROUNDS));
		else
			run(short_life, (void *)i);
		if (i == options.count / 5)
			early = footprint_bytes();
	}
	late = footprint_bytes();
	check_counts(options.count);
	stress_check_all_freed();
	printf("%zu KiB resident after a fifth, %zu at the end\n", early / KIB, late / KIB);
	CHECK_THAT(late <= early + early / 10 + MIB, "it grows");
	return 0;
}
