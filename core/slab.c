/*
 * Slabs: making, carving, collecting, and the transitions of the shared word. Layer: slab. See slab.h,
 * and types.h for the states.
 */
#include "slab.h"
#include "counters.h"
#include "frame.h"
#include "reserve.h"

struct slab slab_none;
struct free_object sheaf_shut = SHEAF_BOTTOM(0);

#ifdef USLUB_DEBUG
/* Which transitions the picture in types.h has, and an update within a state. */
static void slab_check(union slab_remote old, union slab_remote new)
{
	static const unsigned char allowed[] = {
		[SLAB_FREE] = 1 << SLAB_OWNED,
		[SLAB_OWNED] = 1 << SLAB_OWNED | 1 << SLAB_FULL | 1 << SLAB_PARTIAL |
			       1 << SLAB_FREE,
		[SLAB_FULL] = 1 << SLAB_OWNED | 1 << SLAB_PARTIAL,
		[SLAB_PARTIAL] = 1 << SLAB_PARTIAL | 1 << SLAB_OWNED,
	};

	assert(old.state <= SLAB_PARTIAL && new.state <= SLAB_PARTIAL);
	assert(allowed[old.state] & 1 << new.state);
	assert((new.head == 0) == (new.count == 0));
	assert((new.state != SLAB_FULL &&new.state != SLAB_FREE) || new.head == 0);
}
#else
static inline void slab_check(union slab_remote old, union slab_remote new)
{
	(void)old;
	(void)new;
}
#endif

static inline union slab_remote remote_load(struct slab *slab, memory_order order)
{
	union slab_remote r;

	r.word = atomic_load_explicit(&slab->remote, order);
	return r;
}

/*
 * The one place where a slab's shared word changes. Release: what was written to the slab and to the
 * object before is there for whoever reads the new word with acquire; acquire: the same the other way.
 */
static inline bool remote_cas(struct slab *slab, union slab_remote *old, union slab_remote new)
{
	slab_check(*old, new);
	return atomic_compare_exchange_weak_explicit(&slab->remote, &old->word, new.word,
						     memory_order_acq_rel, memory_order_acquire);
}

static void slab_set_state(struct slab *slab, enum slab_state state)
{
	struct nowait w = {0};
	union slab_remote old = remote_load(slab, memory_order_acquire), new;

	do {
		new = old;
		new.state = (uint8_t)state;
	} while (!nowait(&w, remote_cas(slab, &old, new)));
}

static inline struct free_object *remote_first(struct slab *slab, union slab_remote r)
{
	if (!r.head)
		return NULL;
	return object_to_free(slab->cache,
			      (void *)(slab->base + (uintptr_t)(r.head - 1) * MIN_ALIGN));
}

static void slab_set_tails(struct slab *slab, uint8_t kind)
{
	for (uint32_t i = 1; i < slab->nr_frames; i++) {
		slab[i].kind = kind;
		slab[i].nr_frames = i;
	}
}

struct slab *new_slab(struct kmem_cache *s, struct thread *owner)
{
	void *reserved = s->flags & CACHE_SHARED ? reserve_alloc(s->nr_frames) : NULL;
	bool zeroed;
	void *base = reserved ? reserved : frame_alloc(s->nr_frames, 1, &zeroed);
	struct slab *slab;

	if (!base)
		return NULL;
	slab = virt_to_slab(base);
	slab->reserved = reserved != NULL;
	slab->freelist = NULL;
	slab->inverse = s->inverse;
	__atomic_store_n(&slab->limit, 0, __ATOMIC_RELAXED);
	slab->inuse = 0;
	/* kfree() knows no offset of links, nor threads that keep nothing: these leave by its slow path. */
	slab->cpu_offset = s->offset || s->flags & CACHE_SHARED
				   ? offsetof(struct thread, never_free)
				   : s->cpu_offset;
	slab->list = LIST_NONE;
	slab->carved = 0;
	slab->objects = s->objects;
	slab->next = slab->prev = slab;
	slab->nr_frames = s->nr_frames;
	slab->cache = s;
	slab->base = (uintptr_t)base;
	slab_set_owner(slab, owner);
	slab_set_tails(slab, FRAME_TAIL);
	atomic_fetch_add_explicit(&s->nr_slabs, 1, memory_order_relaxed);
	/* From here on it can be found, and mended, should this call never return. */
	barrier();
	slab->kind = FRAME_SLAB;
	slab_set_state(slab, SLAB_OWNED);
	cache_count(s, ALLOC_SLAB, 1);
	return slab;
}

