/*
 * A call that was on its way home with another's objects and never comes back: wherever it was, all of them
 * get there, once. Its state is laid out by hand, at each of the stores that matter.
 */
#include "heap.h"
#include "slabs.h"

/* Eight to a slab. */
#define SIZE 8192
#define EACH 8U

enum left_at { ANNOUNCED, OFF_THE_LIST, SENT, NOTED, COLLECTED, HANDED_OUT, NR_LEFT_AT };

static struct kmem_cache *cache;
static struct free_object *objects[2][EACH];

/* Nobody's, and none of its objects is free. */
static struct slab *full_slab(struct free_object **all, uint32_t collections)
{
	struct slab *slab = new_slab(cache, NO_OWNER, &first_node);

	assert_non_null(slab);
	for (uint32_t i = 0; i < EACH; i++) {
		assert_int_equal(slab_take(slab, 1, &all[i]), 1);
		all[i]->state.word = 0;
	}
	atomic_store(&slab->collections, collections);
	put_slab(slab);
	return slab;
}

static struct free_object *link_all(void)
{
	struct free_object *list = NULL;

	for (uint32_t i = 2 * EACH; i--;) {
		struct free_object *fo = objects[i / EACH][i % EACH];

		fo->state.mark = FREE_MARK;
		fo->next = list;
		list = fo;
	}
	return list;
}

static void announce(struct slab *slab)
{
	struct sending *sending = &current_thread->sending;

	atomic_store(&sending->cpu_offset, cache->cpu_offset);
	sending->slab = slab;
	sending->generation = slab_shared(slab, memory_order_relaxed).generation;
	sending->collections = slab_collections(slab);
	sending->mask = 0;
	for (uint32_t i = 0; i < EACH; i++)
		sending->mask |= free_group_of(slab, objects[0][i]).mask;
	sending->word = (uint16_t)free_group_of(slab, objects[0][0]).word;
}

static void leave(enum left_at at, struct slab *slab)
{
	struct kmem_cache_lists *l = own_lists(cache);
	struct free_group group;
	static struct local_hold hold;

	assert_true(local_trylock(current_thread, cache, &hold));
	own_cpu(cache)->freelist = &sheaf_shut;
	l->flushing = link_all();
	announce(slab);
	group = (struct free_group){current_thread->sending.mask, current_thread->sending.word};
	own_cpu(cache)->stage = STAGE_SENDING;
	if (at >= OFF_THE_LIST)
		l->flushing = objects[1][0];
	if (at >= SENT) {
		slab_set_remote(slab, &group);
		/* No link of theirs is anybody's business from here on. */
		for (uint32_t i = 0; i < EACH; i++)
			objects[0][i]->next = (struct free_object *)8;
	}
	if (at >= NOTED)
		slab_note_remote(slab, group.word, slab_shared(slab, memory_order_relaxed),
				 current_thread);
	if (at >= COLLECTED)
		assert_int_equal(__slab_collect(slab), EACH);
	if (at >= HANDED_OUT) {
		struct free_object *list;

		assert_int_equal(slab_take(slab, EACH, &list), EACH);
		for (uint32_t i = 0; i < EACH; i++)
			objects[0][i]->state.word = 0;
	}
	/* A call of the fast path, which had found the lock free before, has dropped it. */
	own_cpu(cache)->local_lock = (uintptr_t)current_thread;
}

static void assert_all_are_had_once(void)
{
	static void *p[2 * EACH];

	assert_int_equal(objects_in_use(cache), 0);
	for (uint32_t i = 0; i < 2 * EACH; i++) {
		p[i] = kmalloc(SIZE);
		assert_non_null(p[i]);
		for (uint32_t j = 0; j < i; j++)
			assert_ptr_not_equal(p[j], p[i]);
	}
	assert_int_equal(objects_in_use(cache), 2 * EACH);
	for (uint32_t i = 0; i < 2 * EACH; i++)
		kfree(p[i]);
	kmalloc_trim();
	assert_int_equal(objects_in_use(cache), 0);
	assert_int_equal(slabs_of(cache), 0);
}

static void what_was_sent_arrives_once(void **state)
{
	(void)state;
	cache = kmalloc_cache(SIZE);
	kfree(kmalloc(SIZE));
	kmalloc_trim();
	for (enum left_at at = ANNOUNCED; at < NR_LEFT_AT; at++) {
		/* Collected as often as each other they would hide whose count it is. */
		struct slab *slab = full_slab(objects[0], 1);

		full_slab(objects[1], 5);
		leave(at, slab);
		kfree(kmalloc(SIZE));
		assert_int_equal(own_cpu(cache)->stage, STAGE_NONE);
		assert_int_equal(current_thread->sending.cpu_offset, 0);
		if (at == HANDED_OUT) {
			/* They are the program's by now. */
			assert_int_equal(objects_in_use(cache), EACH);
			for (uint32_t i = 0; i < EACH; i++)
				kfree(objects[0][i]);
		}
		assert_all_are_had_once();
	}
}

/* The announcement is an interrupted call's: objects go home one by one. */
static void a_nested_flush_needs_no_announcement(void **state)
{
	(void)state;
	cache = kmalloc_cache(SIZE);
	kfree(kmalloc(SIZE));
	kmalloc_trim();
	full_slab(objects[0], 0);
	full_slab(objects[1], 0);
	atomic_store(&current_thread->sending.cpu_offset, kmalloc_cache(64)->cpu_offset);
	for (uint32_t i = 0; i < 2 * EACH; i++)
		kfree(objects[i / EACH][i % EACH]);
	thread_flush(current_thread, cache);
	assert_int_equal(current_thread->sending.cpu_offset, kmalloc_cache(64)->cpu_offset);
	atomic_store(&current_thread->sending.cpu_offset, 0);
	assert_all_are_had_once();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_arrives_once),
		cmocka_unit_test(a_nested_flush_needs_no_announcement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
