/*
 * What others than its owner see of a slab: a figure, or a suspicion. Layer: slab; see slab.h. Called where a double free
 * is suspected, and for figures.
 */
#include "slab.h"
#include "bits.h"

racy_reader bool may_be_free_object(const struct kmem_cache *s, const struct free_object *fo)
{
	const struct slab *slab = virt_to_slab(fo);

	/* As slab_of(), which ThreadSanitizer looks at. */
	if (slab->kind == FRAME_TAIL)
		slab -= slab->nr_frames;
	return (uintptr_t)fo >> OS_ADDRESS_BITS == 0 &&
	       (uintptr_t)fo % _Alignof(struct free_object) == 0 && slab->cache == s &&
	       (slab->kind == FRAME_SLAB || slab->kind == FRAME_RUN) && os_is_readable(fo);
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

racy_reader bool slab_has_free(const struct slab *slab, const struct free_object *fo)
{
	struct free_group g = free_group_of(slab, fo);
	uint64_t free = load_folded(*slab_free_word(slab, g.word)) |
			atomic_load_explicit(slab_remote_word(slab, g.word), memory_order_relaxed);

	return free & g.mask;
}

racy_reader uint32_t slab_count_remote(const struct slab *slab)
{
	uint32_t words = slab_words(slab), n = 0;

	for (uint32_t w = 0; w < words; w++)
		n += count_bits(
			atomic_load_explicit(slab_remote_word(slab, w), memory_order_relaxed));
	return n;
}
