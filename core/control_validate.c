/*
 * `validate`: are the slabs of a cache what they say? Layer: control. Called through the table of attributes.
 *
 * Threads go on meanwhile. What a slab seems to have wrong is damage only if the slab has not changed from before the
 * look to some milliseconds after it; free objects are read from a copy of the slab, which the kernel makes, for the
 * slab may be gone by now.
 */
#include "control_attr.h"
#include "bits.h"
#include "control_snapshot.h"
#include "map.h"
#include "slab.h"

#include <errno.h>

/* Slabs have up to 32 frames. */
#define MAX_SLAB (32 * FRAME_SIZE)
#define SETTLE_MS 3
/* So often a slab must look damaged with nobody in the middle of it, out of so many looks. */
#define WRONG_ROUNDS 3U
#define MAX_ROUNDS 16U

struct check {
	const struct kmem_cache *cache;
	char *copy; /* MAX_SLAB bytes */
	size_t len; /* of it, what is a slab's */
	bool damaged;
};

/* Do the objects of the word that are free, by one map only, have their marks? Counts those in the owner's. */
racy_reader static bool word_is_right(const struct check *c, const struct slab *slab, uint32_t w,
				      uint32_t *nr_free)
{
	const struct kmem_cache *s = c->cache;
	uint64_t freed = atomic_load_explicit(slab_remote_word(slab, w), memory_order_relaxed);
	uint64_t free = load_folded(*slab_free_word(slab, w));

	*nr_free += count_bits(free);
	if (free & freed)
		return false;
	for (free |= freed; free; free &= free - 1) {
		uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(free);
		size_t place = (size_t)i * s->size + s->offset;

		/* The slot may get another cache meanwhile: what is right for one need not lie in the copy. */
		if (place + sizeof(struct free_object) > c->len)
			return false;
		if (((const struct free_object *)(c->copy + place))->state.mark != FREE_MARK)
			return false;
	}
	return true;
}

static bool maps_are_right(const struct check *c, const struct slab *slab,
			   const struct slab_snapshot *shot)
{
	uint32_t nr_free = 0;

	for (uint32_t w = 0; w < (shot->carved + 63) / 64; w++) {
		if (!word_is_right(c, slab, w, &nr_free))
			return false;
	}
	return nr_free == shot->carved - shot->inuse;
}

racy_reader static bool words_are_right(const struct kmem_cache *s, const struct slab *slab,
					const struct slab_snapshot *shot)
{
	return shot->shared.state != SLAB_FREE && shot->shared.state <= SLAB_PARTIAL &&
	       slab->inverse == s->inverse && slab->nr_frames == s->nr_frames &&
	       shot->objects == s->objects && shot->carved <= shot->objects &&
	       shot->inuse <= shot->carved && shot->freed <= shot->inuse &&
	       shot->limit == shot->carved * s->residue &&
	       (shot->shared.state == SLAB_OWNED || !shot->shared.owner) &&
	       (shot->shared.state != SLAB_FULL || shot->inuse == shot->objects) &&
	       virt_to_slab((void *)slab->base) == slab;
}

racy_reader static bool is_right(struct check *c, const struct slab *slab,
				 const struct slab_snapshot *shot)
{
	if (!words_are_right(c->cache, slab, shot))
		return false;
	/* No more than was carved: the rest may never have been touched. */
	c->len = (size_t)shot->carved * c->cache->size;
	if (c->len > MAX_SLAB)
		return false;
	/* Where the kernel makes no copy, the words must do. */
	if (!os_copy_memory(c->copy, (void *)slab->base, c->len))
		return true;
	return maps_are_right(c, slab, shot);
}

static bool is_unchanged(struct slab *slab, const struct kmem_cache *s,
			 const struct slab_snapshot *before)
{
	struct slab_snapshot now;

	return snapshot_slab(slab, s, &now) && snapshot_is_same(&now, before);
}

/* Is its owner in the middle of a call? There he may be kept for long: by the scheduler, or by a handler. */
racy_reader static bool is_under_way(const struct kmem_cache *s, const struct slab *slab)
{
	union slab_shared shared = slab_shared(slab, memory_order_relaxed);
	const struct slab *record = frame_to_slab(shared.owner);
	uintptr_t lock;

	if (shared.state != SLAB_OWNED)
		return false;
	/* Somebody without a record frees. */
	if (!shared.owner)
		return true;
	if (record->kind != FRAME_THREAD)
		return false;
	lock = thread_cpu((struct thread *)record->base, s->cpu_offset)->local_lock;
	return lock && lock != record->base;
}

racy_reader static bool check_slab(struct slab *slab, const struct slab_snapshot *seen, void *arg)
{
	struct check *c = arg;
	uint32_t wrong = 0;

	for (uint32_t round = 0; round < MAX_ROUNDS && wrong < WRONG_ROUNDS; round++) {
		bool busy;

		if (is_right(c, slab, seen))
			return true;
		busy = is_under_way(c->cache, slab);
		os_sleep_ms(SETTLE_MS);
		if (!is_unchanged(slab, c->cache, seen))
			return true;
		wrong += !busy;
	}
	c->damaged = wrong == WRONG_ROUNDS;
	return !c->damaged;
}

STORE(cache_validate_store)
{
	struct check c = {target->cache, NULL, 0, false};

	(void)a;
	if (len == 0 || text[0] != '1')
		return EINVAL;
	c.copy = os_map(MAX_SLAB);
	if (!c.copy)
		return ENOMEM;
	snapshot_each_slab(target->cache, check_slab, &c);
	os_unmap(c.copy, MAX_SLAB);
	return c.damaged ? EINVAL : 0;
}
