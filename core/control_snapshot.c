/*
 * Walks over the heap's metadata. Layer: control; see control_snapshot.h.
 *
 * Struct slab is type-stable and sections are never removed: there is nothing here that could not be read. A frame
 * that changes its kind in the middle of the walk is what it was or what it becomes.
 */
#include "control_snapshot.h"
#include "bitmap.h"
#include "frame.h"
#include "large.h"
#include "slab.h"
#include "thread.h"

/* So often a slab may change while it is read. What others change all the time is taken as it was last seen. */
#define MAX_READS 16

racy_reader static uint64_t hash_maps(const struct slab *slab, uint32_t carved)
{
	uint64_t hash = 0;

	for (uint32_t w = 0; w < (carved + 63) / 64 && w < SLAB_PLANES * PLANE_WORDS; w++) {
		uint64_t freed =
			atomic_load_explicit(slab_remote_word(slab, w), memory_order_relaxed);

		hash = (hash + load_folded(*slab_free_word(slab, w))) *
		       UINT64_C(0x9E3779B97F4A7C15);
		hash = (hash + freed) * UINT64_C(0x9E3779B97F4A7C15);
	}
	return hash;
}

racy_reader static void read_slab(struct slab *slab, struct slab_snapshot *shot)
{
	shot->shared = slab_shared(slab, memory_order_acquire);
	/* Before `inuse`: what is collected in between is then missing from both, rather than in both. */
	shot->freed = slab_count_remote(slab);
	atomic_thread_fence(memory_order_acquire);
	shot->limit = load_folded(slab->limit);
	shot->inuse = load_folded(slab->inuse);
	shot->carved = load_folded(slab->carved);
	shot->objects = load_folded(slab->objects);
	shot->maps = hash_maps(slab, shot->carved);
	atomic_thread_fence(memory_order_acquire);
}

bool snapshot_is_same(const struct slab_snapshot *one, const struct slab_snapshot *other)
{
	return one->shared.word == other->shared.word && one->limit == other->limit &&
	       one->maps == other->maps && one->inuse == other->inuse &&
	       one->carved == other->carved && one->objects == other->objects;
}

racy_reader bool snapshot_slab(struct slab *slab, const struct kmem_cache *s,
			       struct slab_snapshot *shot)
{
	struct slab_snapshot before;
	uint32_t reads = 0;

	do {
		read_slab(slab, &before);
		barrier();
		read_slab(slab, shot);
	} while (!snapshot_is_same(&before, shot) && ++reads < MAX_READS);
	if (slab->kind != FRAME_SLAB || slab->cache != s)
		return false;
	shot->in_use = shot->inuse > shot->freed ? shot->inuse - shot->freed : 0;
	if (shot->in_use > shot->objects)
		shot->in_use = shot->objects;
	return reads < MAX_READS;
}

racy_reader void snapshot_each_slab(const struct kmem_cache *s,
				    bool (*fn)(struct slab *slab, const struct slab_snapshot *shot,
					       void *arg),
				    void *arg)
{
	struct slab_snapshot shot;
	struct section *sec;

	for_each_section(sec, nr) {
		for (uint32_t i = 0;; i++) {
			struct slab *slab;

			i = bitmap_next(sec->used, i, SECTION_FRAMES, true);
			if (i == SECTION_FRAMES)
				break;
			slab = &sec->slabs[i];
			if (load_folded(slab->kind) != FRAME_SLAB || load_folded(slab->cache) != s)
				continue;
			snapshot_slab(slab, s, &shot);
			if (!fn(slab, &shot, arg))
				return;
		}
	}
}

racy_reader static bool add_slab(struct slab *slab, const struct slab_snapshot *shot, void *arg)
{
	struct cache_snapshot *all = arg;
	uint64_t *figures = all->node[node_control_of((void *)slab->base) % MAX_NODES];

	figures[FIGURE_SLABS]++;
	figures[FIGURE_TOTAL_OBJECTS] += shot->objects;
	figures[FIGURE_OBJECTS] += shot->in_use;
	if (shot->shared.state == SLAB_PARTIAL) {
		figures[FIGURE_PARTIAL]++;
		figures[FIGURE_OBJECTS_PARTIAL] += shot->in_use;
	} else if (shot->shared.state == SLAB_OWNED && shot->shared.owner != 0) {
		figures[FIGURE_CPU_SLABS]++;
	}
	return true;
}

/* Objects in sheaves are in use to their slabs, but free; which slabs those are, nobody can look at. */
static void subtract_sheaves(struct cache_snapshot *all, uint64_t free)
{
	uint64_t total = 0, left;

	for (uint32_t node = 0; node < MAX_NODES; node++)
		total += all->node[node][FIGURE_OBJECTS];
	left = free = free < total ? free : total;
	for (uint32_t node = 0; node < MAX_NODES && left; node++) {
		uint64_t *objects = &all->node[node][FIGURE_OBJECTS];
		uint64_t share = total ? (free * *objects + total - 1) / total : 0;

		share = share < left ? share : left;
		*objects -= share;
		left -= share;
	}
}

const struct cache_snapshot *snapshot_cache(const struct kmem_cache *s)
{
	static struct cache_snapshot *all;
	/* Before the walk: what is flushed in between is then free twice, rather than not at all. */
	uint64_t free = thread_count_free(s);

	if (!all)
		all = os_map(sizeof(*all));
	if (!all)
		return NULL;
	__builtin_memset(all, 0, sizeof(*all));
	snapshot_each_slab(s, add_slab, all);
	subtract_sheaves(all, free);
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		for (uint32_t i = 0; i < NR_FIGURES; i++)
			all->sum[i] += all->node[node][i];
	}
	return all;
}

racy_reader static void add_frame(struct node_snapshot *shot, const struct slab *slab)
{
	uint64_t bytes = (uint64_t)slab->nr_frames * FRAME_SIZE;

	switch ((enum frame_kind)slab->kind) {
	case FRAME_SLAB:
		shot->slab += bytes;
		break;
	case FRAME_RUN:
		shot->runs += large_size(slab);
		break;
	case FRAME_THREAD:
		shot->threads += FRAME_SIZE;
		break;
	case FRAME_NONE:
	case FRAME_TAIL:
	case FRAME_MAPPED:
		break;
	}
}

racy_reader void snapshot_node(uint32_t node, struct node_snapshot *shot)
{
	struct section *sec;

	*shot = (struct node_snapshot){0};
	for_each_section(sec, nr) {
		for (uint32_t i = 0; i < SECTION_FRAMES; i++) {
			i = bitmap_next(sec->reserved, i, SECTION_FRAMES, true);
			if (i == SECTION_FRAMES)
				break;
			if (node_control_of(frame_address(sec, i)) != node)
				continue;
			if (bitmap_test(sec->used, i, 1, true))
				add_frame(shot, &sec->slabs[i]);
			else if (bitmap_test(sec->dirty, i, 1, true))
				shot->idle += FRAME_SIZE;
		}
	}
}
