/*
 * The slow paths of allocation and free in a cache. Layer: kmem_cache; see kmem_cache.h.
 */
#include "kmem_cache.h"
#include "frame.h"
#include "node.h"
#include "report.h"

/* Memory is out: what this thread and the node hold unused may be enough. */
static bool __refill(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache *other;

	thread_check_fork();
	thread_check_destroyed(t);
	if (likely(__thread_refill(t, s)))
		return true;
	thread_flush_all(t);
	for_each_cache(other, i)
		shrink_node(get_node(other));
	return __thread_refill(t, s);
}

bool cache_try_alloc(struct kmem_cache *s, void **object)
{
	struct thread *t = thread_current();
	struct kmem_cache_cpu *c;
	struct free_object *fo;

	if (!t || !local_trylock(t, s))
		return false;
	c = thread_cpu(t, s->cpu_offset);
	fo = __slab_pop(c->slab);
	if (!fo && __refill(t, s))
		fo = __slab_pop(c->slab);
	local_unlock(t, c);
	*object = fo ? free_object_start(s, fo) : NULL;
	return true;
}

void *cache_alloc_shared(struct kmem_cache *s)
{
	struct slab *slab = get_partial(get_node(s));
	struct free_object *fo;

	if (!slab)
		slab = new_slab(s, NO_OWNER);
	if (!slab)
		return NULL;
	fo = __slab_refill(slab) ? __slab_pop(slab) : NULL;
	put_slab(get_node(s), slab);
	return fo ? free_object_start(s, fo) : NULL;
}

void *cache_alloc(struct kmem_cache *s)
{
	void *object;

	return cache_try_alloc(s, &object) ? object : cache_alloc_shared(s);
}

void slab_free_edge(struct thread *t, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, slab->cpu_offset);

	__thread_free_edge(t, slab);
	local_unlock(t, c);
}

/* By the thread that owns the slab; false: its lock is held, by a frame that this one interrupted. */
static bool free_local(struct thread *t, struct slab *slab, struct free_object *fo)
{
	if (!local_trylock(t, slab->cache))
		return false;
	__slab_push(slab, fo);
	if (--slab->countdown == 0)
		__thread_free_edge(t, slab);
	local_unlock(t, thread_cpu(t, slab->cpu_offset));
	return true;
}

static void free_elsewhere(struct slab *slab, struct free_object *fo)
{
	struct kmem_cache *s = slab->cache;
	struct thread *t = thread_current();
	bool locked = t && local_trylock(t, s);

	switch (slab_free_remote(slab, fo, locked)) {
	case FREE_PUSHED:
		break;
	case FREE_ADOPTED:
		__thread_adopt(t, slab, fo);
		break;
	case FREE_LISTED:
		list_partial(get_node(s), slab);
		break;
	}
	if (locked)
		local_unlock(t, thread_cpu(t, s->cpu_offset));
}

void slab_free(struct slab *slab, void *p)
{
	struct free_object *fo = object_to_free(slab->cache, p);
	struct thread *t = current_thread;

	if (unlikely(!slab_object_ok(slab, (uintptr_t)p - slab->base))) {
		report_object(slab->cache, "free of what is not the start of an object:", p);
		return;
	}
	if (unlikely(fo->mark == slab) && slab_on_freelist(slab, fo)) {
		report_object(slab->cache, "double free of", p);
		return;
	}
	if (load_folded(slab->owner) == t && free_local(t, slab, fo))
		return;
	free_elsewhere(slab, fo);
}

uint32_t cache_shrink(struct kmem_cache *s)
{
	thread_flush(current_thread, s);
	return shrink_node(get_node(s));
}
