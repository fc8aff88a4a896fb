/*
 * A thread of real-time priority that preempts one in the middle of malloc, on the one processor that
 * both may use: were it to spin for what that one holds, it would spin for ever. Layer: tools; listed in
 * edge.c.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "edge.h"
#include "storm_table.h"

#define PRIORITY 10
#define ROUNDS 4000UL
#define PAUSE_NS 100000L
/* Of processor time for a handful of calls; a spin would take all there is. */
#define MOST_NS 100000000L

static _Atomic bool over;

static void *hold(void *seed)
{
	struct conform_random r;

	conform_random_seed(&r, *(const uint64_t *)seed, 40);
	while (!atomic_load(&over))
		edge_use_the_heap(&r);
	return NULL;
}

static long processor_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void use_one_processor(void)
{
	cpu_set_t all, one;
	size_t cpu = 0;

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		conform_end(CONFORM_UNABLE, "no processors to choose:", (unsigned long)errno);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		conform_end(CONFORM_UNABLE, "no processor for itself:", (unsigned long)errno);
}

/* Awakes while the other is anywhere in its calls, and preempts it there. */
void edge_priority(const struct conform_options *options)
{
	struct sched_param high = {.sched_priority = PRIORITY};
	uint64_t seed = options->seed;
	struct conform_random r;
	pthread_t holder;
	long most = 0;

	conform_random_seed(&r, seed, 41);
	use_one_processor();
	holder = freeze_thread(hold, &seed);
	if (sched_setscheduler(0, SCHED_FIFO, &high) != 0)
		conform_end(CONFORM_UNABLE, "SCHED_FIFO is refused:", (unsigned long)errno);
	for (unsigned long i = 0; i < ROUNDS * options->effort; i++) {
		struct timespec pause = {0, 1 + (long)conform_random_below(&r, PAUSE_NS)};
		long start, taken;

		nanosleep(&pause, NULL);
		start = processor_time();
		edge_use_the_heap(&r);
		taken = processor_time() - start;
		most = taken > most ? taken : most;
		if (taken > MOST_NS)
			conform_end(CONFORM_FAIL,
				    "a few calls took microseconds of processor time:",
				    (unsigned long)taken / 1000);
	}
	atomic_store(&over, true);
	pthread_join(holder, NULL);
	table_drain();
	conform_note("longest in us", (unsigned long)most / 1000);
}
