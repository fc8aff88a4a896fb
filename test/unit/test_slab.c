/* One slab in one thread's hands: making, carving, taking, putting, what others free, the states. */
#include "slab_objects.h"

#include "core/bitmap.h"
#include "core/options.h"

static uint32_t list_length(const struct slab *slab, const struct free_object *list)
{
	uint32_t n = 0;

	for (; !is_end(slab, list); list = list->next)
		n++;
	return n;
}

/* What the owner's map has. */
static uint32_t nr_free(const struct slab *slab)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < (slab->carved + 63) / 64; w++)
		n += (uint32_t)__builtin_popcountll(*slab_free_word(slab, w));
	assert_int_equal(n, slab->carved - slab->inuse);
	return n;
}

static void new_slabs_are_owned_and_bare(void **state)
{
	struct thread *owner = (struct thread *)(uintptr_t)0x10000;
	struct kmem_cache *s = cache(64);
	uint32_t slabs = s->nr_slabs;
	struct slab *slab = new_slab(s, owner, &first_node);

	(void)state;
	assert_int_equal(slab->kind, FRAME_SLAB);
	assert_true(slab_is_of(slab, owner));
	assert_ptr_equal(slab->cache, s);
	assert_ptr_equal(virt_to_slab((void *)slab->base), slab);
	assert_true(!slab->inuse && !slab->carved && slab->limit == 0);
	assert_int_equal(slab->objects, s->objects);
	assert_int_equal(slab->cpu_offset, s->cpu_offset);
	assert_int_equal(slab->list, LIST_NONE);
	assert_int_equal(shared(slab).state, SLAB_OWNED);
	assert_false(slab_has_remote(slab));
	assert_false(slab_object_ok(slab, 0));
	assert_int_equal(s->nr_slabs, slabs + 1);
	discard_slab(slab);
	assert_int_equal(s->nr_slabs, slabs);
}

static void discarded_slabs_leave_no_trace(void **state)
{
	struct slab *slab = new_slab(wide_cache(), NO_OWNER, &first_node);
	struct section *sec = section_find(slab->base);
	uint32_t index = (slab->base >> FRAME_SHIFT) & (SECTION_FRAMES - 1);

	(void)state;
	put_all(slab, take(slab, 3));
	discard_slab(slab);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(slab[i].kind, FRAME_NONE);
		assert_true(slab[i].limit == 0);
		assert_int_equal(shared(&slab[i]).owner, 0);
	}
	assert_int_equal(shared(slab).state, SLAB_FREE);
	assert_false(bitmap_test(sec->used, index, 4, true));
}

static void every_frame_leads_to_its_slab(void **state)
{
	struct slab *slab = new_slab(wide_cache(), NO_OWNER, &first_node);

	(void)state;
	assert_int_equal(slab->nr_frames, 4);
	for (uint32_t i = 0; i < 4; i++) {
		char *frame = (char *)slab->base + i * FRAME_SIZE;

		assert_ptr_equal(slab_of(frame), slab);
		assert_ptr_equal(slab_of(frame + FRAME_SIZE - 1), slab);
		assert_int_equal(slab[i].kind, i ? FRAME_TAIL : FRAME_SLAB);
		/* kfree()'s fast path finds no object there. */
		assert_true(i == 0 || slab[i].limit == 0);
	}
	discard_slab(slab);
}

/* Of each class: as many objects as fit, each once, each marked, and then no more. */
static void check_all_objects(struct kmem_cache *s)
{
	static bool seen[FRAME_SIZE / 16];
	struct slab *slab = new_slab(s, NO_OWNER, &first_node);
	struct free_object *all, *list, *fo;

	assert_non_null(slab);
	memset(seen, 0, sizeof(seen));
	all = take(slab, s->objects);
	for (fo = all; fo; fo = fo->next) {
		uint64_t offset = (uintptr_t)fo - slab->base;

		assert_true(offset % s->size == 0 && offset / s->size < s->objects);
		assert_false(seen[offset / s->size]);
		seen[offset / s->size] = true;
		assert_int_equal(fo->state.mark, FREE_MARK);
		assert_true(slab_object_ok(slab, offset));
	}
	assert_int_equal(slab_take(slab, 1, &list), 0);
	assert_true(slab_is_full(slab));
	assert_int_equal(slab->inuse, s->objects);
	put_all(slab, all);
	assert_int_equal(slab->inuse, 0);
	assert_int_equal(nr_free(slab), s->objects);
	discard_slab(slab);
}

static void every_class_has_all_its_objects(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		check_all_objects(&kmalloc_caches[i]);
}

