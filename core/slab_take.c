/*
 * Slabs: carving, and taking what is free for a sheaf. Layer: slab. See slab.h. Called by thread and kmem_cache.
 */
#include "slab.h"

/* Objects [from, to) become free; what the maps' words held beyond is of another time. */
static void __set_carved_free(struct slab *slab, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i = (i / 64 + 1) * 64) {
		uint32_t end = to / 64 == i / 64 ? to % 64 : 64;
		uint64_t below = end < 64 ? (UINT64_C(1) << end) - 1 : ~UINT64_C(0);
		uint64_t before = (UINT64_C(1) << i % 64) - 1;
		uint64_t *word = slab_free_word(slab, i / 64);

		*word = (*word & before) | (below & ~before);
	}
}

/* Of this one and those behind it. */
static void __mark_free(const struct kmem_cache *s, char *object, uint32_t n)
{
	size_t size = s->size;
	char *at = object + s->offset, *end = at + n * size;

	for (; at < end; at += size)
		((struct free_object *)at)->state = (union free_state){.mark = FREE_MARK};
}

/*
 * Makes more objects where not all exist yet; there is no other free one. Of fresh memory up to the end of a page: the
 * next one stays untouched until it is needed. Of memory that has been used as many as are wanted, if that is more.
 */
static void __slab_carve(struct slab *slab, uint32_t want)
{
	const struct kmem_cache *s = slab->cache;
	uint32_t left = slab->objects - slab->carved, n;
	char *object = (char *)slab->base + (size_t)slab->carved * s->size;
	size_t room = CARVE_SIZE - ((uintptr_t)object & (CARVE_SIZE - 1));

	if (!left)
		return;
	n = (uint32_t)(room / s->size);
	if (n == 0)
		n = 1;
	if (!slab->fresh && n < want)
		n = want;
	if (n > left)
		n = left;
	for (uint32_t i = 0; s->ctor && i < n; i++)
		s->ctor(object + (size_t)i * s->size);
	__mark_free(s, object, n);
	__set_carved_free(slab, slab->carved, slab->carved + n);
	slab->first = (uint16_t)(slab->carved / 64);
	barrier();
	/* Others read it, for their frees and for figures. */
	__atomic_store_n(&slab->carved, slab->carved + n, __ATOMIC_RELAXED);
	__atomic_store_n(&slab->limit, slab->carved * s->residue, __ATOMIC_RELAXED);
}

/* A sheaf in the making, from its top down. */
struct linking {
	struct free_object **link; /* where the next goes */
	union free_state state;	   /* what that says */
	uint32_t left;		   /* so many more */
};

/*
 * Objects side by side: `n` of them, the first at `fo`. The compiler can't know that objects are no caches: their size is
 * not read in here.
 */
static inline void link_row(struct linking *l, char *at, size_t size, uint32_t n)
{
	char *last = at + (n - 1) * size;
	uint64_t word = l->state.word;

	*l->link = (struct free_object *)at;
	for (; at < last; at += size, word++) {
		((struct free_object *)at)->state.word = word;
		((struct free_object *)at)->next = (struct free_object *)(at + size);
	}
	((struct free_object *)at)->state.word = word;
	l->state.word = word + 1;
	l->link = &((struct free_object *)at)->next;
	l->left -= n;
}

/* Objects here and there, the first of the word's at `base`. Returns the bits that are left. */
static inline uint64_t link_bits(struct linking *l, char *base, size_t size, uint64_t bits)
{
	struct free_object **link = l->link;
	uint64_t word = l->state.word, end = word + l->left;

	for (; bits && word != end; bits &= bits - 1, word++) {
		size_t i = (size_t)__builtin_ctzll(bits);
		struct free_object *fo = (struct free_object *)(base + i * size);

		fo->state.word = word;
		*link = fo;
		link = &fo->next;
	}
	l->left = (uint32_t)(end - word);
	l->state.word = word;
	l->link = link;
	return bits;
}

/* Those of one word of the map. Returns the bits that are left. */
static inline uint64_t link_word(struct linking *l, char *base, size_t size, uint64_t bits)
{
	uint32_t skip = (uint32_t)__builtin_ctzll(bits), n;

	/* All in a row, as in a slab that nothing was freed of yet, or everything, they are had for half the price. */
	if (bits & (bits + (bits & -bits)))
		return link_bits(l, base, size, bits);
	n = 64 - (uint32_t)__builtin_clzll(bits) - skip;
	n = n < l->left ? n : l->left;
	link_row(l, base + skip * size, size, n);
	return bits & ~(((UINT64_C(2) << ((n - 1) & 63)) - 1) << skip);
}

/* The `n` lowest of the map; *w: the word of the last; returns what is left of that one. */
static uint64_t __link_lowest(const struct slab *slab, uint32_t n, uint32_t *w,
			      struct free_object *bottom, struct free_object **list)
{
	size_t size = slab->cache->size;
	char *base = (char *)slab->base + slab->cache->offset;
	struct linking l = {
		.link = list,
		.state = {.room = bottom->state.room - n, .mark = FREE_MARK},
		.left = n,
	};

	for (;; ++*w) {
		uint64_t bits = *slab_free_word(slab, *w);

		if (bits)
			bits = link_word(&l, base + *w * (size_t)64 * size, size, bits);
		if (!l.left) {
			*l.link = bottom;
			return bits;
		}
	}
}

uint32_t __slab_take(struct slab *slab, uint32_t want, struct free_object *bottom,
		     struct free_object **list)
{
	struct free_object *first;
	uint32_t n, w;
	uint64_t left;

	assert(want <= bottom->state.room);
	if (slab->inuse == slab->carved && !__slab_collect(slab))
		__slab_carve(slab, want);
	n = slab->carved - slab->inuse;
	if (!n)
		return 0;
	if (n > want)
		n = want;
	w = slab->first;
	left = __link_lowest(slab, n, &w, bottom, &first);
	/* In this order: where it ends in between, *list has what the map may still have. */
	*list = first;
	barrier();
	for (uint32_t i = slab->first; i < w; i++)
		*slab_free_word(slab, i) = 0;
	*slab_free_word(slab, w) = left;
	slab->first = (uint16_t)w;
	slab->inuse += n;
	return n;
}
