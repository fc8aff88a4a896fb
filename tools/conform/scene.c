/*
 * The objects around a stepped call, and what its handler does. Layer: tools. Called by the stepped
 * cases; scene_hook() from the SIGTRAP handler.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scene.h"

#define POOL_BYTES ((size_t)2 << 20)
#define ERRNO_SENTINEL 4078
/* What a case takes at effort 1, if a first round isn't longer. */
#define BUDGET_SECONDS 0.6
/* A first round that takes so much longer is not gone on with: a slow malloc is not a bad one. */
#define MOST_BUDGETS 15

static struct scene scenes[2];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool scene_has_time(const struct scene *scene)
{
	return now() < scene->deadline;
}

struct scene *scene_new(const struct conform_options *options, unsigned int number)
{
	struct scene *scene = &scenes[number];

	memset(scene, 0, sizeof(*scene));
	scene->options = options;
	scene->deadline = now() + BUDGET_SECONDS * options->effort + options->seconds;
	conform_random_seed(&scene->random, options->seed, number);
	return scene;
}

static size_t any_size(struct scene *scene)
{
	static const size_t limits[] = {64, 64, 256, 256, 1024, 4096, 40000, 200000};
	size_t limit = limits[conform_random_below(&scene->random, 8)];

	return 1 + conform_random_below(&scene->random, limit);
}

/* A free place among what handlers keep. The index moves first: a nested call has another place. */
static struct conform_object *place(struct scene *scene)
{
	struct conform_object *o = &scene->kept[scene->next_kept++ % SCENE_KEPT];

	if (o->p)
		object_free(o);
	return o;
}

static void act_same(struct scene *scene, unsigned long at)
{
	struct conform_object o[3];
	size_t n = 1 + at % 3;

	for (size_t i = 0; i < n; i++)
		object_make(&o[i], BY_MALLOC, scene->size);
	*place(scene) = o[0];
	for (size_t i = 1; i < n; i++)
		object_free(&o[i]);
}

static void act_sizes(struct scene *scene, unsigned long at)
{
	object_make(place(scene), (enum conform_how)(at % NR_CONFORM_HOW), any_size(scene));
}

static void act_neighbour(struct scene *scene)
{
	struct conform_object *o = &scene->pool[scene->next_pool++ % scene->nr_pool];

	if (o->p)
		object_free(o);
	else
		object_make(o, BY_MALLOC, scene->size);
}

static void act_foreign(struct scene *scene, unsigned long at)
{
	struct conform_object *o = &scene->foreign[scene->next_foreign++ % scene->nr_pool];

	if (o->p)
		object_free(o);
	else
		act_same(scene, at);
}

static void act_resize(struct scene *scene)
{
	struct conform_object *o = &scene->kept[scene->next_kept++ % SCENE_KEPT];

	if (o->p)
		object_resize(o, any_size(scene));
	else
		object_make(o, BY_MALLOC, scene->size);
}

static void act_pair(struct scene *scene)
{
	struct conform_object o;
	object_make(&o, BY_MALLOC, scene->size);
	object_free(&o);
}

void scene_hook(void *arg, unsigned long at)
{
	struct scene *scene = arg;
	enum scene_action action = scene->action;

	if (action == ACT_MIXED)
		action = (enum scene_action)(at % ACT_MIXED);
	switch (action) {
	case ACT_SIZES:
		act_sizes(scene, at);
		break;
	case ACT_NEIGHBOUR:
		act_neighbour(scene);
		break;
	case ACT_FOREIGN:
		act_foreign(scene, at);
		break;
	case ACT_RESIZE:
		act_resize(scene);
		break;
	case ACT_ZERO:
		object_make(place(scene), BY_CALLOC, scene->size);
		break;
	case ACT_PAIR:
		act_pair(scene);
		break;
	default:
		act_same(scene, at);
	}
}

static void *make_foreign(void *arg)
{
	struct scene *scene = arg;

	for (size_t i = 0; i < scene->nr_pool; i++)
		object_make(&scene->foreign[i], BY_MALLOC, scene->size);
	return NULL;
}

