/*
 * Producers allocate, consumers check and free: every free comes from another thread. At most the
 * rings are full of live objects, so memory must stay bounded however long it runs.
 *   --mix small | all
 */
#include <pthread.h>
#include <sched.h>

#include "stress.h"

enum { ROOM = 1024, MAX_PAIRS = 16 };

/* One producer and one consumer. */
struct ring {
	_Alignas(64) _Atomic size_t head; /* producer */
	_Alignas(64) _Atomic size_t tail; /* consumer */
	struct record slots[ROOM];
	unsigned int number;
};

static struct stress_options options = {.seconds = 4, .threads = 4};
static struct ring rings[MAX_PAIRS];
static enum object_mix mix;
static _Atomic bool done;
static _Atomic unsigned long total;

static void *produce(void *arg)
{
	struct ring *ring = arg;
	struct random r;

	random_seed(&r, options.seed, ring->number);
	while (stress_running()) {
		size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

		if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == ROOM) {
			sched_yield();
			continue;
		}
		object_make(&ring->slots[head % ROOM], &r, mix);
		atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	}
	return NULL;
}

static bool consume_one(struct ring *ring, struct random *r)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
		return false;
	object_free(&ring->slots[tail % ROOM], r);
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

static void *consume(void *arg)
{
	struct ring *ring = arg;
	struct random r;
	unsigned long freed = 0;

	random_seed(&r, options.seed, ring->number + MAX_PAIRS);
	for (;;) {
		bool last = atomic_load(&done);

		if (consume_one(ring, &r))
			freed++;
		else if (last)
			break;
		else
			sched_yield();
	}
	atomic_fetch_add(&total, freed);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t producers[MAX_PAIRS], consumers[MAX_PAIRS];
	unsigned int pairs;
	size_t most = 0, limit;

	stress_parse(&options, argc, argv);
	pairs = options.threads / 2;
	CHECK(pairs >= 1 && pairs <= MAX_PAIRS);
	mix = options.mix && strcmp(options.mix, "small") == 0 ? MIX_SMALL : MIX_ALL;
	/* Twice what full rings hold on average: 2 KiB, or 35 KiB with the large ones, and the base. */
	limit = 64 * MIB + pairs * ROOM * 2 * (mix == MIX_SMALL ? 2 * KIB : 35 * KIB);
	for (unsigned int i = 0; i < pairs; i++) {
		rings[i].number = i;
		CHECK(pthread_create(&producers[i], NULL, produce, &rings[i]) == 0);
		CHECK(pthread_create(&consumers[i], NULL, consume, &rings[i]) == 0);
	}
	while (stress_running_now()) {
		size_t now = rss_bytes();

		most = now > most ? now : most;
		sleep_ms(2);
	}
	for (unsigned int i = 0; i < pairs; i++)
		CHECK(pthread_join(producers[i], NULL) == 0);
	atomic_store(&done, true);
	for (unsigned int i = 0; i < pairs; i++)
		CHECK(pthread_join(consumers[i], NULL) == 0);
	printf("%lu objects through %u rings, at most %zu MiB resident\n", total, pairs,
	       most / MIB);
	stress_check_all_freed();
	CHECK(total > 1000);
	CHECK_THAT(most < limit, "%zu MiB resident, the rings hold at most %zu", most / MIB,
		   limit / MIB);
	return 0;
}
