/*
 * Stepped: calls that have to get more memory, or put it away. Layer: tools. In the table of
 * step_cases.c.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "step_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB ((size_t)1 << 20)

static const size_t sizes[] = {16, 96, 640, 2048, 9000};
static const size_t large_sizes[] = {40000, 300000, MIB, 40 * MIB};

/* Enough to use up what a thread has at hand; another number each time. */
static size_t many(struct scene *scene)
{
	return scene->size <= 1000 ? 40 + conform_random_below(&scene->random, 80)
				   : 10 + conform_random_below(&scene->random, 30);
}

static void choose_number(struct scene *scene)
{
	scene->nr_held = many(scene);
}

static void mallocs(void *arg)
{
	struct scene *scene = arg;

	for (size_t i = 0; i < scene->nr_held; i++)
		scene->raw[i] = malloc(scene->size);
}

static void adopt_and_free(struct scene *scene)
{
	scene_adopt(scene, BY_MALLOC);
	scene_free_held(scene);
}

void step_refill(const struct conform_options *options)
{
	static const struct scene_call call = {
		.before = choose_number, .call = mallocs, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, sizes, COUNT(sizes));
}

static void shuffle(struct scene *scene)
{
	for (size_t i = scene->nr_held; i > 1; i--) {
		size_t other = conform_random_below(&scene->random, i);
		struct conform_object o = scene->held[i - 1];

		scene->held[i - 1] = scene->held[other];
		scene->held[other] = o;
	}
}

/* Every other round in order, which empties one slab after the other. */
static void hold_to_free(struct scene *scene)
{
	scene_hold(scene, many(scene));
	if (conform_random_below(&scene->random, 2))
		shuffle(scene);
	scene_disown(scene);
}

static void frees(void *arg)
{
	struct scene *scene = arg;

	for (size_t i = 0; i < scene->nr_held; i++)
		free(scene->raw[i]);
}

static void forget_held(struct scene *scene)
{
	scene->nr_held = 0;
}

void step_flush(const struct conform_options *options)
{
	static const struct scene_call call = {
		.before = hold_to_free, .call = frees, .after = forget_held};

	scene_run(scene_new(options, 0), &call, sizes, COUNT(sizes));
}

/* The other thread frees every third of this thread's objects, and makes as many of its own instead. */
static void *trade(void *arg)
{
	struct scene *scene = arg;

	for (size_t i = 0; i < scene->nr_held; i += 3) {
		object_free(&scene->held[i]);
		object_make(&scene->held[i], BY_MALLOC, scene->size);
	}
	return NULL;
}

static void trade_with_thread(struct scene *scene)
{
	pthread_t thread;

	scene_hold(scene, many(scene));
	if (pthread_create(&thread, NULL, trade, scene) != 0)
		conform_end(CONFORM_UNABLE, "a thread can't be started:", 0);
	pthread_join(thread, NULL);
	scene_disown(scene);
}

/* Its objects go home, and what it freed comes back. */
static void remote(void *arg)
{
	struct scene *scene = arg;
	size_t n = scene->nr_held;

	for (size_t i = 0; i < n; i += 3)
		free(scene->raw[i]);
	for (size_t i = 0; i < n; i += 3)
		scene->raw[i] = malloc(scene->size);
	for (size_t i = 1; i < n; i += 3) {
		free(scene->raw[i]);
		scene->raw[i] = malloc(scene->size);
	}
}

void step_remote(const struct conform_options *options)
{
	static const struct scene_call call = {
		.before = trade_with_thread, .call = remote, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, sizes, COUNT(sizes));
}

static void large(void *arg)
{
	struct scene *scene = arg;
	void *p = malloc(scene->size);

	scene->raw[0] = malloc(scene->size);
	free(p);
	scene->nr_held = 1;
}

void step_large(const struct conform_options *options)
{
	static const struct scene_call call = {.call = large, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, large_sizes, COUNT(large_sizes));
}

/* By a quarter may be in place; by three times moves; and down again. */
static void large_reallocs(void *arg)
{
	struct scene *scene = arg;
	const size_t half = scene->size / 2;
	void *p = scene_realloc(NULL, half, scene->size);

	p = scene_realloc(p, half, scene->size + scene->size / 4);
	p = scene_realloc(p, half, scene->size * 3);
	p = scene_realloc(p, half, half);
	scene->raw[0] = scene_realloc(p, half, scene->size);
	scene->nr_held = 1;
}

void step_large_realloc(const struct conform_options *options)
{
	static const struct scene_call call = {.call = large_reallocs, .after = adopt_and_free};

	scene_run(scene_new(options, 0), &call, large_sizes, COUNT(large_sizes));
}

/* Much is freed, and the time after which allocators give it back goes by. */
static void free_much_and_wait(struct scene *scene)
{
	struct timespec pause = {.tv_nsec = 300000000};

	scene_hold(scene, 40);
	scene_free_held(scene);
	while (nanosleep(&pause, &pause) != 0)
		;
}

/* Calls that are slow somewhere, and look at the clock there. */
static void slow_pairs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < 3; i++) {
		void *big = malloc(scene->size), *small = malloc(2000);

		free(big);
		free(small);
	}
}

void step_purge(const struct conform_options *options)
{
	static const struct scene_call call = {
		.before = free_much_and_wait, .call = slow_pairs, .is_long = true};
	static const size_t purged[] = {MIB};

	scene_run(scene_new(options, 0), &call, purged, COUNT(purged));
}
