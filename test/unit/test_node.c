/* A node's partial list: what put_slab() makes of a slab, empty slabs, and threads that share a node. */
#include "slabs.h"
#include "unit.h"

#include "core/caches.h"
#include "core/frame.h"
#include "core/node.h"
#include "core/options.h"

/* A copy with an index of its own, so that nothing but these tests is on its list. */
#define INDEX (NR_CACHES - 1)
static struct kmem_cache_node *const node = &first_node.caches[INDEX];
static struct kmem_cache s;

static int make_cache(void **state)
{
	(void)state;
	s = kmalloc_caches[size_class(2048)];
	*node = (struct kmem_cache_node){0};
	s.index = INDEX;
	atomic_store(&s.nr_slabs, 0);
	return 0;
}

/* Ends each test: whatever is on the list goes, and nothing else is left. */
static int drop_all(void **state)
{
	struct slab *slab;

	(void)state;
	while ((slab = get_partial(node, NO_OWNER))) {
		__slab_collect(slab);
		slab->inuse = 0;
		discard_slab(slab);
	}
	return s.nr_slabs != 0 || node->nr_partial != 0;
}

static enum slab_state state_of(struct slab *slab)
{
	return slab_shared(slab, memory_order_relaxed).state;
}

/* A slab with so many objects in use, which are returned linked. */
static struct slab *slab_with(uint32_t inuse, struct free_object **list)
{
	struct slab *slab = new_slab(&s, NO_OWNER, &first_node);
	struct free_object *fo;

	must(slab);
	*list = NULL;
	while (inuse--) {
		must(slab_take(slab, 1, &fo) == 1);
		fo->next = *list;
		*list = fo;
	}
	return slab;
}

static enum free_result free_one(struct slab *slab, struct free_object **list)
{
	struct free_object *fo = *list;
	struct free_group group = free_group_of(slab, fo);

	*list = fo->next;
	return slab_free_remote(slab, &group, NO_OWNER);
}

static void partial_slabs_are_listed(void **state)
{
	struct free_object *list;
	struct slab *a = slab_with(1, &list), *b = slab_with(2, &list);

	(void)state;
	assert_ptr_equal(get_node(&s, &first_node), node);
	assert_null(get_partial(node, NO_OWNER));
	put_slab(a);
	put_slab(b);
	assert_int_equal(state_of(a), SLAB_PARTIAL);
	assert_int_equal(slab_shared(a, memory_order_relaxed).owner, 0);
	assert_int_equal(node->nr_partial, 2);
	assert_ptr_equal(get_partial(node, NO_OWNER), b);
	assert_int_equal(state_of(b), SLAB_OWNED);
	assert_ptr_equal(get_partial(node, NO_OWNER), a);
	assert_null(get_partial(node, NO_OWNER));
	assert_int_equal(node->nr_partial, 0);
	put_slab(a);
	put_slab(b);
}

static void full_slabs_are_nobodys(void **state)
{
	struct free_object *list;
	struct slab *slab = slab_with(s.objects, &list);

	(void)state;
	put_slab(slab);
	assert_int_equal(state_of(slab), SLAB_FULL);
	assert_int_equal(slab_shared(slab, memory_order_relaxed).owner, 0);
	assert_null(get_partial(node, NO_OWNER));
	/* The first free brings it back. */
	assert_int_equal(free_one(slab, &list), FREE_LISTED);
	list_partial(node, slab);
	assert_int_equal(node->nr_partial, 1);
}

static void full_slabs_with_remote_frees_are_partial(void **state)
{
	struct free_object *list;
	struct slab *slab = slab_with(s.objects, &list);

	(void)state;
	assert_int_equal(free_one(slab, &list), FREE_PUSHED);
	put_slab(slab);
	assert_int_equal(state_of(slab), SLAB_PARTIAL);
	assert_int_equal(slab->inuse, s.objects - 1);
	assert_ptr_equal(get_partial(node, NO_OWNER), slab);
	put_slab(slab);
}

static void empty_slabs_go(void **state)
{
	struct free_object *list;
	struct slab *slab = slab_with(0, &list), *used = slab_with(1, &list);

	(void)state;
	put_slab(used);
	put_slab(slab);
	assert_int_equal(state_of(slab), SLAB_FREE);
	assert_int_equal(s.nr_slabs, 1);
	/* Its last object came back as another's free. */
	slab = slab_with(1, &list);
	assert_int_equal(free_one(slab, &list), FREE_PUSHED);
	put_slab(slab);
	assert_int_equal(state_of(slab), SLAB_FREE);
	assert_int_equal(node->nr_partial, 1);
}

/* All its objects come back while it is on the list. */
static void empty_all(struct slab *slab, struct free_object *list)
{
	while (list)
		must(free_one(slab, &list) == (list ? FREE_PUSHED : FREE_EMPTIED));
}

