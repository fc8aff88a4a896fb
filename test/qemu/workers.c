/*
 * Load: each worker has a table of objects, replaces one after the other, and hands some to the other workers, which
 * free them. Role: part of the program of the tests in QEMU; called by placed.c.
 */
#include "workers.h"
#include "objects.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 1500U
#define EXCHANGE 256U

struct worker {
	pthread_t thread;
	unsigned int index;
	unsigned int node;   /* that it runs on */
	unsigned int census; /* the last that it took part in */
	uint32_t random;
	struct {
		struct object *object;
		uint32_t size, seed;
		bool asked; /* of a node */
	} slots[SLOTS];
};

static struct worker workers[MAX_WORKERS];
static unsigned int nr_workers;
static int wanted_node;
/* Objects on their way from one worker to another; what is in them is all that is known of them. */
static _Atomic(struct object *) exchange[EXCHANGE];
static atomic_ulong operations, errors;
static atomic_bool stop;

/* The census: workers count themselves when the number has changed. */
static atomic_uint census_number, census_done;
static pthread_mutex_t census_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct census *census_to;

unsigned int pin_to_cpu(unsigned int index)
{
	unsigned int cpu, node;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(index % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || syscall(SYS_getcpu, &cpu, &node, NULL)) {
		perror("cannot pin a thread");
		abort();
	}
	return node;
}

static uint32_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 17;
	w->random ^= w->random << 5;
	return w->random;
}

/* Mostly small; one in eight up to 16 KiB, one in 512 up to 1 MiB, which is no slab's. */
static uint32_t random_size(struct worker *w)
{
	uint32_t r = next_random(w), limit = r % 512 == 0 ? 1U << 20
					     : r % 8 == 0 ? 1U << 14
							  : 1U << 10;

	/* Whole words: what isn't written need not be in memory. */
	return ((uint32_t)OBJECT_MIN + next_random(w) % limit) & ~7U;
}

static void expect(bool good, const char *what, const struct object *o)
{
	if (good)
		return;
	fprintf(stderr, "%s: %p\n", what, (const void *)o);
	errors++;
}

static void allocate(struct worker *w, unsigned int i)
{
	uint32_t size = random_size(w), seed = next_random(w);
	int node = next_random(w) % 4 == 0 ? wanted_node : NO_NODE;
	struct object *o = object_alloc(size, node);

	expect(o, "no memory", o);
	if (o)
		object_fill(o, size, seed);
	w->slots[i].object = o;
	w->slots[i].size = size;
	w->slots[i].seed = seed;
	w->slots[i].asked = node != NO_NODE;
}

/* Somebody else will free it; what it takes the place of is freed here. */
static void hand_over(struct worker *w, struct object *o)
{
	struct object *other = atomic_exchange(&exchange[next_random(w) % EXCHANGE], o);

	if (other)
		expect(object_intact(other, other->size, other->seed), "damaged on its way", other);
	free(other);
}

static void release(struct worker *w, unsigned int i)
{
	struct object *o = w->slots[i].object;

	if (!o)
		return;
	expect(object_intact(o, w->slots[i].size, w->slots[i].seed), "damaged", o);
	if (next_random(w) % 4 == 0)
		hand_over(w, o);
	else
		free(o);
	w->slots[i].object = NULL;
}

/* Grows or shrinks an object. */
static void resize(struct worker *w, unsigned int i)
{
	uint32_t size = random_size(w), seed = w->slots[i].seed;
	struct object *o = w->slots[i].object, *resized = o ? realloc(o, size) : NULL;

	if (!o)
		return;
	expect(resized, "no memory", o);
	if (!resized)
		return;
	expect(object_kept(resized, w->slots[i].size, seed, size), "lost by realloc", resized);
	object_fill(resized, size, seed);
	w->slots[i].object = resized;
	w->slots[i].size = size;
}

static void count_own(struct worker *w)
{
	struct placement unasked = {0};
	struct page_batch all = {.to = &census_to->all}, some = {.to = &unasked};

	pthread_mutex_lock(&census_mutex);
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!w->slots[i].object)
			continue;
		pages_count(&all, w->slots[i].object, w->slots[i].size);
		if (!w->slots[i].asked)
			pages_count(&some, w->slots[i].object, w->slots[i].size);
	}
	pages_end(&all);
	pages_end(&some);
	census_to->unasked += placement_total(&unasked);
	census_to->local += unasked.on[w->node];
	pthread_mutex_unlock(&census_mutex);
	census_done++;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->node = pin_to_cpu(w->index);
	while (!stop) {
		unsigned int i = next_random(w) % SLOTS;

		if (next_random(w) % 8 == 0)
			resize(w, i);
		release(w, i);
		allocate(w, i);
		operations++;
		/* Each page that moves interrupts all cpus, which takes emulated ones milliseconds if they are busy. */
		if (next_random(w) % 64 == 0)
			usleep(2000);
		if (w->census != census_number) {
			w->census = census_number;
			count_own(w);
		}
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		release(w, i);
	return NULL;
}

void workers_start(unsigned int n, int node)
{
	wanted_node = node;
	operations = errors = 0;
	stop = false;
	for (nr_workers = 0; nr_workers < n; nr_workers++) {
		struct worker *w = &workers[nr_workers];

		*w = (struct worker){
			.index = nr_workers, .census = census_number, .random = nr_workers + 1};
		if (pthread_create(&w->thread, NULL, work, w))
			abort();
	}
}

static void count_exchange(struct placement *to)
{
	struct page_batch batch = {.to = to};

	for (unsigned int i = 0; i < EXCHANGE; i++) {
		struct object *none = NULL, *o = atomic_exchange(&exchange[i], NULL);

		if (!o)
			continue;
		pages_count(&batch, o, o->size);
		/* Asked now, while nobody else can free it. */
		pages_end(&batch);
		if (!atomic_compare_exchange_strong(&exchange[i], &none, o))
			free(o);
	}
}

void workers_census(struct census *to)
{
	census_to = to;
	census_done = 0;
	census_number++;
	while (census_done < nr_workers)
		usleep(1000);
	count_exchange(&to->all);
}

unsigned long workers_operations(void)
{
	return operations;
}

unsigned long workers_errors(void)
{
	return errors;
}

void workers_stop(void)
{
	stop = true;
	for (unsigned int i = 0; i < nr_workers; i++)
		pthread_join(workers[i].thread, NULL);
	nr_workers = 0;
	for (unsigned int i = 0; i < EXCHANGE; i++) {
		struct object *o = atomic_exchange(&exchange[i], NULL);

		if (o)
			expect(object_intact(o, o->size, o->seed), "damaged on its way", o);
		free(o);
	}
}
