// SPDX-License-Identifier: MIT
/*
 * Objects that another thread frees, handed over in batches. An operation is one object's whole way.
 *
 *   handover/BATCH x2     one thread allocates 64 bytes BATCH times and hands them over, another frees
 *                         them: requests read by one thread, served by the next
 *   exchange/equal/SIZE   every thread allocates for its neighbour and frees what the other neighbour
 *                         allocated, 64 objects at a time
 *   exchange/mixed/MOST   the same with sizes from 16 to MOST bytes
 *
 * A channel is a ring of batches with one producer and one consumer. Each counts its own batches and
 * publishes them by a release that pairs with the other's acquire: slots are full, or free again.
 */
#include "workload.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	MOST_BATCH = 10000,
	EXCHANGED = 64,
	SLOTS = 4,
	MOST_THREADS = 64,
	OBJECT_SIZE = 64,
	OBJECTS_PER_RUN = 65536,
	SIZES = 4096, /* a power of two */
	LINE = 128,
};

struct channel {
	_Alignas(LINE) atomic_size_t posted; /* batches; written by the producer */
	_Alignas(LINE) atomic_size_t taken;  /* written by the consumer */
	_Alignas(LINE) void *object[SLOTS][MOST_BATCH];
};

static struct channel channels[MOST_THREADS];

struct side {
	struct channel *out; /* NULL: consumes alone */
	struct channel *in;  /* NULL: produces alone */
	size_t batch;
	size_t posted; /* own counters */
	size_t taken;
	size_t next_size;
	size_t size[SIZES];
};

static struct side *start(const struct setting *at, size_t batch, size_t least, size_t most)
{
	struct side *s = bench_map(sizeof(*s));
	uint64_t random = at->thread + 1;

	s->batch = batch;
	for (size_t i = 0; i < SIZES; i++)
		s->size[i] = least < most ? random_size(&random, most) : least;
	return s;
}

/* The channels are empty, and stay so until all threads have started. */
static void connect_to(struct side *s, struct channel *out, struct channel *in)
{
	s->out = out;
	s->in = in;
	s->posted = out ? atomic_load(&out->posted) : 0;
	s->taken = in ? atomic_load(&in->taken) : 0;
}

static void *start_handover(const struct setting *at)
{
	struct side *s = start(at, at->arg, OBJECT_SIZE, OBJECT_SIZE);

	connect_to(s, at->thread ? NULL : channels, at->thread ? channels : NULL);
	return s;
}

static void *start_exchange(const struct setting *at, size_t least)
{
	struct side *s;

	if (at->threads > MOST_THREADS)
		return NULL;
	s = start(at, EXCHANGED, least, at->arg);
	connect_to(s, &channels[at->thread], &channels[(at->thread + 1) % at->threads]);
	return s;
}

static void *start_equal(const struct setting *at)
{
	return start_exchange(at, at->arg);
}

static void *start_mixed(const struct setting *at)
{
	return start_exchange(at, 16);
}

static bool try_post(struct side *s)
{
	void **slot = s->out->object[s->posted % SLOTS];

	if (s->posted - atomic_load_explicit(&s->out->taken, memory_order_acquire) == SLOTS)
		return false;
	for (size_t i = 0; i < s->batch; i++) {
		slot[i] = malloc(s->size[s->next_size++ % SIZES]);
		touch(slot[i]);
	}
	atomic_store_explicit(&s->out->posted, ++s->posted, memory_order_release);
	return true;
}

static bool try_take(struct side *s)
{
	void **slot = s->in->object[s->taken % SLOTS];

	if (atomic_load_explicit(&s->in->posted, memory_order_acquire) == s->taken)
		return false;
	for (size_t i = 0; i < s->batch; i++)
		free(slot[i]);
	atomic_store_explicit(&s->in->taken, ++s->taken, memory_order_release);
	return true;
}

/* Ends when the last batch is out: no run begins with the rest of another. */
static bool is_drained(const struct side *s)
{
	return atomic_load_explicit(&s->out->taken, memory_order_acquire) == s->posted;
}

static size_t run(void *state)
{
	struct side *s = state;
	size_t batches = (OBJECTS_PER_RUN + s->batch - 1) / s->batch;
	size_t to_post = s->out ? batches : 0, to_take = s->in ? batches : 0;
	unsigned int spins = 0;

	while (to_post || to_take || (s->out && !is_drained(s))) {
		bool moved = false;

		if (to_post && try_post(s)) {
			to_post--;
			moved = true;
		}
		if (to_take && try_take(s)) {
			to_take--;
			moved = true;
		}
		if (!moved)
			pause_spinning(&spins);
	}
	return batches * s->batch;
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct side));
}

static const size_t batches[] = {100, 1000, MOST_BATCH, 0};
static const size_t sizes[] = {64, 1024, 16384, 0};
static const size_t most_sizes[] = {1024, 32768, 0};

const struct workload handover = {
	.name = "handover",
	.threads = TWO,
	.args = batches,
	.start = start_handover,
	.run = run,
	.stop = stop,
};

const struct workload exchange_equal = {
	.name = "exchange/equal",
	.threads = ALL_CORES,
	.args = sizes,
	.start = start_equal,
	.run = run,
	.stop = stop,
};

const struct workload exchange_mixed = {
	.name = "exchange/mixed",
	.threads = ALL_CORES,
	.args = most_sizes,
	.start = start_mixed,
	.run = run,
	.stop = stop,
};
