// SPDX-License-Identifier: MIT
/*
 * ring/LENGTH: one thread allocates 64 bytes and puts them into a bounded ring of LENGTH pointers,
 * another takes them out and frees them: every free is a remote one. An operation is one object
 * from malloc to free, in wall time, so the slower of the two threads decides.
 *
 * A short ring keeps the two in step and the objects in the cache; with a long one the producer
 * runs ahead, and the memory in flight is of several slabs. control/ring/LENGTH passes pointers to
 * static memory instead: what the ring itself costs, and equal under every allocator.
 *
 * Single producer, single consumer. head counts what went in, tail what came out; each is written
 * by one side, which publishes it every STRIDE objects, so that the ring's own cache lines do not
 * hide the allocator. A run of the producer ends when its last object is out: the two then take the
 * same time, and rows of any length follow each other without a reset.
 */
#include "workload.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	OBJECT_SIZE = 64,
	STRIDE = 16, /* divides every length */
	LONGEST = 65536,
	LEAST_PER_RUN = 65536,
	FILLINGS_PER_RUN = 16, /* so that to fill and to drain the ring is a small part of it */
	CACHE_LINE = 64,
};

static struct {
	_Alignas(2 * CACHE_LINE) atomic_size_t head; /* written by the producer */
	_Alignas(2 * CACHE_LINE) atomic_size_t tail; /* written by the consumer */
	_Alignas(2 * CACHE_LINE) void *slot[LONGEST];
} ring;

static char control_object[OBJECT_SIZE];

struct side {
	size_t length;
	size_t per_run; /* objects */
	size_t at;	/* own counter, ahead of what is published by less than STRIDE */
	int consumer;
};

static void *start(const struct setting *at)
{
	struct side *s = bench_map(sizeof(*s));

	s->length = at->arg;
	s->per_run = s->length * FILLINGS_PER_RUN;
	if (s->per_run < LEAST_PER_RUN)
		s->per_run = LEAST_PER_RUN;
	s->consumer = at->thread == 1;
	/* Either counter: the ring is empty. The own one, as the other side may have begun. */
	s->at = atomic_load(s->consumer ? &ring.tail : &ring.head);
	return s;
}

/* The acquires pair with the other side's release in publish(): slots are full, or free again. */
static void wait_for_room(const struct side *s)
{
	unsigned int spins = 0;

	while (s->at + STRIDE - atomic_load_explicit(&ring.tail, memory_order_acquire) > s->length)
		pause_spinning(&spins);
}

static void wait_for_objects(const struct side *s)
{
	unsigned int spins = 0;

	while (atomic_load_explicit(&ring.head, memory_order_acquire) - s->at < STRIDE)
		pause_spinning(&spins);
}

static void wait_until_empty(const struct side *s)
{
	unsigned int spins = 0;

	while (atomic_load_explicit(&ring.tail, memory_order_acquire) != s->at)
		pause_spinning(&spins);
}

static void publish(struct side *s, atomic_size_t *counter)
{
	s->at += STRIDE;
	atomic_store_explicit(counter, s->at, memory_order_release);
}

static void **stride_of(const struct side *s)
{
	return &ring.slot[s->at % s->length];
}

static void produce(struct side *s)
{
	void **slot = stride_of(s);

	wait_for_room(s);
	for (size_t i = 0; i < STRIDE; i++) {
		slot[i] = malloc(OBJECT_SIZE);
		touch(slot[i]);
	}
	publish(s, &ring.head);
}

static void consume(struct side *s)
{
	void **slot = stride_of(s);

	wait_for_objects(s);
	for (size_t i = 0; i < STRIDE; i++)
		free(slot[i]);
	publish(s, &ring.tail);
}

static size_t run(void *state)
{
	struct side *s = state;

	for (size_t done = 0; done < s->per_run; done += STRIDE) {
		if (s->consumer)
			consume(s);
		else
			produce(s);
	}
	if (!s->consumer)
		wait_until_empty(s);
	return s->per_run;
}

static void produce_nothing(struct side *s)
{
	void **slot = stride_of(s);

	wait_for_room(s);
	for (size_t i = 0; i < STRIDE; i++)
		slot[i] = control_object;
	publish(s, &ring.head);
}

static void consume_nothing(struct side *s)
{
	void **slot = stride_of(s);

	wait_for_objects(s);
	for (size_t i = 0; i < STRIDE; i++)
		__asm__ volatile("" : : "r"(slot[i]) : "memory");
	publish(s, &ring.tail);
}

static size_t run_control(void *state)
{
	struct side *s = state;

	for (size_t done = 0; done < s->per_run; done += STRIDE) {
		if (s->consumer)
			consume_nothing(s);
		else
			produce_nothing(s);
	}
	if (!s->consumer)
		wait_until_empty(s);
	return s->per_run;
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct side));
}

static const size_t lengths[] = {256, LONGEST, 0};
static const size_t short_length[] = {256, 0};

const struct workload remote_frees = {
	.name = "ring",
	.threads = TWO,
	.args = lengths,
	.start = start,
	.run = run,
	.stop = stop,
};

const struct workload ring_control = {
	.name = "control/ring",
	.threads = TWO,
	.args = short_length,
	.start = start,
	.run = run_control,
	.stop = stop,
};
