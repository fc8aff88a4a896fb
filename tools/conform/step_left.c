/*
 * What interruptions leave behind, and what stack the calls need. Layer: tools. In the table of
 * step_cases.c.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "freeze.h"
#include "step_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB ((size_t)1024)
#define INTERRUPTIONS 250000ul
/* More than this many bytes left by them are a leak, and so they are by a million: effort 4. */
#define LEFT_BOUND (512 * KIB)
#define PAINTED (16 * KIB)
#define PAINT 0xa5
/* Linux's old constant, for which programs size their alternate stacks. */
#define OLD_SIGSTKSZ ((size_t)8192)

static void pairs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < 8; i++) {
		void *p = malloc(scene->size);

		scene->raw[i] = malloc(scene->size);
		free(p);
	}
	for (unsigned int i = 0; i < 8; i++)
		free(scene->raw[i]);
}

/* One call with each action that keeps to the call's own size. */
static void once(struct scene *scene, size_t size)
{
	static const struct scene_call call = {.call = pairs};
	static const enum scene_action actions[] = {ACT_SAME, ACT_NEIGHBOUR, ACT_ZERO, ACT_PAIR};

	for (size_t i = 0; i < COUNT(actions); i++)
		scene_step(scene, &call, size, actions[i]);
}

void step_left_behind(const struct conform_options *options)
{
	struct scene *scene = scene_new(options, 0);
	unsigned long wanted = INTERRUPTIONS * options->effort;
	size_t before;

	while (scene->hooks < 4000) {
		once(scene, 64);
		once(scene, 1000);
	}
	before = conform_resident();
	/* It need not go on for one that leaks much. */
	while (scene->hooks < wanted && conform_resident() < before + 16 * LEFT_BOUND) {
		once(scene, 64);
		once(scene, 1000);
	}
	scene_note(scene);
	freeze_check_growth(before, LEFT_BOUND);
}

/* The stack below the caller's frame, beyond what a leaf function may use without saying so. */
static unsigned char *below(void)
{
	return (unsigned char *)__builtin_frame_address(0) - 256;
}

static __attribute__((noinline)) void paint(void)
{
	unsigned char *from = below() - PAINTED;

	for (size_t i = 0; i < PAINTED; i++)
		((volatile unsigned char *)from)[i] = PAINT;
}

static __attribute__((noinline)) size_t painted_over(const unsigned char *top)
{
	const volatile unsigned char *from = below() - PAINTED + 512;

	while (from < top && *from == PAINT)
		from++;
	return (size_t)(top - (const unsigned char *)(uintptr_t)from);
}

static size_t deepest_malloc, deepest_free;

static void note_depth(size_t *deepest, size_t depth)
{
	if (depth > *deepest)
		*deepest = depth;
}

static __attribute__((noinline)) void *measured_malloc(size_t size)
{
	const unsigned char *top = __builtin_frame_address(0);
	void *p;

	paint();
	p = malloc(size);
	note_depth(&deepest_malloc, painted_over(top));
	return p;
}

static __attribute__((noinline)) void measured_free(void *p)
{
	const unsigned char *top = __builtin_frame_address(0);

	paint();
	free(p);
	note_depth(&deepest_free, painted_over(top));
}

static void measure_hook(void *scene, unsigned long at)
{
	(void)at;
	measured_free(measured_malloc(((struct scene *)scene)->size));
}

static void measure_many(size_t size)
{
	static void *objects[400];
	size_t n = size > 4096 ? 20 : COUNT(objects);

	for (size_t i = 0; i < n; i++)
		objects[i] = measured_malloc(size);
	for (size_t i = 0; i < n; i++)
		measured_free(objects[i]);
}

static void *measure_thread(void *arg)
{
	static const size_t sizes[] = {1, 40, 300, 3000, 30000, 100000, 3000000, 50000000};

	for (size_t i = 0; i < COUNT(sizes); i++)
		measure_many(sizes[i]);
	return arg;
}

void step_stack_depth(const struct conform_options *options)
{
	struct scene *scene = scene_new(options, 0);
	struct step step = {.call = pairs, .arg = scene, .hook = measure_hook, .hook_arg = scene};
	size_t bound = OLD_SIGSTKSZ - (size_t)sysconf(_SC_MINSIGSTKSZ);

	measure_thread(NULL);
	pthread_join(freeze_thread(measure_thread, NULL), NULL);
	for (scene->size = 16; scene->size < 40000; scene->size *= 4)
		step_call(&step);
	conform_note("bytes of stack: malloc", deepest_malloc);
	conform_note("free", deepest_free);
	if (deepest_malloc > bound || deepest_free > bound)
		conform_end(CONFORM_FAIL, "more stack than a handler on SIGSTKSZ bytes has: malloc",
			    deepest_malloc);
}
