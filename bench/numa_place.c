// SPDX-License-Identifier: MIT
/*
 * Where objects come to lie, by threads that stand each on a node of its own. Called by numa.c.
 *
 * After each phase a line: `share PHASE LOCAL OBJECTS`, by uslub_node_of(), and on a machine with several nodes
 * `pages PHASE LOCAL OBJECTS`, by move_pages. The objects are those that the threads have allocated last.
 */
#include "numa.h"

#include <pthread.h>

#define ROUNDS 20

struct worker {
	pthread_t thread;
	const struct place *stands;
	void **slots; /* what it has allocated last */
	uint64_t random;
	size_t local, on_pages, in_memory;
	unsigned int index;
} __attribute__((aligned(128)));

static struct worker workers[MAX_PLACES];
static pthread_barrier_t barrier;
static size_t objects;

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

static void fill(struct worker *w)
{
	for (size_t i = 0; i < objects; i++)
		w->slots[i] = new_object(draw_size(MIX_ALL, &w->random));
}

static void drop(void **slots)
{
	for (size_t i = 0; i < objects; i++)
		free(slots[i]);
}

static void judge(struct worker *w)
{
	w->local = w->on_pages = w->in_memory = 0;
	for (size_t i = 0; i < objects; i++) {
		int on = is_real ? page_node(w->slots[i]) : -1;

		w->local += node_of(w->slots[i]) == w->stands->node;
		w->in_memory += on >= 0;
		w->on_pages += on == w->stands->node;
	}
}

static void tell(struct worker *w, const char *phase)
{
	size_t local = 0, on_pages = 0, in_memory = 0;

	judge(w);
	meet();
	if (w->index == 0) {
		for (unsigned int i = 0; i < nr_places; i++) {
			local += workers[i].local;
			on_pages += workers[i].on_pages;
			in_memory += workers[i].in_memory;
		}
		say("share %s %zu %zu\n", phase, local, objects * nr_places);
		if (is_real)
			say("pages %s %zu %zu\n", phase, on_pages, in_memory);
	}
	meet();
}

/* All that one has allocated another frees, and both allocate anew. */
static void cross(struct worker *w)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		meet();
		drop(workers[(w->index + 1) % nr_places].slots);
		meet();
		fill(w);
	}
}

/* Every second thread allocates, the next one frees, and then has objects of its own. */
static void produce_and_consume(struct worker *w)
{
	bool produces = w->index % 2 == 0, alone = produces && w->index + 1 == nr_places;

	drop(w->slots);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (produces)
			fill(w);
		meet();
		if (!produces || alone)
			drop(workers[alone ? w->index : w->index - 1].slots);
		meet();
	}
	fill(w);
}

/* A random one replaced; one of four is left to the next thread. */
static void replace(struct worker *w)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		for (size_t k = 0; k < objects; k++) {
			void **slot = &w->slots[random_below(&w->random, objects)];
			struct worker *next = &workers[(w->index + 1) % nr_places];

			if (next_random(&w->random) % 4 == 0)
				slot = &next->slots[random_below(&w->random, objects)];
			free(__atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL));
			slot = &w->slots[random_below(&w->random, objects)];
			free(__atomic_exchange_n(slot, new_object(draw_size(MIX_ALL, &w->random)),
						 __ATOMIC_ACQ_REL));
		}
	}
	meet();
	for (size_t i = 0; i < objects; i++) {
		if (!w->slots[i])
			w->slots[i] = new_object(draw_size(MIX_ALL, &w->random));
	}
}

/* From one processor to that of another node, with all that the thread has. */
static void migrate(struct worker *w)
{
	drop(w->slots);
	w->stands = &places[(w->index + 1) % nr_places];
	stand_at(w->stands);
	meet();
	fill(w);
}

static void *work(void *argument)
{
	struct worker *w = argument;

	stand_at(w->stands);
	fill(w);
	tell(w, "own");
	cross(w);
	tell(w, "crossed");
	produce_and_consume(w);
	tell(w, "consumed");
	replace(w);
	tell(w, "replaced");
	migrate(w);
	tell(w, "migrated");
	drop(w->slots);
	return NULL;
}

void numa_place(size_t wanted)
{
	objects = wanted;
	pthread_barrier_init(&barrier, NULL, nr_places);
	for (unsigned int i = 0; i < nr_places; i++) {
		struct worker *w = &workers[i];

		w->index = i;
		w->stands = &places[i];
		w->random = i * 7919 + 17;
		w->slots = bench_map(objects * sizeof(void *));
	}
	for (unsigned int i = 0; i < nr_places; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			die("no thread\n");
	}
	for (unsigned int i = 0; i < nr_places; i++)
		pthread_join(workers[i].thread, NULL);
}
