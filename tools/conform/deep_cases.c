/*
 * Two deep: the handler that interrupts a call is stepped itself, and interrupted at each of its own
 * instructions. Layer: tools. In the tables of cases.c.
 *
 * The outer call is interrupted at a sample of its instructions; the sample moves by one each time, so
 * that the pairs of instructions met grow with the effort.
 */
#include <stdlib.h>

#include "scene.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct deep {
	struct scene *outer, *inner;
	unsigned long phase, every;
	unsigned long nested;
};

static void handler_body(void *arg)
{
	struct deep *deep = arg;

	scene_hook(deep->outer, deep->nested);
}

/* The outer handler: the same as ever, but stepped. */
static void outer_hook(void *arg, unsigned long at)
{
	struct deep *deep = arg;
	struct step step = {
		.call = handler_body, .arg = deep, .hook = scene_hook, .hook_arg = deep->inner};

	if (at % deep->every != deep->phase % deep->every)
		return;
	deep->nested++;
	step_call(&step);
	deep->inner->instructions += step.instructions;
	deep->inner->hooks += step.hooks;
}

static void run_deep(const struct conform_options *options, void (*call)(void *scene),
		     const size_t *sizes, size_t nr_sizes, unsigned long every)
{
	struct deep deep = {scene_new(options, 0), scene_new(options, 1), 0, every, 0};
	static const enum scene_action actions[] = {ACT_SAME, ACT_SIZES, ACT_NEIGHBOUR, ACT_RESIZE,
						    ACT_FOREIGN};

	for (size_t i = 0; i < COUNT(actions) * nr_sizes || scene_has_time(deep.outer);
	     i++, deep.phase++) {
		size_t size = sizes[i % nr_sizes];
		struct step step = {
			.call = call, .arg = deep.outer, .hook = outer_hook, .hook_arg = &deep};

		scene_set(deep.outer, size, actions[i % COUNT(actions)]);
		scene_set(deep.inner, size, actions[i / COUNT(actions) % COUNT(actions)]);
		step_call(&step);
		deep.outer->instructions += step.instructions;
		scene_adopt(deep.outer, BY_MALLOC);
		scene_check(deep.inner);
		scene_free_held(deep.outer);
		scene_clear(deep.outer);
		scene_clear(deep.inner);
	}
	conform_note("handlers interrupted", deep.nested);
	scene_note(deep.inner);
}

static void pairs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < 4; i++) {
		void *p = malloc(scene->size);

		scene->raw[i] = malloc(scene->size);
		free(p);
	}
	scene->nr_held = 4;
}

static void deep_malloc_free(const struct conform_options *options)
{
	static const size_t sizes[] = {16, 200, 3000};

	run_deep(options, pairs, sizes, COUNT(sizes), 31);
}

static void many(void *arg)
{
	struct scene *scene = arg;

	scene->nr_held = 100;
	for (size_t i = 0; i < scene->nr_held; i++)
		scene->raw[i] = malloc(scene->size);
}

static void deep_refill(const struct conform_options *options)
{
	static const size_t sizes[] = {48, 1000};

	run_deep(options, many, sizes, COUNT(sizes), 499);
}

static void deep_large(const struct conform_options *options)
{
	static const size_t sizes[] = {100000, 2000000};

	run_deep(options, pairs, sizes, COUNT(sizes), 1009);
}

const struct conform_case deep_cases[] = {
	{"deep.malloc_free", "malloc and free, and the handler interrupted in turn", 20,
	 deep_malloc_free},
	{"deep.refill", "malloc that gets more memory, and the handler interrupted", 20,
	 deep_refill},
	{"deep.large", "large objects, and the handler interrupted", 20, deep_large},
	{NULL, NULL, 0, NULL},
};
