/*
 * Slabs: making, collecting, and the transitions of the shared word. Layer: slab. See slab.h,
 * and types.h for the states.
 */
#include "slab.h"
#include "bits.h"
#include "counters.h"
#include "frame.h"
#include "reserve.h"

struct slab slab_none;
struct free_object sheaf_shut = SHEAF_BOTTOM(0);

#ifdef USLUB_DEBUG
/* Which transitions the picture in types.h has. */
static void slab_check(union slab_shared old, union slab_shared new)
{
	static const unsigned char allowed[] = {
		[SLAB_FREE] = 1 << SLAB_OWNED,
		[SLAB_OWNED] = 1 << SLAB_FULL | 1 << SLAB_PARTIAL | 1 << SLAB_FREE,
		[SLAB_FULL] = 1 << SLAB_OWNED | 1 << SLAB_PARTIAL,
		[SLAB_PARTIAL] = 1 << SLAB_OWNED,
	};

	assert(old.state <= SLAB_PARTIAL && new.state <= SLAB_PARTIAL);
	assert(allowed[old.state] & 1 << new.state);
	assert(new.state == SLAB_OWNED || !new.owner);
}
#else
static inline void slab_check(union slab_shared old, union slab_shared new)
{
	(void)old;
	(void)new;
}
#endif

/*
 * The one place where a slab's shared word changes. What was written to the slab before is there for whoever
 * reads the new word, and the other way round. Sequentially consistent: see slab_note_remote().
 */
static inline bool shared_cas(struct slab *slab, union slab_shared *old, union slab_shared new)
{
	slab_check(*old, new);
	return atomic_compare_exchange_weak_explicit(&slab->shared, &old->word, new.word,
						     memory_order_seq_cst, memory_order_seq_cst);
}

/* By who owns the slab, or has it alone. */
static void slab_set_state(struct slab *slab, enum slab_state state, struct thread *owner)
{
	struct nowait w = {0};
	union slab_shared old = slab_shared(slab, memory_order_acquire), new;

	do {
		new = old;
		new.state = (uint8_t)state;
		new.owner = frame_number((uintptr_t)owner);
		if (old.state == SLAB_FREE)
			new.generation++;
	} while (!nowait(&w, shared_cas(slab, &old, new)));
}

/* Of word `w`, what are objects that exist. */
static inline uint64_t carved_mask(const struct slab *slab, uint32_t w)
{
	uint32_t carved = load_folded(slab->carved);

	return carved / 64 > w ? ~UINT64_C(0) : (UINT64_C(1) << carved % 64) - 1;
}

static void slab_set_tails(struct slab *slab, uint8_t kind)
{
	for (uint32_t i = 1; i < slab->nr_frames; i++) {
		slab[i].kind = kind;
		slab[i].nr_frames = i;
	}
}

static void free_slab_frames(uintptr_t base, uint32_t n, bool reserved)
{
	if (reserved)
		reserve_free((void *)base, n);
	else
		frame_free((void *)base, n);
}

/*
 * For kfree(), which knows no offset of links, no threads that keep nothing, and no colours of caches that aren't
 * kmalloc's: these leave by its slow path.
 */
static uint16_t fast_offset(const struct kmem_cache *s, uintptr_t base)
{
	uint32_t colour = numa_is_on() ? numa_colour(node_of((void *)base)) : 0;
	bool coloured = numa_is_on() && numa_has_colours();

	if (s->offset || s->flags & CACHE_SHARED || (coloured && s->index >= NR_KMALLOC_CACHES))
		return offsetof(struct thread, never_free);
	return (uint16_t)(s->cpu_offset ^ colour);
}

/* Frames of s, with their maps. Not in one function with the claim of frames, which takes stack enough. */
static noinline struct slab *slab_make(struct kmem_cache *s, uintptr_t base, struct thread *owner)
{
	struct slab *slab = virt_to_slab((void *)base);

	slab->inverse = s->inverse;
	__atomic_store_n(&slab->limit, 0, __ATOMIC_RELAXED);
	slab->inuse = 0;
	slab->cpu_offset = fast_offset(s, base);
	slab->list = LIST_NONE;
	__atomic_store_n(&slab->carved, 0, __ATOMIC_RELAXED);
	slab->first = 0;
	slab->objects = s->objects;
	slab->next = slab->prev = slab;
	slab->nr_frames = s->nr_frames;
	slab->cache = s;
	slab->base = base;
	slab_set_tails(slab, FRAME_TAIL);
	atomic_fetch_add_explicit(&s->nr_slabs, 1, memory_order_relaxed);
	/* From here on it can be found, and mended, should this call never return. */
	slab_set_state(slab, SLAB_OWNED, owner);
	barrier();
	slab->kind = FRAME_SLAB;
	cache_count(s, ALLOC_SLAB, 1);
	return slab;
}