void discard_slab(struct slab *slab)
{
	__atomic_store_n(&slab->limit, 0, __ATOMIC_RELAXED);
	slab->kind = FRAME_NONE;
	barrier();
	slab_set_tails(slab, FRAME_NONE);
	slab_set_owner(slab, NULL);
	slab_set_state(slab, SLAB_FREE);
	cache_count(slab->cache, FREE_SLAB, 1);
	/* Release pairs with the acquire in cache_slot(): the cache is not looked at any more. */
	atomic_fetch_sub_explicit(&slab->cache->nr_slabs, 1, memory_order_release);
	if (slab->reserved)
		reserve_free((void *)slab->base, slab->nr_frames);
	else
		frame_free((void *)slab->base, slab->nr_frames);
}

/* Makes more objects, about a page of them, where not all exist yet. */
static void __slab_carve(struct slab *slab)
{
	const struct kmem_cache *s = slab->cache;
	uint32_t left = slab->objects - slab->carved, n;
	struct free_object **link = &slab->freelist;
	char *object = (char *)slab->base + (size_t)slab->carved * s->size;
	/* Up to the end of a page: the next one stays untouched until it is needed. */
	size_t room = CARVE_SIZE - ((uintptr_t)object & (CARVE_SIZE - 1));

	if (!left)
		return;
	n = (uint32_t)(room / s->size);
	if (n == 0)
		n = 1;
	if (n > left)
		n = left;
	for (uint32_t i = 0; i < n; i++, object += s->size) {
		struct free_object *fo = object_to_free(s, object);

		if (s->ctor)
			s->ctor(object);
		fo->state.word = 0;
		fo->state.mark = FREE_MARK;
		*link = fo;
		link = &fo->next;
	}
	*link = NULL;
	barrier();
	slab->carved += n;
	__atomic_store_n(&slab->limit, slab->carved * s->residue, __ATOMIC_RELAXED);
}

uint32_t __slab_collect(struct slab *slab)
{
	union slab_remote old = remote_load(slab, memory_order_acquire), new;
	struct free_object *first, *last;
	struct nowait w = {0};

	do {
		if (!old.head)
			return 0;
		new = old;
		new.head = 0;
		new.count = 0;
		new.generation++;
	} while (!nowait(&w, remote_cas(slab, &old, new)));
	first = remote_first(slab, old);
	if (slab->freelist) {
		for (last = first; last->next; last = last->next)
			;
		last->next = slab->freelist;
		barrier();
	}
	slab->freelist = first;
	slab->inuse -= old.count;
	return old.count;
}

uint32_t __slab_take(struct slab *slab, uint32_t want, struct free_object **list)
{
	struct free_object *last;
	uint32_t n = 1;

	if (!slab->freelist && !__slab_collect(slab))
		__slab_carve(slab);
	last = *list = slab->freelist;
	if (!last)
		return 0;
	for (; n < want && last->next; n++)
		last = last->next;
	/* In this order: where it ends in between, *list is to be cut where slab->freelist begins. */
	barrier();
	slab->freelist = last->next;
	barrier();
	last->next = NULL;
	slab->inuse += n;
	return n;
}

