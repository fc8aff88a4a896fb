/*
 * The kmalloc caches, made by the compiler: there is nothing to initialise. Layer: caches.
 */
#include "caches.h"
#include "slab.h"

/*
 * One frame a slab: kfree() finds everything in the struct slab of the object's own frame. Of the largest
 * classes two objects fit; what is left behind them is never touched.
 */
#define CACHE(i)                                                    \
	[i] = {                                                     \
		.bottom = SHEAF_BOTTOMS(SHEAF_SIZE(CLASS_SIZE(i))), \
		.size = CLASS_SIZE(i),                              \
		.object_size = CLASS_SIZE(i),                       \
		.objects = (uint32_t)FRAME_SIZE / CLASS_SIZE(i),    \
		.inverse = SLAB_INVERSE(CLASS_SIZE(i)),             \
		.residue = SLAB_RESIDUE(CLASS_SIZE(i)),             \
		.cpu_offset = offsetof(struct thread, cpu[i]),      \
		.lists_offset = offsetof(struct thread, lists[i]),  \
		.nr_frames = 1,                                     \
		.sheaf = SHEAF_SIZE(CLASS_SIZE(i)),                 \
		.max_grade = SHEAF_MAX_GRADE(CLASS_SIZE(i)),        \
		.index = i,                                         \
		.refcount = 1,                                      \
	}
#define CACHES8(i)                                                                      \
	CACHE(i), CACHE(i + 1), CACHE(i + 2), CACHE(i + 3), CACHE(i + 4), CACHE(i + 5), \
		CACHE(i + 6), CACHE(i + 7)

struct kmem_cache kmalloc_caches[NR_KMALLOC_CACHES] = {
	CACHES8(0),  CACHES8(8),  CACHES8(16), CACHES8(24), CACHES8(32),
	CACHES8(40), CACHES8(48), CACHES8(56), CACHES8(64), CACHE(NR_SIZE_CLASSES),
};
static_assert(CLASS_SIZE(NR_SIZE_CLASSES - 1) == KMALLOC_MAX_SIZE, "the last class");

#define RUNS(n)                                                        \
	[(n)-1] = {                                                    \
		.bottom = SHEAF_BOTTOMS(RUN_SHEAF_SIZE),               \
		.size = (n)*FRAME_SIZE,                                \
		.object_size = (n)*FRAME_SIZE,                         \
		.objects = 1,                                          \
		.inverse = SLAB_INVERSE((n)*FRAME_SIZE),               \
		.residue = SLAB_RESIDUE((n)*FRAME_SIZE),               \
		.cpu_offset = offsetof(struct thread, run_cpu[(n)-1]), \
		.nr_frames = (n),                                      \
		.sheaf = RUN_SHEAF_SIZE,                               \
		.max_grade = RUN_SHEAF_MAX_GRADE,                      \
		.flags = CACHE_RUNS,                                   \
		.refcount = 1,                                         \
	}

/* Of a size that tells the first byte of any run from all others in its frame. */
struct kmem_cache run_caches[NR_RUN_CACHES] = {
	RUNS(1),
	RUNS(2),
	RUNS(3),
	RUNS(4),
	[RUNS_MIXED] =
		{
			.bottom = {SHEAF_BOTTOM(0), SHEAF_BOTTOM(2 * MIXED_SHEAF_SIZE)},
			.size = RUN_MIXED_MAX,
			.object_size = RUN_MIXED_MAX,
			.objects = 1,
			.inverse = SLAB_INVERSE(RUN_MIXED_MAX),
			.residue = SLAB_RESIDUE(RUN_MIXED_MAX),
			.cpu_offset = offsetof(struct thread, run_cpu[RUNS_MIXED]),
			.nr_frames = RUN_FRAMES_MAX,
			.sheaf = MIXED_SHEAF_SIZE,
			.max_grade = MIXED_SHEAF_OPEN,
			.flags = CACHE_RUNS,
			.refcount = 1,
		},
};
static_assert(SLAB_INVERSE(RUN_MIXED_MAX) > RUN_MIXED_MAX, "any size up to there is a limit");

struct kmem_cache user_caches[NR_USER_CACHES];
early_data _Atomic uint32_t nr_user_caches;
early_data _Atomic uint32_t nr_destroyed;

#define CLASS(i) [i] = offsetof(struct thread, cpu[CLASS_OF((i)*16)])
#define CLASS8(i)                                                                       \
	CLASS(i), CLASS(i + 1), CLASS(i + 2), CLASS(i + 3), CLASS(i + 4), CLASS(i + 5), \
		CLASS(i + 6), CLASS(i + 7)

#define CLASS64(i)                                                                                \
	CLASS8(i), CLASS8(i + 8), CLASS8(i + 16), CLASS8(i + 24), CLASS8(i + 32), CLASS8(i + 40), \
		CLASS8(i + 48), CLASS8(i + 56)
#define CLASS512(i)                                                                        \
	CLASS64(i), CLASS64(i + 64), CLASS64(i + 128), CLASS64(i + 192), CLASS64(i + 256), \
		CLASS64(i + 320), CLASS64(i + 384), CLASS64(i + 448)

const uint16_t kmalloc_cpu_offsets[KMALLOC_MAX_SIZE / 16 + 1] = {
	[0] = offsetof(struct thread, cpu[0]),
	CLASS512(1),
	CLASS512(513),
	CLASS512(1025),
	CLASS512(1537),
};
