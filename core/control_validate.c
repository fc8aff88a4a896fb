/*
 * `validate`: are the slabs of a cache what they say? Layer: control. Called through the table of attributes.
 *
 * Threads go on meanwhile. What a slab seems to have wrong is damage only if the slab has not changed from before the
 * look to some milliseconds after it; free objects are read from a copy of the slab, which the kernel makes, for the
 * slab may be gone by now.
 */
#include "control_attr.h"
#include "control_snapshot.h"
#include "map.h"
#include "slab.h"

#include <errno.h>

/* Slabs have up to 32 frames. */
#define MAX_SLAB (32 * FRAME_SIZE)
#define SETTLE_MS 3

struct check {
	const struct kmem_cache *cache;
	char *copy; /* MAX_SLAB bytes */
	bool damaged;
};

/* The object's place in the slab's copy; NULL: there is no object there, or none that exists. */
racy_reader static const struct free_object *copied(const struct check *c, const struct slab *slab,
						    uintptr_t object, uint32_t carved)
{
	const struct kmem_cache *s = c->cache;
	uintptr_t offset = object - s->offset - slab->base;

	if (object < slab->base + s->offset || offset % s->size != 0 || offset / s->size >= carved)
		return NULL;
	return (const struct free_object *)(c->copy + offset + s->offset);
}

/* Does the list lead over so many objects of the slab to its end? */
racy_reader static bool list_is_whole(const struct check *c, const struct slab *slab,
				      uintptr_t first, uint32_t count, uint32_t carved)
{
	while (first && count) {
		const struct free_object *fo = copied(c, slab, first, carved);

		if (!fo || fo->state.mark != FREE_MARK)
			return false;
		first = (uintptr_t)fo->next;
		count--;
	}
	return !first && !count;
}

static bool lists_are_whole(const struct check *c, const struct slab *slab,
			    const struct slab_snapshot *shot)
{
	uintptr_t remote = shot->remote.head
				   ? slab->base + c->cache->offset +
					     (shot->remote.head - 1) * (uintptr_t)MIN_ALIGN
				   : 0;

	/* Of a full slab's lists the one word says all, and nobody owns the others. */
	if (shot->remote.state == SLAB_FULL)
		return remote == 0 && shot->remote.count == 0;
	return list_is_whole(c, slab, (uintptr_t)shot->freelist, shot->carved - shot->inuse,
			     shot->carved) &&
	       list_is_whole(c, slab, remote, shot->remote.count, shot->carved);
}

racy_reader static bool words_are_right(const struct kmem_cache *s, const struct slab *slab,
					const struct slab_snapshot *shot)
{
	bool nobodys = shot->remote.state == SLAB_PARTIAL || shot->remote.state == SLAB_FULL;

	return shot->remote.state != SLAB_FREE && shot->remote.state <= SLAB_PARTIAL &&
	       slab->inverse == s->inverse && slab->nr_frames == s->nr_frames &&
	       shot->objects == s->objects && shot->carved <= shot->objects &&
	       shot->inuse <= shot->carved && shot->remote.count <= shot->inuse &&
	       shot->limit == shot->carved * s->residue &&
	       virt_to_slab((void *)slab->base) == slab && (!nobodys || shot->owner == NO_OWNER);
}

racy_reader static bool is_right(const struct check *c, const struct slab *slab,
				 const struct slab_snapshot *shot)
{
	if (!words_are_right(c->cache, slab, shot))
		return false;
	/* Where the kernel makes no copy, the words must do. */
	if (!os_copy_memory(c->copy, (void *)slab->base, slab->nr_frames * FRAME_SIZE))
		return true;
	return lists_are_whole(c, slab, shot);
}

static bool is_unchanged(struct slab *slab, const struct kmem_cache *s,
			 const struct slab_snapshot *before)
{
	struct slab_snapshot now;

	return snapshot_slab(slab, s, &now) && now.remote.word == before->remote.word &&
	       now.freelist == before->freelist && now.owner == before->owner &&
	       now.inuse == before->inuse && now.carved == before->carved &&
	       now.limit == before->limit;
}

racy_reader static bool check_slab(struct slab *slab, const struct slab_snapshot *seen, void *arg)
{
	struct check *c = arg;
	struct slab_snapshot shot = *seen;

	if (slab->nr_frames * FRAME_SIZE > MAX_SLAB)
		return true;
	for (int round = 0; round < 3; round++) {
		if (is_right(c, slab, &shot))
			return true;
		os_sleep_ms(SETTLE_MS);
		if (!is_unchanged(slab, c->cache, &shot))
			return true;
	}
	c->damaged = true;
	return false;
}

STORE(cache_validate_store)
{
	struct check c = {target->cache, NULL, false};

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