void scene_set(struct scene *scene, size_t size, enum scene_action action)
{
	size_t fit = POOL_BYTES / size;
	pthread_t thread;

	scene->size = size;
	scene->action = action;
	scene->nr_pool = fit < 2 ? 2 : fit > SCENE_POOL ? SCENE_POOL : fit;
	scene->next_pool = scene->next_foreign = 0;
	if (action == ACT_NEIGHBOUR || action == ACT_MIXED) {
		for (size_t i = 0; i < scene->nr_pool; i++)
			object_make(&scene->pool[i], BY_MALLOC, size);
	}
	if (action == ACT_FOREIGN || action == ACT_MIXED) {
		if (pthread_create(&thread, NULL, make_foreign, scene) != 0)
			conform_end(CONFORM_UNABLE, "a thread can't be started:", 0);
		pthread_join(thread, NULL);
	}
}

static void free_all(struct conform_object *objects, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (objects[i].p)
			object_free(&objects[i]);
	}
}

void scene_clear(struct scene *scene)
{
	free_all(scene->kept, SCENE_KEPT);
	free_all(scene->pool, SCENE_POOL);
	free_all(scene->foreign, SCENE_POOL);
}

static void check_all(const struct conform_object *objects, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (objects[i].p)
			object_check(&objects[i]);
	}
}

void scene_check(const struct scene *scene)
{
	check_all(scene->kept, SCENE_KEPT);
	check_all(scene->pool, SCENE_POOL);
	check_all(scene->foreign, SCENE_POOL);
	check_all(scene->held, SCENE_HELD);
}

/* The stack follows from the action: most run on the call's own, as most handlers do. */
static enum step_stack stack_of(enum scene_action action)
{
	if (action == ACT_PAIR)
		return STEP_ON_SMALL_STACK;
	return action == ACT_NEIGHBOUR || action == ACT_ZERO ? STEP_ON_ALTSTACK : STEP_ON_STACK;
}

void scene_step(struct scene *scene, const struct scene_call *call, size_t size,
		enum scene_action action)
{
	struct step step = {
		.call = call->call,
		.arg = scene,
		.hook = scene->hook ? scene->hook : scene_hook,
		.hook_arg = scene,
		.stack = stack_of(action),
	};

	scene_set(scene, size, action);
	if (call->before)
		call->before(scene);
	errno = ERRNO_SENTINEL;
	step_call(&step);
	if (errno != ERRNO_SENTINEL && !call->sets_errno)
		conform_end(CONFORM_FAIL, "a call that was interrupted changed errno, to",
			    (unsigned long)errno);
	scene->instructions += step.instructions;
	scene->hooks += step.hooks;
	if (call->after)
		call->after(scene);
	scene_check(scene);
	scene_clear(scene);
}

void scene_note(const struct scene *scene)
{
	conform_note("instructions stepped", scene->instructions);
	conform_note("handlers run", scene->hooks);
}

void scene_run(struct scene *scene, const struct scene_call *call, const size_t *sizes,
	       size_t nr_sizes)
{
	unsigned int nr_actions = scene_actions(call);
	double most = now() + BUDGET_SECONDS * MOST_BUDGETS * scene->options->effort;
	size_t round = 0;

	do {
		for (unsigned int action = 0; action < nr_actions; action++)
			scene_step(scene, call, sizes[round % nr_sizes],
				   scene_action(call, action));
		round++;
	} while ((round < nr_sizes && now() < most) || scene_has_time(scene));
	scene_note(scene);
}

void scene_hold(struct scene *scene, size_t n)
{
	scene->nr_held = n;
	for (size_t i = 0; i < n; i++) {
		object_make(&scene->held[i], BY_MALLOC, scene->size);
		scene->raw[i] = scene->held[i].p;
	}
}

void scene_adopt(struct scene *scene, enum conform_how how)
{
	for (size_t i = 0; i < scene->nr_held; i++)
		object_adopt(&scene->held[i], how, scene->raw[i], scene->size);
	scene_check(scene);
}

void scene_disown(struct scene *scene)
{
	for (size_t i = 0; i < scene->nr_held; i++)
		scene->raw[i] = object_disown(&scene->held[i]);
}

void *scene_realloc(void *p, size_t kept, size_t size)
{
	static unsigned char last;
	unsigned char mark = ++last, *old = p, *bytes;

	if (old)
		old[0] = old[kept - 1] = mark;
	bytes = realloc(old, size);
	if (!bytes)
		conform_end(CONFORM_FAIL, "realloc: NULL where there is memory; the size is", size);
	if (old && (bytes[0] != mark || bytes[kept - 1] != mark))
		conform_end(CONFORM_CORRUPT, "realloc lost the content; the size is", size);
	return bytes;
}

void scene_free_held(struct scene *scene)
{
	free_all(scene->held, scene->nr_held);
	scene->nr_held = 0;
}
