/*
 * Random calls of all kinds from several threads, which free each other's objects. Every object carries
 * a pattern from end to end that says which it is; an object handed out twice, or written to while it
 * was free, is found when it is freed. For the sanitizers above all: other tests go deeper.
 */
#include "heap.h"

#include "core/kmem_cache.h"
#include "core/options.h"

#define NR_WORKERS 4U
#define NR_SLOTS 256U
#define RUN_MS (UNDER_TSAN || UNDER_ASAN ? 2000U : 4000U)
/* Larger ones get mappings, of which ThreadSanitizer doesn't see how they pass from thread to thread. */
#define MAX_LARGE 400000U

/* Through these an object goes from whoever made it to whoever comes by. */
struct exchange {
	_Atomic(unsigned char *) slots[64];
};

struct object {
	unsigned char *p;
	size_t size;
};

struct worker {
	unsigned int id;
	uint64_t seed, calls;
	struct object objects[NR_SLOTS];
};

static struct exchange exchange;
static struct kmem_cache *own_caches[3];
static _Atomic bool done;

static void constructor(void *object)
{
	memset(object, 0, 24);
}

/* The first eight bytes hold the size, so that whoever gets the object can check it. */
static void fill(unsigned char *p, size_t size)
{
	*(uint64_t *)(void *)p = size ^ (uintptr_t)p;
	for (size_t at = 8; at < size; at += size < 1024 ? 8 : 509)
		p[at] = (unsigned char)(size + at);
	if (size > 8)
		p[size - 1] = (unsigned char)size;
}

static size_t checked_size(const unsigned char *p)
{
	size_t size = *(const uint64_t *)(const void *)p ^ (uintptr_t)p;

	must(size >= 8 && size <= MAX_LARGE && size <= ksize(p));
	for (size_t at = 8; at < size - 1; at += size < 1024 ? 8 : 509)
		must(p[at] == (unsigned char)(size + at));
	must(size == 8 || p[size - 1] == (unsigned char)size);
	return size;
}

/* An object of a cache with a constructor must be as the constructor made it. */
static unsigned char *alloc_own(struct worker *w, size_t *size)
{
	struct kmem_cache *s = own_caches[random_below(&w->seed, 3)];
	unsigned char *p = cache_alloc(s);

	must(p);
	must(!s->ctor || is_zero(p, 24));
	*size = s->object_size;
	return p;
}

static size_t random_size(struct worker *w)
{
	switch (random_below(&w->seed, 16)) {
	case 0:
		return KMALLOC_MAX_SIZE + random_below(&w->seed, MAX_LARGE - KMALLOC_MAX_SIZE);
	case 1:
	case 2:
		return 8 + random_below(&w->seed, KMALLOC_MAX_SIZE - 8);
	default:
		return 8 + random_below(&w->seed, 400);
	}
}

static void make(struct worker *w, struct object *o)
{
	size_t align;

	o->size = random_size(w);
	switch (random_below(&w->seed, 8)) {
	case 0:
		o->p = kzalloc(o->size);
		must(o->p && is_zero(o->p, o->size));
		break;
	case 1:
		align = (size_t)16 << random_below(&w->seed, 9);
		o->p = kmalloc_aligned(o->size, align);
		must((uintptr_t)o->p % align == 0);
		break;
	case 2:
		o->p = alloc_own(w, &o->size);
		break;
	default:
		o->p = kmalloc(o->size);
	}
	must(o->p);
	fill(o->p, o->size);
}

static void destroy(unsigned char *p)
{
	const struct kmem_cache *s;

	if (!p)
		return;
	checked_size(p);
	s = kmalloc_cache_of(p);
	if (s && s->ctor)
		constructor(p);
	kfree(p);
}

static void resize(struct worker *w, struct object *o)
{
	size_t size = random_size(w), least = size < o->size ? size : o->size;
	unsigned char *p;

	if (kmalloc_cache_of(o->p) && kmalloc_cache_of(o->p)->ctor)
		return;
	checked_size(o->p);
	p = krealloc(o->p, size);
	must(p && (*(uint64_t *)(void *)p ^ (uintptr_t)o->p) == o->size);
	for (size_t at = 8; at + 1 < least; at += o->size < 1024 ? 8 : 509)
		must(p[at] == (unsigned char)(o->size + at));
	*o = (struct object){p, size};
	fill(p, size);
}

/* Leaves the object for another thread, and frees what lay there. */
static void pass_on(struct worker *w, struct object *o)
{
	size_t slot = random_below(&w->seed, 64);

	destroy(atomic_exchange(&exchange.slots[slot], o->p));
	o->p = NULL;
}

static void step(struct worker *w)
{
	struct object *o = &w->objects[random_below(&w->seed, NR_SLOTS)];

	w->calls++;
	if (!o->p) {
		make(w, o);
		return;
	}
	switch (random_below(&w->seed, 4)) {
	case 0:
		resize(w, o);
		break;
	case 1:
		pass_on(w, o);
		break;
	default:
		destroy(o->p);
		o->p = NULL;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load_explicit(&done, memory_order_relaxed)) {
		for (unsigned int i = 0; i < 500; i++)
			step(w);
		if (random_below(&w->seed, 50) == 0)
			kmalloc_trim();
	}
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		destroy(w->objects[i].p);
	return NULL;
}

/* Threads that live for a few calls, while the others go on. */
static void *work_shortly(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < 300; i++)
		step(w);
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		if (w->objects[i].p)
			pass_on(w, &w->objects[i]);
	}
	return NULL;
}

static void make_caches(void)
{
	struct cache_args plain = {"plain", 56, 16, CACHE_NO_MERGE, NULL};
	struct cache_args aligned = {"aligned", 700, 256, CACHE_NO_MERGE, NULL};
	struct cache_args constructed = {"constructed", 40, 16, 0, constructor};

	own_caches[0] = cache_create(&plain);
	own_caches[1] = cache_create(&aligned);
	own_caches[2] = cache_create(&constructed);
}

static void everything_at_once(void **state)
{
	static struct worker workers[NR_WORKERS], passing;
	uint64_t end = now_ms() + RUN_MS, calls = 0;
	pthread_t threads[NR_WORKERS];
	struct heap_stats heap;

	(void)state;
	make_caches();
	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		workers[i].seed = 1000 + i;
		must(!pthread_create(&threads[i], NULL, work, &workers[i]));
	}
	while (now_ms() < end) {
		run_thread(work_shortly, &passing);
		heap_stats(&heap, NULL);
		must(heap.threads <= NR_WORKERS + 2);
	}
	atomic_store(&done, true);
	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		must(!pthread_join(threads[i], NULL));
		calls += workers[i].calls;
	}
	for (unsigned int i = 0; i < 64; i++)
		destroy(exchange.slots[i]);
	print_message("%lu calls, seeds 1000 to %u\n", (unsigned long)calls, 999 + NR_WORKERS);
	kmalloc_trim();
	heap_stats(&heap, NULL);
	assert_int_equal(heap.small_used, 0);
	assert_int_equal(heap.runs, 0);
	assert_int_equal(heap.small_free, 0);
	for (unsigned int i = 0; i < 3; i++) {
		cache_destroy(own_caches[i]);
		assert_int_equal(own_caches[i]->nr_slabs, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};

	options.purge_delay_ms = 100;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
