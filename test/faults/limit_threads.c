/*
 * Threads that fill memory together until there is NULL, each freeing what its neighbour made. When they
 * are gone, their memory is there again.
 *   limit_threads as|data MIB
 */
#include <pthread.h>

#include "check.h"
#include "limit.h"

#define THREADS 6
#define ROUNDS 8
#define STACK ((size_t)256 << 10)
#define LOW ((size_t)16 << 10)

static const struct size_mix mixes[] = {
	{"tiny", 16, 128},
	{"medium", 100, 20000},
	{"large", 30000, (size_t)1 << 20},
	{"all", 16, (size_t)1 << 20},
};

struct worker {
	pthread_t thread;
	unsigned int nr;
	struct filling mine, neighbours;
	bool saw_null;
};

static struct worker workers[THREADS];
static pthread_barrier_t barrier;

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		const struct size_mix *mix = &mixes[(w->nr + round) % 4];

		w->mine.random = w->nr * 100 + round;
		/* Some come to the end of memory by themselves, some find it taken. */
		if (round % 2)
			filling_fill(&w->mine, mix);
		else
			w->saw_null |= !filling_add(&w->mine, mix, LOW);
		filling_check(&w->mine);
		pthread_barrier_wait(&barrier);
		w->neighbours = workers[(w->nr + 1) % THREADS].mine;
		pthread_barrier_wait(&barrier);
		w->mine = (struct filling){0};
		filling_free_half(&w->neighbours);
		filling_check(&w->neighbours);
		filling_free(&w->neighbours);
	}
	return NULL;
}

static double fill_alone(size_t limit)
{
	struct filling f = {.random = 1};
	double share;

	filling_fill(&f, &(struct size_mix){"", 64, 4096});
	share = (double)f.bytes / (double)limit;
	filling_free(&f);
	return share;
}

/* How many records of threads are made depends on who ends before whom begins: some turns find all that there will be. */
#define TURNS 5

static void run_threads(void)
{
	pthread_attr_t attr;

	CHECK(!pthread_barrier_init(&barrier, NULL, THREADS));
	CHECK(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, STACK));
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.nr = i};
		CHECK(!pthread_create(&workers[i].thread, &attr, work, &workers[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(workers[i].thread, NULL));
	pthread_barrier_destroy(&barrier);
	pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
	double before, after;
	size_t limit;

	CHECK_THAT(argc == 3, "usage: limit_threads as|data MIB");
	limit = limit_start(argv, argv[1], argv[2]);
	for (unsigned int i = 0; i < TURNS; i++)
		run_threads();
	before = fill_alone(limit);
	for (unsigned int i = 0; i < TURNS; i++)
		run_threads();
	after = fill_alone(limit);
	printf("alone after threads: %.3f of the limit, after more of them: %.3f\n", before, after);
	CHECK_THAT(before > 0.5 && after > 0.95 * before,
		   "memory of ended threads is missing: %.3f of the limit, then %.3f", before,
		   after);
	return 0;
}