/* NULL where the frames are: so is what this returns. */
static struct slab *make_of(struct kmem_cache *s, struct thread *owner, void *base, bool reserved,
			    bool fresh)
{
	uint64_t *bits;

	if (!base)
		return NULL;
	bits = slab_maps_get((uintptr_t)base);
	if (!bits) {
		free_slab_frames((uintptr_t)base, s->nr_frames, reserved);
		return NULL;
	}
	/* For who reads figures of slabs that aren't his. */
	__atomic_store_n(&virt_to_slab(base)->bits, bits, __ATOMIC_RELAXED);
	virt_to_slab(base)->reserved = reserved;
	virt_to_slab(base)->fresh = fresh;
	return slab_make(s, (uintptr_t)base, owner);
}

struct slab *new_slab(struct kmem_cache *s, struct thread *owner, struct node *node)
{
	void *base = s->flags & CACHE_SHARED ? reserve_alloc(node, s->nr_frames) : NULL;
	bool reserved = base != NULL, zeroed = false;

	if (!base)
		base = frame_alloc_near(node, s->nr_frames, 1, &zeroed);
	return make_of(s, owner, base, reserved, zeroed);
}

struct slab *new_slab_on(struct kmem_cache *s, struct thread *owner, struct node *node)
{
	bool reserved = s->flags & CACHE_SHARED && reserve_total(), zeroed = false;
	void *base = reserved ? reserve_alloc_on(node, s->nr_frames)
			      : frame_alloc_on(node, s->nr_frames, &zeroed);

	return make_of(s, owner, base, reserved, zeroed);
}

void discard_slab(struct slab *slab)
{
	__atomic_store_n(&slab->limit, 0, __ATOMIC_RELAXED);
	slab->kind = FRAME_NONE;
	barrier();
	slab_set_tails(slab, FRAME_NONE);
	slab_set_state(slab, SLAB_FREE, NO_OWNER);
	cache_count(slab->cache, FREE_SLAB, 1);
	/* Release pairs with the acquire in cache_slot(): the cache is not looked at any more. */
	atomic_fetch_sub_explicit(&slab->cache->nr_slabs, 1, memory_order_release);
	free_slab_frames(slab->base, slab->nr_frames, slab->reserved);
}

/*
 * One word. In this order, so that an object is free by one of the maps at least; in both is he only until
 * the owner hands out the next.
 */
static uint32_t __collect_word(struct slab *slab, uint32_t w)
{
	_Atomic uint64_t *remote = slab_remote_word(slab, w);
	/* Acquire pairs with the OR in slab_set_remote(): what was written to the objects comes before. */
	uint64_t found = atomic_load_explicit(remote, memory_order_acquire);

	if (!found)
		return 0;
	*slab_free_word(slab, w) |= found;
	if (w < slab->first)
		slab->first = (uint16_t)w;
	barrier();
	atomic_fetch_and_explicit(remote, ~found, memory_order_acq_rel);
	return count_bits(found);
}

static uint32_t __collect_planes(struct slab *slab, uint32_t planes)
{
	uint32_t words = slab_words(slab), n = 0;

	for (; planes; planes &= planes - 1) {
		uint32_t w = (uint32_t)__builtin_ctz(planes) * PLANE_WORDS, end = w + PLANE_WORDS;

		for (; w < end && w < words; w++)
			n += __collect_word(slab, w);
	}
	return n;
}