void __slab_recover(struct slab *slab)
{
	const struct kmem_cache *s = slab->cache;
	const struct free_object *fo = slab->freelist;
	uint32_t n = 0;

	if (remote_load(slab, memory_order_acquire).state == SLAB_FREE)
		slab_set_state(slab, SLAB_OWNED);
	/* A freelist is carved only where there is none. */
	if (fo && ((uintptr_t)fo - s->offset - slab->base) / s->size >= slab->carved)
		slab->freelist = NULL;
	for (fo = slab->freelist; fo; fo = fo->next)
		n++;
	slab->inuse = slab->carved - n;
	__atomic_store_n(&slab->limit, slab->carved * s->residue, __ATOMIC_RELAXED);
}

/* Will the slab have no object in use when `count` more are on its remote list? Nobody's inuse is const. */
racy_reader static bool will_be_empty(const struct slab *slab, union slab_remote r, uint32_t count)
{
	return r.state == SLAB_PARTIAL && r.count + count == slab->inuse;
}

enum free_result slab_free_remote(struct slab *slab, const struct free_chain *chain, bool may_adopt)
{
	union slab_remote old = remote_load(slab, memory_order_acquire), new;
	/* Not from the slab later: it may be anybody's by then. */
	const struct kmem_cache *s = slab->cache;
	uintptr_t object = (uintptr_t)free_object_start(s, chain->first);
	bool was_full, empty;
	struct nowait w = {0};

	do {
		was_full = old.state == SLAB_FULL;
		empty = will_be_empty(slab, old, chain->count);
		new = old;
		if (was_full && may_adopt) {
			new.state = SLAB_OWNED;
			continue;
		}
		if (was_full)
			new.state = SLAB_PARTIAL;
		chain->last->next = remote_first(slab, old);
		new.head = (uint32_t)((object - slab->base) / MIN_ALIGN) + 1;
		new.count = (uint16_t)(new.count + chain->count);
	} while (!nowait(&w, remote_cas(slab, &old, new)));
	if (!was_full || !may_adopt)
		cache_count(s, FREE_REMOTE, chain->count);
	if (!was_full)
		return empty ? FREE_EMPTIED : FREE_PUSHED;
	return may_adopt ? FREE_ADOPTED : FREE_LISTED;
}

bool __slab_release_full(struct slab *slab)
{
	struct thread *owner = load_folded(slab->owner);
	union slab_remote old = remote_load(slab, memory_order_acquire), new;
	struct nowait w = {0};

	/* Before the word changes: from then on the slab may have another owner. */
	slab_set_owner(slab, NO_OWNER);
	do {
		if (old.head) {
			slab_set_owner(slab, owner);
			return false;
		}
		new = old;
		new.state = SLAB_FULL;
	} while (!nowait(&w, remote_cas(slab, &old, new)));
	return true;
}

void __slab_release_partial(struct slab *slab)
{
	slab_set_owner(slab, NO_OWNER);
	slab_set_state(slab, SLAB_PARTIAL);
}

void slab_acquire_partial(struct slab *slab)
{
	slab_set_state(slab, SLAB_OWNED);
}

racy_reader bool may_be_free_object(const struct kmem_cache *s, const struct free_object *fo)
{
	const struct slab *slab = virt_to_slab(fo);

	/* As slab_of(), which ThreadSanitizer looks at. */
	if (slab->kind == FRAME_TAIL)
		slab -= slab->nr_frames;
	return (uintptr_t)fo >> OS_ADDRESS_BITS == 0 && slab->kind == FRAME_SLAB &&
	       slab->cache == s && os_is_readable(fo);
}

/* Each link is checked to lead to an object of the same cache, for it may be anything by now. */
racy_reader bool freelist_has(const struct free_object *list, const struct free_object *fo,
			      uint32_t most)
{
	const struct kmem_cache *s = slab_of(fo)->cache;

	for (; list && most--; list = list->next) {
		if (list == fo)
			return true;
		if (!may_be_free_object(s, list))
			return false;
	}
	return false;
}

racy_reader bool slab_has_free(struct slab *slab, const struct free_object *fo)
{
	union slab_remote r = remote_load(slab, memory_order_acquire);

	return freelist_has(slab->freelist, fo, slab->objects) ||
	       freelist_has(remote_first(slab, r), fo, slab->objects);
}