/* Objects come into being up to the end of a page, or one by one where they are larger. */
static void carving_goes_page_by_page(void **state)
{
	(void)state;
	/* Of the last one a slab has one object. */
	for (uint32_t i = 0; i < NR_SIZE_CLASSES; i++) {
		struct kmem_cache *s = &kmalloc_caches[i];
		uint32_t expected = s->size <= CARVE_SIZE ? (uint32_t)(CARVE_SIZE / s->size) : 1;
		struct slab *slab = new_slab(s, NO_OWNER, &first_node);
		struct free_object *list;

		assert_int_equal(slab_take(slab, 1, &list), 1);
		assert_int_equal(slab->carved, expected);
		assert_true(slab->limit == slab->carved * s->residue);
		while (slab->inuse < slab->carved)
			take(slab, 1);
		take(slab, 1);
		assert_true((uint64_t)slab->carved * s->size <=
			    (s->size <= CARVE_SIZE ? 2 * CARVE_SIZE : 2 * s->size));
		discard_slab(slab);
	}
}

/* No page more than needed of fresh memory; of used memory what is wanted. */
static void used_memory_is_carved_as_wanted(void **state)
{
	struct slab *slab[100];
	struct free_object *list;
	unsigned int n = 0;

	(void)state;
	do {
		must(n < 100);
		slab[n] = make_slab(2048);
	} while (!slab[n++]->fresh);
	assert_int_equal(slab_take(slab[n - 1], 9, &list), 2);
	assert_int_equal(slab[n - 1]->carved, 2);
	while (n)
		discard_slab(slab[--n]);
	slab[0] = make_slab(2048);
	assert_false(slab[0]->fresh);
	assert_int_equal(slab_take(slab[0], 9, &list), 9);
	assert_int_equal(slab[0]->carved, 9);
	assert_int_equal(slab_take(slab[0], 1, &list), 1);
	assert_int_equal(slab[0]->carved, 10);
	assert_int_equal(slab_take(slab[0], 32, &list), 22);
	assert_int_equal(slab_take(slab[0], 1, &list), 0);
	discard_slab(slab[0]);
}

static void taking_is_bounded_by_the_wish(void **state)
{
	struct slab *slab = make_slab(64);
	struct free_object *list;

	(void)state;
	for (uint32_t want = 1; want <= 10; want++) {
		uint32_t before = slab->inuse;

		assert_int_equal(slab_take(slab, want, &list), want);
		assert_int_equal(list_length(slab, list), want);
		assert_int_equal(slab->inuse, before + want);
	}
	/* 55 of the page's 64 are gone: the rest is all that comes, without touching the next page. */
	assert_int_equal(slab_take(slab, 100, &list), 9);
	assert_int_equal(slab->carved, 64);
	discard_slab(slab);
}

static void what_others_free_is_collected(void **state)
{
	struct slab *slab = make_slab(64);
	struct free_object *first = take(slab, 3), *second = take(slab, 2), *local = take(slab, 1);
	uint32_t collections = slab->collections, inuse = slab->inuse;

	(void)state;
	assert_int_equal(free_remote(slab, first, true), FREE_PUSHED);
	assert_int_equal(slab_count_remote(slab), 3);
	assert_int_equal(free_remote(slab, second, false), FREE_PUSHED);
	assert_int_equal(slab_count_remote(slab), 5);
	assert_true(slab_has_remote(slab));
	assert_int_equal(slab->inuse, inuse);
	__slab_put(slab, local);
	assert_int_equal(__slab_collect(slab), 5);
	assert_int_equal(slab->inuse, inuse - 6);
	assert_false(slab_has_remote(slab));
	assert_int_equal(slab_count_remote(slab), 0);
	assert_int_equal(slab->collections, collections + 1);
	assert_int_equal(nr_free(slab), 64);
	assert_int_equal(__slab_collect(slab), 0);
	assert_int_equal(slab->collections, collections + 1);
	discard_slab(slab);
}

static void free_one(struct slab *slab, struct free_object *fo)
{
	fo->next = NULL;
	free_remote(slab, fo, false);
}

/* By ascending address, whatever the order in which objects were freed. */
static void the_lowest_come_first(void **state)
{
	struct slab *slab = make_slab(64);
	struct free_object *objects[128], *list;
	uint64_t seed = 3;

	(void)state;
	for (unsigned int i = 0; i < 128; i++)
		objects[i] = take(slab, 1);
	for (unsigned int i = 128; i; i--) {
		size_t at = random_below(&seed, i);

		if (i % 2)
			__slab_put(slab, objects[at]);
		else
			free_one(slab, objects[at]);
		objects[at] = objects[i - 1];
	}
	assert_int_equal(__slab_collect(slab), 64);
	for (uintptr_t at = slab->base; at < slab->base + (uintptr_t)128 * 64;) {
		assert_true(slab_take(slab, 10, &list) > 0);
		for (; !is_end(slab, list); list = list->next, at += 64)
			assert_int_equal((uintptr_t)list, at);
	}
	assert_int_equal(slab->inuse, 128);
	__slab_recover(slab);
	assert_int_equal(slab->inuse, 128);
}

