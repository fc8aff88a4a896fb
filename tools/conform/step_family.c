/*
 * Stepped: the family's calls where they have what they need at hand. Layer: tools. In the table of
 * step_cases.c.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "step_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Pairs in one stepped call: the first may be slow, the others take the fast path. */
#define PAIRS 6u

static const size_t small_sizes[] = {1, 16, 40, 200, 1000, 3000, 8000, 30000};

/* The control: what is said of the others must not be true of this. */
void step_no_handler(const struct conform_options *options)
{
	enum { LIVE = 300 };
	static struct conform_object objects[LIVE];
	struct conform_random r;
	unsigned long made = 0;

	conform_random_seed(&r, options->seed, 0);
	for (; made < 200000ul * options->effort; made++) {
		struct conform_object *o = &objects[conform_random_below(&r, LIVE)];
		size_t size = small_sizes[conform_random_below(&r, COUNT(small_sizes))];

		size += conform_random_below(&r, size);
		if (!o->p)
			object_make(o, (enum conform_how)(made % NR_CONFORM_HOW), size);
		else if (made % 3 == 0)
			object_resize(o, size);
		else
			object_free(o);
	}
	for (size_t i = 0; i < LIVE; i++) {
		if (objects[i].p)
			object_free(&objects[i]);
	}
	conform_note("calls", made);
}

static void pairs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < PAIRS; i++) {
		void *p = malloc(scene->size);

		scene->raw[i] = malloc(scene->size);
		free(p);
	}
	scene->nr_held = PAIRS;
}

static void adopt_and_free(struct scene *scene)
{
	scene_adopt(scene, BY_MALLOC);
	scene_free_held(scene);
}

void step_malloc_free(const struct conform_options *options)
{
	static const struct scene_call call = {.call = pairs, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, small_sizes, COUNT(small_sizes));
}

static void callocs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < PAIRS; i++)
		scene->raw[i] = calloc(1, scene->size);
	scene->nr_held = PAIRS;
}

static void adopt_zeroes(struct scene *scene)
{
	scene_adopt(scene, BY_CALLOC);
	scene_free_held(scene);
}

void step_calloc(const struct conform_options *options)
{
	static const struct scene_call call = {.call = callocs, .after = adopt_zeroes};

	scene_run(scene_new(options, 0), &call, small_sizes, COUNT(small_sizes));
}

/* Up in steps and down again. */
static void reallocs(void *arg)
{
	static const size_t factors[] = {1, 2, 3, 1, 5, 1};
	struct scene *scene = arg;
	void *p = NULL;

	for (size_t i = 0; i < COUNT(factors); i++)
		p = scene_realloc(p, scene->size, scene->size * factors[i]);
	scene->raw[0] = p;
	scene->nr_held = 1;
}

void step_realloc(const struct conform_options *options)
{
	static const struct scene_call call = {.call = reallocs, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, small_sizes, COUNT(small_sizes));
}

static void aligned(void *arg)
{
	struct scene *scene = arg;

	scene->raw[0] = aligned_alloc(64, scene->size);
	if (posix_memalign(&scene->raw[1], 4096, scene->size) != 0)
		scene->raw[1] = NULL;
	scene->raw[2] = memalign(256, scene->size);
	scene->nr_held = 3;
}

void step_aligned(const struct conform_options *options)
{
	static const struct scene_call call = {.call = aligned, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, small_sizes, COUNT(small_sizes));
}

static void *(*operator_new)(size_t size);
static void (*operator_delete)(void *p);

static void operators(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < PAIRS; i++) {
		void *p = operator_new(scene->size);

		scene->raw[i] = operator_new(scene->size);
		operator_delete(p);
	}
	scene->nr_held = PAIRS;
}

void step_operators(const struct conform_options *options)
{
	static const struct scene_call call = {.call = operators, .after = adopt_and_free};
	void *new_symbol = conform_require("_Znwm"), *delete_symbol = conform_require("_ZdlPv");

	memcpy(&operator_new, &new_symbol, sizeof(new_symbol));
	memcpy(&operator_delete, &delete_symbol, sizeof(delete_symbol));
	scene_run(scene_new(options, 0), &call, small_sizes, COUNT(small_sizes));
}

static void hold_some(struct scene *scene)
{
	scene_hold(scene, PAIRS);
}

static void usable_sizes(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < PAIRS; i++) {
		if (malloc_usable_size(scene->raw[i]) < scene->size)
			conform_end(CONFORM_CORRUPT, "malloc_usable_size() is too small for",
				    scene->size);
	}
}

void step_usable_size(const struct conform_options *options)
{
	static const struct scene_call call = {
		.before = hold_some, .call = usable_sizes, .after = scene_free_held};

	scene_run(scene_new(options, 0), &call, small_sizes, COUNT(small_sizes));
}
