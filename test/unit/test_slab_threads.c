/* One slab under threads: others' frees against collection, and the race for a full slab. */
#include "slabs.h"
#include "unit.h"

#include "core/caches.h"
#include "core/frame.h"
#include "core/options.h"

#define NR_FREERS 3U
#define RING 64U

/* From the owner to one of the threads that free: one writes, one reads. */
struct ring {
	_Atomic(struct free_object *) slots[RING];
	struct slab *slab;
	unsigned int id;
	uint64_t freed;
};

static _Atomic bool done;

static struct free_object *ring_get(struct ring *ring, unsigned int i)
{
	return atomic_exchange_explicit(&ring->slots[i % RING], NULL, memory_order_acquire);
}

static bool ring_put(struct ring *ring, unsigned int i, struct free_object *fo)
{
	struct free_object *none = NULL;

	return atomic_compare_exchange_strong_explicit(&ring->slots[i % RING], &none, fo,
						       memory_order_release, memory_order_relaxed);
}

static void free_group(struct ring *ring, struct free_group *group)
{
	must(slab_free_remote(ring->slab, group, NO_OWNER) == FREE_PUSHED);
	ring->freed += (uint32_t)__builtin_popcountll(group->mask);
	group->mask = 0;
}

/* Frees in groups of one to four, as they come, where their bits are of one word. */
static void *free_what_comes(void *arg)
{
	struct ring *ring = arg;
	struct free_group group = {0};
	bool last;

	do {
		last = atomic_load(&done);
		for (unsigned int i = 0; i < RING; i++) {
			struct free_object *fo = ring_get(ring, i);
			struct free_group one;

			if (!fo)
				continue;
			/* Written while it was in use, by the owner; another holder would race. */
			must(fo->state.word == 0);
			fo->state.mark = FREE_MARK;
			one = free_group_of(ring->slab, fo);
			if (group.mask && one.word != group.word)
				free_group(ring, &group);
			group.word = one.word;
			must(!(group.mask & one.mask));
			group.mask |= one.mask;
			if ((unsigned int)__builtin_popcountll(group.mask) >= 1 + i % 4)
				free_group(ring, &group);
		}
	} while (!last);
	if (group.mask)
		free_group(ring, &group);
	return NULL;
}

/* Hands objects round; where a ring has no room, frees by itself. */
static uint64_t hand_out(struct slab *slab, struct ring *rings)
{
	uint64_t seed = 11, handed = 0;

	for (unsigned int turn = 0; turn < ROUNDS(400000); turn++) {
		struct free_object *list, *next;

		if (!slab_take(slab, 1 + turn % 7, &list))
			continue;
		for (; !freelist_is_end(slab->cache, list); list = next) {
			next = list->next;
			must(list->state.mark == FREE_MARK);
			list->state.word = 0;
			if (ring_put(&rings[random_below(&seed, NR_FREERS)],
				     (unsigned int)random_next(&seed), list)) {
				handed++;
				continue;
			}
			list->state.mark = FREE_MARK;
			__slab_put(slab, list);
		}
	}
	return handed;
}

static void no_object_is_lost_or_doubled(void **state)
{
	static struct ring rings[NR_FREERS];
	struct kmem_cache *s = &kmalloc_caches[size_class(256)];
	struct slab *slab = new_slab(s, NO_OWNER, &first_node);
	pthread_t threads[NR_FREERS];
	uint64_t handed, freed = 0;
	struct free_object *list;
	uint32_t n = 0;

	(void)state;
	for (unsigned int i = 0; i < NR_FREERS; i++) {
		rings[i].slab = slab;
		assert_false(pthread_create(&threads[i], NULL, free_what_comes, &rings[i]));
	}
	handed = hand_out(slab, rings);
	atomic_store(&done, true);
	for (unsigned int i = 0; i < NR_FREERS; i++) {
		pthread_join(threads[i], NULL);
		freed += rings[i].freed;
	}
	assert_int_equal(freed, handed);
	__slab_collect(slab);
	assert_int_equal(slab->inuse, 0);
	while (slab_take(slab, s->sheaf, &list)) {
		for (; !freelist_is_end(s, list); list = list->next)
			n++;
	}
	assert_int_equal(n, s->objects);
	discard_slab(slab);
}

struct racer {
	struct slab *slab;
	struct free_object *fo;
	bool may_adopt;
	enum free_result result;
};

#define ADOPTER ((struct thread *)(uintptr_t)0x10000)

static pthread_barrier_t start;

static void *free_one(void *arg)
{
	struct racer *r = arg;
	struct free_group group = free_group_of(r->slab, r->fo);

	pthread_barrier_wait(&start);
	r->fo->state.mark = FREE_MARK;
	r->result = slab_free_remote(r->slab, &group, r->may_adopt ? ADOPTER : NO_OWNER);
	return NULL;
}

static unsigned int count_results(const struct racer *racers, unsigned int n,
				  enum free_result result)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		count += racers[i].result == result;
	return count;
}

/* Eight objects, eight threads; the first free decides whose the slab is. */
static void race(bool may_adopt)
{
	struct slab *slab = new_slab(&kmalloc_caches[size_class(8192)], NO_OWNER, &first_node);
	enum free_result first = may_adopt ? FREE_ADOPTED : FREE_LISTED;
	struct racer racers[8];
	struct free_object *fo;

	for (unsigned int i = 0; i < 8; i++) {
		must(slab_take(slab, 1, &fo) == 1);
		fo->state.word = 0;
		racers[i] = (struct racer){slab, fo, may_adopt, FREE_PUSHED};
	}
	assert_true(__slab_release_full(slab));
	pthread_barrier_init(&start, NULL, 8);
	run_threads(8, free_one, racers, sizeof(racers[0]));
	assert_int_equal(count_results(racers, 8, first), 1);
	if (may_adopt) {
		assert_int_equal(count_results(racers, 8, FREE_PUSHED), 7);
		assert_true(slab_is_of(slab, ADOPTER));
	} else {
		/* Whoever looks when all is free; that may be more than one. */
		assert_in_range(count_results(racers, 8, FREE_EMPTIED), 1, 7);
		slab_acquire_partial(slab, NO_OWNER);
	}
	assert_int_equal(__slab_collect(slab), 8);
	discard_slab(slab);
}

static void a_full_slab_gets_one_new_owner(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ROUNDS(500); i++)
		race(true);
}

static void a_full_slab_is_listed_once(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ROUNDS(500); i++)
		race(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_object_is_lost_or_doubled),
		cmocka_unit_test(a_full_slab_gets_one_new_owner),
		cmocka_unit_test(a_full_slab_is_listed_once),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
