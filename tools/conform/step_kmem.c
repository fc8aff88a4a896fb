/*
 * Stepped: the calls of uslub.h and nolock.h, where the library has them. Layer: tools. In the table of
 * step_cases.c. kmem_cache_create() and kmem_cache_destroy() may be interrupted by a handler that calls
 * the others, but are not for handlers themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "step_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* uslub.h's value: never another cache's objects. */
#define NO_MERGE 1u
#define NODE_ANY (-1)
#define MANY 60u

static const size_t sizes[] = {24, 200, 3000};

static void *(*cache_create)(const char *name, size_t size, size_t align, unsigned int flags,
			     void (*constructor)(void *object));
static void (*cache_destroy)(void *cache);
static void *(*cache_alloc)(void *cache, unsigned int flags);
static void (*cache_free)(void *cache, void *object);
static int (*cache_shrink)(void *cache);
static void *(*malloc_nolock)(size_t size, unsigned int flags, int node);
static void (*free_nolock)(void *p);

static void *shared_cache;
static void *handlers_object;

static void find(const char *name, void *function)
{
	void *symbol = conform_require(name);

	memcpy(function, &symbol, sizeof(symbol));
}

static void find_caches(void)
{
	find("kmem_cache_create", &cache_create);
	find("kmem_cache_destroy", &cache_destroy);
	find("kmem_cache_alloc", &cache_alloc);
	find("kmem_cache_free", &cache_free);
	find("kmem_cache_shrink", &cache_shrink);
}

/* What a handler does with a cache: the last one's object is looked at and freed, and a new one made. */
static void use_cache(void)
{
	static const uint64_t mark = 0x5ca1ab1e0ddba11u;
	uint64_t *object = cache_alloc(shared_cache, 0);
	uint64_t *old = handlers_object;

	if (object)
		*object = mark;
	else
		conform_end(CONFORM_FAIL, "kmem_cache_alloc: NULL where there is memory", 0);
	if (old && *old != mark)
		conform_end(CONFORM_CORRUPT, "a cache's object changed", 0);
	if (old) {
		*old = 0;
		cache_free(shared_cache, old);
	}
	handlers_object = object;
}

static void hook(void *scene, unsigned long at)
{
	if (at % 2 != 0)
		use_cache();
	else
		scene_hook(scene, at);
}

static void run(const struct conform_options *options, const struct scene_call *call)
{
	struct scene *scene = scene_new(options, 0);
	unsigned int n = scene_actions(call);

	scene->hook = hook;
	for (unsigned int i = 0; i < n || scene_has_time(scene); i++) {
		const size_t size = sizes[i / n % COUNT(sizes)];

		shared_cache = cache_create("conform", size, 0, NO_MERGE, NULL);
		if (!shared_cache)
			conform_end(CONFORM_FAIL, "kmem_cache_create fails", size);
		scene_step(scene, call, size, scene_action(call, i));
		if (handlers_object)
			cache_free(shared_cache, handlers_object);
		handlers_object = NULL;
		cache_destroy(shared_cache);
	}
	scene_note(scene);
}

/* Not the shared cache, which the handler goes on with. */
static void create_and_destroy(void *arg)
{
	const struct scene *scene = arg;
	void *cache = cache_create("stepped", scene->size, 64, NO_MERGE, NULL);
	void *object = cache ? cache_alloc(cache, 0) : NULL;

	if (!object)
		conform_end(CONFORM_FAIL, "a new cache gives no object of", scene->size);
	cache_free(cache, object);
	cache_destroy(cache);
}

void step_kmem_create(const struct conform_options *options)
{
	static const struct scene_call call = {.call = create_and_destroy, .is_long = true};

	find_caches();
	run(options, &call);
}

static void alloc_many(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < MANY; i++)
		scene->raw[i] = cache_alloc(shared_cache, 0);
	for (unsigned int i = 0; i < MANY; i += 2) {
		cache_free(shared_cache, scene->raw[i]);
		scene->raw[i] = cache_alloc(shared_cache, 0);
	}
	scene->nr_held = MANY;
}

static void adopt_and_free(struct scene *scene)
{
	scene_adopt(scene, BY_MALLOC);
	scene_disown(scene);
	for (unsigned int i = 0; i < MANY; i++)
		cache_free(shared_cache, scene->raw[i]);
}

void step_kmem_alloc(const struct conform_options *options)
{
	static const struct scene_call call = {.call = alloc_many, .after = adopt_and_free};

	find_caches();
	run(options, &call);
}

static void leave_empty_slabs(struct scene *scene)
{
	for (unsigned int i = 0; i < SCENE_HELD; i++)
		scene->raw[i] = cache_alloc(shared_cache, 0);
	for (unsigned int i = 0; i < SCENE_HELD; i++)
		cache_free(shared_cache, scene->raw[i]);
}

static void shrink(void *scene)
{
	(void)scene;
	cache_shrink(shared_cache);
}

void step_kmem_shrink(const struct conform_options *options)
{
	static const struct scene_call call = {.before = leave_empty_slabs, .call = shrink};

	find_caches();
	run(options, &call);
}

static void nolock_pairs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < 8; i++) {
		void *p = malloc_nolock(scene->size, 0, NODE_ANY);

		scene->raw[i] = malloc_nolock(scene->size, 0, NODE_ANY);
		free_nolock(p);
	}
	scene->nr_held = 8;
}

static void nolock_hook(void *arg, unsigned long at)
{
	struct scene *scene = arg;
	struct conform_object o;

	if (at % 2 == 0) {
		scene_hook(scene, at);
		return;
	}
	object_adopt(&o, BY_MALLOC, malloc_nolock(scene->size, 0, NODE_ANY), scene->size);
	free_nolock(object_disown(&o));
}

static void free_by_nolock(struct scene *scene)
{
	scene_adopt(scene, BY_MALLOC);
	scene_disown(scene);
	for (size_t i = 0; i < scene->nr_held; i++)
		free_nolock(scene->raw[i]);
}

void step_nolock(const struct conform_options *options)
{
	static const struct scene_call call = {.call = nolock_pairs, .after = free_by_nolock};
	struct scene *scene = scene_new(options, 0);

	find("uslub_malloc_nolock", &malloc_nolock);
	find("uslub_free_nolock", &free_nolock);
	scene->hook = nolock_hook;
	for (unsigned int i = 0; i < NR_ACTIONS || scene_has_time(scene); i++)
		scene_step(scene, &call, sizes[i / NR_ACTIONS % COUNT(sizes)],
			   (enum scene_action)(i % NR_ACTIONS));
	scene_note(scene);
}
