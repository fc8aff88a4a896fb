/*
 * Threads whose large objects move as they grow, beside threads that map and unmap memory of their own:
 * each place that pages leave may be somebody else's at once, and no call that failed may touch it.
 *   moves as|data MIB
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "check.h"
#include "limit.h"
#include "objects.h"
#include "proc.h"

#define GROWERS 3
#define STRANGERS 2
#define WALLS 6
#define RUN_MS 1500

/* All threads are there before one takes memory: pthread_create() may fail for want of it. */
static pthread_barrier_t all_there;
static _Atomic bool stop;
static _Atomic unsigned long moves, failures;

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void grow(uint64_t *random)
{
	struct object o = {0}, walls[WALLS] = {0};
	size_t size = 40 * KIB + next_random(random) % MIB;
	void *first = malloc(size);

	if (first)
		object_stamp(&o, first, size);
	for (int i = 0; o.p && i < WALLS && !stop; i++) {
		void *p;

		size = size * 2 + next_random(random) % (300 * KIB);
		walls[i].p = malloc(KIB << next_random(random) % 10);
		p = realloc(o.p, size);
		if (!p) {
			atomic_fetch_add(&failures, 1);
			continue;
		}
		atomic_fetch_add(&moves, p != o.p);
		object_check_moved(&o, p, o.size);
		object_stamp(&o, p, size);
	}
	if (o.p)
		object_check(&o);
	free(o.p);
	for (int i = 0; i < WALLS; i++)
		free(walls[i].p);
}

static void *grower(void *arg)
{
	uint64_t random = (uintptr_t)arg;

	pthread_barrier_wait(&all_there);
	while (!stop)
		grow(&random);
	return NULL;
}

static void *stranger(void *arg)
{
	uint64_t random = (uintptr_t)arg;

	pthread_barrier_wait(&all_there);
	while (!stop) {
		size_t size = ((size_t)1 << (16 + next_random(&random) % 9));
		struct object o;
		void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			continue;
		object_stamp(&o, p, size);
		sched_yield();
		object_check(&o);
		CHECK(!munmap(p, size));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[GROWERS + STRANGERS];
	pthread_attr_t attr;

	CHECK_THAT(argc == 3, "usage: moves as|data MIB");
	limit_start(argv, argv[1], argv[2]);
	CHECK(!pthread_barrier_init(&all_there, NULL, GROWERS + STRANGERS));
	CHECK(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, 256 * KIB));
	for (uintptr_t i = 0; i < GROWERS + STRANGERS; i++)
		CHECK(!pthread_create(&threads[i], &attr, i < GROWERS ? grower : stranger,
				      (void *)(i + 1)));
	sleep_ms(RUN_MS);
	stop = true;
	for (size_t i = 0; i < GROWERS + STRANGERS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	printf("%lu moves, %lu NULLs\n", moves, failures);
	CHECK_THAT(moves > 0, "nothing moved");
	return 0;
}
