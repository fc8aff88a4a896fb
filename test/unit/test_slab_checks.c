/* Searches for a free object, which end wherever they are led; and the checker of a slab's states. */
#include "slab_objects.h"

#include "core/options.h"

static void free_objects_are_found_by_a_search(void **state)
{
	struct slab *slab = make_slab(64);
	struct free_object *used = take(slab, 1), *far = take(slab, 1), *near = take(slab, 1);

	(void)state;
	far->next = near->next = NULL;
	free_remote(slab, far, true);
	__slab_put(slab, near);
	assert_true(slab_has_free(slab, far));
	assert_true(slab_has_free(slab, near));
	assert_false(slab_has_free(slab, used));
	/* No further than told. */
	used->next = far;
	assert_true(freelist_has(used, far, 2));
	assert_false(freelist_has(used, far, 1));
	assert_false(freelist_has(used, near, 10));
	assert_false(freelist_has(NULL, near, 1));
	assert_int_equal(__slab_collect(slab), 1);
	discard_slab(slab);
}

static void searches_end_at_a_wild_link(void **state)
{
	struct slab *slab = make_slab(64), *other = make_slab(128);
	struct free_object *a = take(slab, 1), *b = take(slab, 1), *stray = take(other, 1);

	(void)state;
	stray->next = b;
	a->next = stray;
	assert_false(freelist_has(a, b, 10));
	stray->next = NULL;
	discard_slab(slab);
	discard_slab(other);
}

#ifdef USLUB_DEBUG
static void release_full_twice(void *arg)
{
	struct slab *slab = new_slab(cache(32768), NO_OWNER, &first_node);
	struct free_object *list;

	(void)arg;
	while (slab_take(slab, 1, &list))
		;
	must(__slab_release_full(slab));
	__slab_release_full(slab);
}

static void release_what_is_free(void *arg)
{
	struct slab *slab = new_slab(cache(64), NO_OWNER, &first_node);

	(void)arg;
	discard_slab(slab);
	__slab_release_partial(slab);
}

static void discard_what_is_partial(void *arg)
{
	struct slab *slab = new_slab(cache(64), NO_OWNER, &first_node);

	(void)arg;
	__slab_release_partial(slab);
	discard_slab(slab);
}

static void acquire_twice(void *arg)
{
	struct slab *slab = new_slab(cache(64), NO_OWNER, &first_node);
	struct free_object *list;

	(void)arg;
	must(slab_take(slab, 1, &list) == 1);
	__slab_release_partial(slab);
	slab_acquire_partial(slab, NO_OWNER);
	slab_acquire_partial(slab, NO_OWNER);
}

static void the_checker_ends_the_program(void **state)
{
	static void (*const wrong[])(void *) = {release_full_twice, release_what_is_free,
						discard_what_is_partial, acquire_twice};
	static struct child child;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		run_child(&child, wrong[i], NULL);
		assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
		assert_non_null(strstr(child.err, "slab_check"));
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_objects_are_found_by_a_search),
		cmocka_unit_test(searches_end_at_a_wild_link),
#ifdef USLUB_DEBUG
		cmocka_unit_test(the_checker_ends_the_program),
#endif
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
