// SPDX-License-Identifier: MIT
/*
 * floor: the least that malloc and free can cost, as a yardstick for bench/compare.
 *
 * One freelist per size class, called through the PLT like every preloaded allocator, and nothing
 * else: no threads, no checks, nothing ever given back to the kernel. Programs with a second
 * thread break under it. It is built as libfloor.so and belongs to no installed package.
 *
 *   list[class]        the free objects of a class, linked through their first word; LIFO
 *   frame_class[i]     the class of the i-th 64 KiB frame of the region, so that free() needs no
 *                      header; of a large object only its first frame's entry is read
 *   size_class[n]      the class of a request of 16 * (n - 1) + 1 to 16 * n bytes
 *
 * Class 0 holds no object, ever: before set_up() every small size maps to it and falls through to
 * the slow path, so that the fast path has no test for it. Small classes come next (16 to 128 in
 * steps of 16, then eight per doubling up to 32 KiB), then large ones, one per power of two.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)

enum {
	GRAIN = 16,
	FRAME_SHIFT = 16,
	REGION_SHIFT = 36,
	SMALL_MAX = 32 * 1024,
	NR_LINEAR = 8,
	NR_SMALL = NR_LINEAR + 8 * 8,
	NR_LARGE = REGION_SHIFT - FRAME_SHIFT + 1,
	FIRST_LARGE = 1 + NR_SMALL,
	NR_CLASSES = FIRST_LARGE + NR_LARGE,
};

#define FRAME_SIZE ((size_t)1 << FRAME_SHIFT)
#define REGION_SIZE ((size_t)1 << REGION_SHIFT)
#define NR_FRAMES (REGION_SIZE >> FRAME_SHIFT)

_Static_assert(NR_CLASSES <= UINT8_MAX, "a class fits the byte in frame_class");

struct object {
	struct object *next;
};

static struct object *list[NR_CLASSES];
static uint8_t frame_class[NR_FRAMES];
static uint8_t size_class[SMALL_MAX / GRAIN + 1];
static size_t class_size[NR_CLASSES];
static uintptr_t bump; /* the first address of the region that was never used */
static uintptr_t region_end;

static inline size_t frame_of(const void *p)
{
	return ((uintptr_t)p >> FRAME_SHIFT) & (NR_FRAMES - 1);
}

static inline size_t grains(size_t size)
{
	return (size + GRAIN - 1) / GRAIN;
}

static void set_up_classes(void)
{
	size_t size = 0, step = GRAIN;
	uint8_t c;

	for (c = 1; c < FIRST_LARGE; c++) {
		/* Class 8 is of 128 bytes, 16 of 256, 24 of 512: from there on the step doubles. */
		if (c > NR_LINEAR + 1 && (c - 1) % 8 == 0)
			step *= 2;
		for (size_t n = grains(size) + 1; n <= grains(size + step); n++)
			size_class[n] = c;
		size += step;
		class_size[c] = size;
	}
	size_class[0] = 1;
	for (; c < NR_CLASSES; c++)
		class_size[c] = FRAME_SIZE << (c - FIRST_LARGE);
}

/* The region is aligned to its size: then frame_of() needs no base address. */
static bool set_up(void)
{
	void *p = mmap(NULL, 2 * REGION_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	bump = ((uintptr_t)p + REGION_SIZE - 1) & ~(REGION_SIZE - 1);
	region_end = bump + REGION_SIZE;
	set_up_classes();
	return true;
}

/* Frames for one object of @size bytes, or for a slab of them; aligned to its own size. */
static void *take_frames(size_t size, uint8_t c)
{
	uintptr_t p = (bump + size - 1) & ~(uintptr_t)(size - 1);

	if (p + size > region_end) {
		errno = ENOMEM;
		return NULL;
	}
	bump = p + size;
	frame_class[frame_of((void *)p)] = c;
	return (void *)p;
}

static void *refill(uint8_t c)
{
	size_t size = class_size[c];
	struct object **link = &list[c];
	char *slab = take_frames(FRAME_SIZE, c);

	if (!slab)
		return NULL;
	for (size_t at = size; at + size <= FRAME_SIZE; at += size) {
		*link = (struct object *)(void *)(slab + at);
		link = &(*link)->next;
	}
	*link = NULL;
	return slab;
}

static void *malloc_large(size_t size)
{
	unsigned int order;
	struct object *o;
	uint8_t c;

	if (size > REGION_SIZE) {
		errno = ENOMEM;
		return NULL;
	}
	order = size <= FRAME_SIZE ? 0 : 64U - FRAME_SHIFT - (unsigned)__builtin_clzl(size - 1);
	c = (uint8_t)(FIRST_LARGE + order);
	o = list[c];
	if (!o)
		return take_frames(FRAME_SIZE << order, c);
	list[c] = o->next;
	return o;
}

static __attribute__((noinline)) void *malloc_slow(size_t size)
{
	if (!bump && !set_up()) {
		errno = ENOMEM;
		return NULL;
	}
	if (size > SMALL_MAX)
		return malloc_large(size);
	return refill(size_class[grains(size)]);
}

EXPORT void *malloc(size_t size)
{
	if (likely(size <= SMALL_MAX)) {
		struct object **head = &list[size_class[grains(size)]];
		struct object *o = *head;

		if (likely(o)) {
			*head = o->next;
			return o;
		}
	}
	return malloc_slow(size);
}

EXPORT void free(void *p)
{
	struct object **head, *o = p;

	if (!p)
		return;
	head = &list[frame_class[frame_of(p)]];
	o->next = *head;
	*head = o;
}

EXPORT size_t malloc_usable_size(void *p)
{
	return p ? class_size[frame_class[frame_of(p)]] : 0;
}

EXPORT void *calloc(size_t n, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(total);
	return p ? memset(p, 0, total) : NULL;
}

EXPORT void *realloc(void *p, size_t size)
{
	size_t old = malloc_usable_size(p);
	void *q;

	/* An object stays where it is while the new size fills at least half of it. */
	if (size <= old && size > old / 2)
		return p;
	if (p && !size) {
		free(p);
		return NULL;
	}
	q = malloc(size);
	if (q && p) {
		memcpy(q, p, size < old ? size : old);
		free(p);
	}
	return q;
}

/* Slabs begin on frames, large objects on their size: powers of two lie at multiples of it. */
EXPORT void *memalign(size_t align, size_t size)
{
	size_t n = GRAIN;

	if (align <= GRAIN)
		return malloc(size);
	while (n < size || n < align) {
		if (n >= REGION_SIZE) {
			errno = ENOMEM;
			return NULL;
		}
		n *= 2;
	}
	return malloc(n);
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
	void *p = memalign(align, size);

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}