/* Before any of what came is handed out: who set bits by then, and finds the count unchanged, has them. */
static void __count_collection(struct slab *slab)
{
	uint32_t n = atomic_load_explicit(&slab->collections, memory_order_relaxed);

	atomic_store_explicit(&slab->collections, n + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

uint32_t __slab_collect(struct slab *slab)
{
	uint32_t planes, n;

	if (!slab_has_remote(slab))
		return 0;
	/* Before the words are read: what comes later is noted anew. */
	planes = atomic_exchange_explicit(&slab->remote, 0, memory_order_seq_cst);
	n = __collect_planes(slab, planes);
	__count_collection(slab);
	slab->inuse -= n;
	return n;
}

/* What is in both maps is so because a collection ended in the middle: it has been handed to nobody. */
static uint32_t __count_free(struct slab *slab)
{
	uint32_t words = slab_words(slab), n = 0;

	for (uint32_t w = 0; w < words; w++) {
		uint64_t *word = slab_free_word(slab, w);

		*word &= carved_mask(slab, w);
		n += count_bits(*word);
	}
	return n;
}

void __slab_recover(struct slab *slab)
{
	slab_set_tails(slab, FRAME_TAIL);
	slab->kind = FRAME_SLAB;
	__collect_planes(slab, (1U << SLAB_PLANES) - 1);
	__count_collection(slab);
	slab->first = 0;
	slab->inuse = slab->carved - __count_free(slab);
	__atomic_store_n(&slab->limit, slab->carved * slab->cache->residue, __ATOMIC_RELAXED);
}

/*
 * Is no object in use, as far as the maps tell whose slab it isn't? Whoever frees the last one sees to it; the
 * last one completes its word.
 */
racy_reader static bool word_is_empty(const struct slab *slab, uint32_t w)
{
	uint64_t free = load_folded(*slab_free_word(slab, w)) |
			atomic_load_explicit(slab_remote_word(slab, w), memory_order_relaxed);

	return (~free & carved_mask(slab, w)) == 0;
}

racy_reader static bool is_empty(const struct slab *slab, uint32_t word)
{
	uint32_t words = slab_words(slab);

	if (!word_is_empty(slab, word))
		return false;
	for (uint32_t w = 0; w < words; w++) {
		if (!word_is_empty(slab, w))
			return false;
	}
	return true;
}

void slab_set_remote(struct slab *slab, const struct free_group *group)
{
	cache_count(slab->cache, FREE_REMOTE, count_bits(group->mask));
	atomic_fetch_or_explicit(slab_remote_word(slab, group->word), group->mask,
				 memory_order_seq_cst);
}

/*
 * Whoever reads the plane's bit as set, the bit that the owner clears before he collects, is seen by that
 * collection. Whoever reads the state as OWNED is seen by the owner before the slab is full and nobody's:
 * in __slab_release_full() he looks after the state has changed. All of these are in one order.
 */
enum free_result slab_note_remote(struct slab *slab, uint32_t word, union slab_shared before,
				  struct thread *adopter)
{
	uint8_t plane = (uint8_t)(1U << word / PLANE_WORDS);
	union slab_shared old, new;
	struct nowait w = {0};

	if (!(atomic_load_explicit(&slab->remote, memory_order_seq_cst) & plane))
		atomic_fetch_or_explicit(&slab->remote, plane, memory_order_seq_cst);
	old = slab_shared(slab, memory_order_seq_cst);
	do {
		if (old.state == SLAB_PARTIAL)
			return is_empty(slab, word) ? FREE_EMPTIED : FREE_PUSHED;
		if (old.state != SLAB_FULL || old.generation != before.generation)
			return FREE_PUSHED;
		new = old;
		new.state = adopter ? SLAB_OWNED : SLAB_PARTIAL;
		new.owner = frame_number((uintptr_t)adopter);
	} while (!nowait(&w, shared_cas(slab, &old, new)));
	return adopter ? FREE_ADOPTED : FREE_LISTED;
}

enum free_result slab_free_remote(struct slab *slab, const struct free_group *group,
				  struct thread *adopter)
{
	union slab_shared before = slab_shared(slab, memory_order_acquire);

	slab_set_remote(slab, group);
	return slab_note_remote(slab, group->word, before, adopter);
}

bool __slab_release_full(struct slab *slab)
{
	union slab_shared mine = slab_shared(slab, memory_order_acquire), full = mine;
	struct nowait w = {0};

	if (slab_has_remote(slab))
		return false;
	slab_set_state(slab, SLAB_FULL, NO_OWNER);
	full.state = SLAB_FULL;
	full.owner = 0;
	/* What came before the state had changed has no other owner to come to. */
	while (atomic_load_explicit(&slab->remote, memory_order_seq_cst)) {
		if (nowait(&w, shared_cas(slab, &full, mine)))
			return false;
		if (full.state != SLAB_FULL || full.generation != mine.generation)
			break;
	}
	return true;
}

void __slab_release_partial(struct slab *slab)
{
	slab_set_state(slab, SLAB_PARTIAL, NO_OWNER);
}

void slab_acquire_partial(struct slab *slab, struct thread *owner)
{
	slab_set_state(slab, SLAB_OWNED, owner);
}
