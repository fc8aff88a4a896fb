/*
 * The stop cases: a thread is frozen at each instruction of each slow path, while others run the whole
 * family to completion. Layer: tools; listed in cases.c.
 */
#include <malloc.h>
#include <stdlib.h>

#include "stop.h"
#include "storm_table.h"

#define MIB ((size_t)1 << 20)

static void take_sizes(struct stop_victim *v)
{
	for (size_t i = 0; i < v->nr; i++)
		v->raw[i] = malloc(v->sizes[i]);
}

static void give_back(struct stop_victim *v)
{
	for (size_t i = 0; i < v->nr; i++)
		free(v->raw[i]);
}

/* All of one size, enough of them for a refill and a flush. */
static void want_equal(struct stop_victim *v, const size_t *sizes, size_t nr_sizes, size_t nr)
{
	size_t size = sizes[conform_random_below(&v->random, nr_sizes)];

	for (v->nr = 0; v->nr < nr; v->nr++)
		v->sizes[v->nr] = size;
}

static void want_small(struct stop_victim *v)
{
	static const size_t sizes[] = {16, 40, 100, 256, 700, 1500};

	want_equal(v, sizes, sizeof(sizes) / sizeof(sizes[0]), STOP_HELD);
}

/* Few to a slab, so that each few calls make one and give one back. */
static void want_medium(struct stop_victim *v)
{
	static const size_t sizes[] = {4096, 9000, 20000, 32768};

	want_equal(v, sizes, sizeof(sizes) / sizeof(sizes[0]), 24);
}

static void want_large(struct stop_victim *v)
{
	static const size_t sizes[] = {40000, 100000, MIB, 40 * MIB};

	for (v->nr = 0; v->nr < sizeof(sizes) / sizeof(sizes[0]); v->nr++)
		v->sizes[v->nr] = sizes[v->nr];
}

static void give_large(struct stop_victim *v)
{
	static const size_t new_sizes[] = {90000, 50000, 2 * MIB, 41 * MIB};

	for (size_t i = 0; i < v->nr; i++) {
		void *p = realloc(v->raw[i], new_sizes[i]);

		free(p ? p : v->raw[i]);
	}
}

/* What the crew made. */
static void want_others(struct stop_victim *v)
{
	struct conform_object o;

	for (int i = 0; i < 8; i++)
		crew_round();
	for (v->nr = 0; v->nr < STOP_HELD / 2;) {
		if (!table_take(&o, &v->random))
			continue;
		if (o.how == BY_NEW || o.how == BY_NEW_ALIGNED) {
			object_free(&o);
			crew_round();
		} else {
			v->objects[v->nr++] = o;
		}
	}
}

static void leave_much_free(struct stop_victim *v)
{
	static struct conform_object many[400];

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		object_make(&many[i], BY_MALLOC, table_size(&v->random));
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		object_free(&many[i]);
}

static void trim(struct stop_victim *v)
{
	(void)v;
	malloc_trim(0);
}

static void want_first(struct stop_victim *v)
{
	static const size_t sizes[] = {24, 3000, 50000};

	for (v->nr = 0; v->nr < sizeof(sizes) / sizeof(sizes[0]); v->nr++)
		v->sizes[v->nr] = sizes[v->nr];
}

const struct stop_scenario stop_refill = {want_small, take_sizes, give_back, false};
const struct stop_scenario stop_slab = {want_medium, take_sizes, give_back, false};
const struct stop_scenario stop_large = {want_large, take_sizes, give_large, false};
static const struct stop_scenario stop_remote = {want_others, NULL, give_back, false};
static const struct stop_scenario stop_trim = {leave_much_free, trim, NULL, false};
static const struct stop_scenario stop_first = {want_first, take_sizes, give_back, true};

static void run_first(const struct conform_options *options)
{
	stop_everywhere(options, &stop_first);
}

static void run_refill(const struct conform_options *options)
{
	stop_everywhere(options, &stop_refill);
}

static void run_slab(const struct conform_options *options)
{
	stop_everywhere(options, &stop_slab);
}

static void run_remote(const struct conform_options *options)
{
	stop_everywhere(options, &stop_remote);
}

static void run_large(const struct conform_options *options)
{
	stop_everywhere(options, &stop_large);
}

static void run_trim(const struct conform_options *options)
{
	stop_everywhere(options, &stop_trim);
}

const struct conform_case stop_cases[] = {
	{"stop.first", "frozen in a thread's first malloc", 20, run_first},
	{"stop.refill", "frozen in malloc and free of many small objects", 20, run_refill},
	{"stop.slab", "frozen where each few objects take new memory", 20, run_slab},
	{"stop.remote", "frozen in the free of what other threads made", 20, run_remote},
	{"stop.large", "frozen in malloc, realloc and free of large objects", 20, run_large},
	{"stop.trim", "frozen in malloc_trim", 20, run_trim},
	{"stop.exit", "frozen in what malloc does at a thread's end", 20, stop_at_exit},
	{"stop.fork", "frozen in the first calls of a forked child", 20, stop_after_fork},
	{"stop.limit", "frozen under a limit on address space", 20, stop_with_limit},
	{NULL, NULL, 0, NULL},
};