/* What came back from elsewhere is used before anything new is carved. */
static void taking_prefers_remote_frees_to_carving(void **state)
{
	struct slab *slab = make_slab(64);
	struct free_object *page = take(slab, 64), *back = page, *list;

	(void)state;
	page = page->next;
	back->next = NULL;
	free_remote(slab, back, true);
	assert_int_equal(slab_take(slab, 10, &list), 1);
	assert_ptr_equal(list, back);
	assert_int_equal(slab->carved, 64);
	discard_slab(slab);
}

static void a_full_slab_goes_to_who_frees_first(void **state)
{
	struct slab *slab = make_slab(1024);
	struct free_object *all = take(slab, slab->objects), *one = all;

	(void)state;
	all = all->next;
	one->next = NULL;
	assert_true(__slab_release_full(slab));
	assert_int_equal(shared(slab).state, SLAB_FULL);
	assert_int_equal(shared(slab).owner, 0);
	assert_int_equal(free_remote(slab, one, true), FREE_ADOPTED);
	assert_int_equal(shared(slab).state, SLAB_OWNED);
	assert_true(slab_is_of(slab, ADOPTER));
	assert_int_equal(slab_count_remote(slab), 1);
	assert_int_equal(free_remote(slab, all, true), FREE_PUSHED);
	assert_int_equal(__slab_collect(slab), slab->objects);
	discard_slab(slab);
}

static void or_to_the_node_if_they_may_not_own(void **state)
{
	struct slab *slab = make_slab(1024);
	struct free_object *all = take(slab, slab->objects), *two = all->next;

	(void)state;
	all = two->next;
	two->next = NULL;
	assert_true(__slab_release_full(slab));
	assert_int_equal(free_remote(slab, two, false), FREE_LISTED);
	assert_int_equal(shared(slab).state, SLAB_PARTIAL);
	assert_int_equal(slab_count_remote(slab), 1);
	/* The first object of the list was counted by the one that listed the slab. */
	free_remote(slab, all, true);
	slab_acquire_partial(slab, ADOPTER);
	assert_true(slab_is_of(slab, ADOPTER));
	assert_int_equal(shared(slab).state, SLAB_OWNED);
	assert_int_equal(__slab_collect(slab), slab->objects - 1);
	discard_slab(slab);
}

static void a_slab_with_remote_frees_is_not_full(void **state)
{
	struct thread *owner = (struct thread *)(uintptr_t)0x20000;
	struct slab *slab = new_slab(cache(1024), owner, &first_node);
	struct free_object *all = take(slab, slab->objects);

	(void)state;
	all->next = NULL;
	free_remote(slab, all, true);
	assert_false(__slab_release_full(slab));
	assert_int_equal(shared(slab).state, SLAB_OWNED);
	assert_true(slab_is_of(slab, owner));
	assert_int_equal(__slab_collect(slab), 1);
	discard_slab(slab);
}

static void the_last_free_says_that_the_slab_is_empty(void **state)
{
	struct slab *slab = make_slab(2048);
	struct free_object *all = take(slab, 5), *last = all;

	(void)state;
	all = all->next;
	last->next = NULL;
	/* The owner notices by itself. */
	__slab_release_partial(slab);
	assert_int_equal(shared(slab).state, SLAB_PARTIAL);
	assert_int_equal(shared(slab).owner, 0);
	assert_int_equal(free_remote(slab, all, true), FREE_PUSHED);
	assert_int_equal(free_remote(slab, last, true), FREE_EMPTIED);
	slab_acquire_partial(slab, NO_OWNER);
	assert_int_equal(__slab_collect(slab), 5);
	assert_int_equal(slab->inuse, 0);
	discard_slab(slab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_slabs_are_owned_and_bare),
		cmocka_unit_test(discarded_slabs_leave_no_trace),
		cmocka_unit_test(every_frame_leads_to_its_slab),
		cmocka_unit_test(every_class_has_all_its_objects),
		cmocka_unit_test(carving_goes_page_by_page),
		cmocka_unit_test(used_memory_is_carved_as_wanted),
		cmocka_unit_test(taking_is_bounded_by_the_wish),
		cmocka_unit_test(what_others_free_is_collected),
		cmocka_unit_test(the_lowest_come_first),
		cmocka_unit_test(taking_prefers_remote_frees_to_carving),
		cmocka_unit_test(a_full_slab_goes_to_who_frees_first),
		cmocka_unit_test(or_to_the_node_if_they_may_not_own),
		cmocka_unit_test(a_slab_with_remote_frees_is_not_full),
		cmocka_unit_test(the_last_free_says_that_the_slab_is_empty),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