static void shrinking_discards_what_is_empty(void **state)
{
	struct free_object *keep, *list;
	struct slab *slabs[6];

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		slabs[i] = slab_with(3, i % 2 ? &keep : &list);
		put_slab(slabs[i]);
		if (i % 2 == 0)
			empty_all(slabs[i], list);
	}
	assert_int_equal(shrink_node(node), 3);
	assert_int_equal(node->nr_partial, 3);
	assert_int_equal(s.nr_slabs, 3);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(state_of(slabs[i]), i % 2 ? SLAB_PARTIAL : SLAB_FREE);
	assert_int_equal(shrink_node(node), 0);
	assert_int_equal(node->nr_partial, 3);
}

static void enough_empty_ones_shrink_by_themselves(void **state)
{
	struct free_object *list;
	struct slab *slab;

	(void)state;
	for (uint32_t i = 1; i <= 8; i++) {
		slab = slab_with(1, &list);
		put_slab(slab);
		empty_all(slab, list);
		note_empty(node, &first_node);
		assert_int_equal(s.nr_slabs, i < 8 ? i : 0);
	}
	assert_int_equal(node->nr_empty, 0);
}

/* Where the list is long, eight of it are not worth a walk. */
static void a_long_list_waits_for_a_quarter(void **state)
{
	static struct free_object *lists[64];
	static struct slab *slabs[64];

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		slabs[i] = slab_with(1, &lists[i]);
		put_slab(slabs[i]);
	}
	for (unsigned int i = 0; i < 15; i++) {
		empty_all(slabs[i], lists[i]);
		note_empty(node, &first_node);
	}
	assert_int_equal(s.nr_slabs, 64);
	empty_all(slabs[15], lists[15]);
	note_empty(node, &first_node);
	assert_int_equal(s.nr_slabs, 48);
	assert_int_equal(node->nr_partial, 48);
}

#define NR_WORKERS 4U

struct worker {
	uint64_t seed;
	struct free_object *kept;
	uint32_t nr_kept;
};

/* Plain fields, so that two owners of one slab are a data race as well. */
static void use_slab(struct worker *w, struct slab *slab)
{
	struct free_object *fo;

	must(slab->objects == s.objects);
	__slab_collect(slab);
	if (w->nr_kept >= 50 || !slab_take(slab, 1, &fo))
		return;
	if (random_next(&w->seed) & 1) {
		__slab_put(slab, fo);
		return;
	}
	fo->next = w->kept;
	w->kept = fo;
	w->nr_kept++;
}

/* To wherever its slab is by now. */
static void free_kept(struct worker *w)
{
	struct free_object *fo = w->kept;
	struct slab *slab = slab_of(fo);
	struct free_group group = free_group_of(slab, fo);

	w->kept = fo->next;
	w->nr_kept--;
	switch (slab_free_remote(slab, &group, NO_OWNER)) {
	case FREE_LISTED:
		list_partial(node, slab);
		break;
	case FREE_EMPTIED:
		note_empty(node, &first_node);
		break;
	default:
		break;
	}
}

static void *share_node(void *arg)
{
	struct worker *w = arg;

	for (unsigned int turn = 0; turn < ROUNDS(60000); turn++) {
		struct slab *slab = get_partial(node, NO_OWNER);

		if (!slab)
			slab = new_slab(&s, NO_OWNER, &first_node);
		must(slab);
		use_slab(w, slab);
		put_slab(slab);
		if (w->nr_kept && random_next(&w->seed) & 1)
			free_kept(w);
		if (turn % 64 == 0)
			shrink_node(node);
	}
	return NULL;
}

static void threads_share_a_node(void **state)
{
	static struct worker workers[NR_WORKERS];

	(void)state;
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		workers[i].seed = i;
	run_threads(NR_WORKERS, share_node, workers, sizeof(workers[0]));
	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		while (workers[i].nr_kept)
			free_kept(&workers[i]);
	}
	shrink_node(node);
	assert_int_equal(s.nr_slabs, 0);
	assert_int_equal(node->nr_partial, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(partial_slabs_are_listed, drop_all),
		cmocka_unit_test_teardown(full_slabs_are_nobodys, drop_all),
		cmocka_unit_test_teardown(full_slabs_with_remote_frees_are_partial, drop_all),
		cmocka_unit_test_teardown(empty_slabs_go, drop_all),
		cmocka_unit_test_teardown(shrinking_discards_what_is_empty, drop_all),
		cmocka_unit_test_teardown(enough_empty_ones_shrink_by_themselves, drop_all),
		cmocka_unit_test_teardown(a_long_list_waits_for_a_quarter, drop_all),
		cmocka_unit_test_teardown(threads_share_a_node, drop_all),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, make_cache, NULL);
}
