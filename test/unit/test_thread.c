/* A thread's record, its sheaves and its lists of slabs: what they hold, and what they may not. */
#include "heap.h"

#include "core/list.h"
#include "core/options.h"

/* Frames that a thread keeps on its lists when it is not alone, as this one, and a slab on its way. */
#define MOST_OWNED 68

static const size_t some_sizes[] = {16, 64, 112, 320, 1024, 2048, 8192, 32768};
#define NR_SOME (sizeof(some_sizes) / sizeof(some_sizes[0]))

static void *return_record(void *arg)
{
	struct thread **record = arg;

	*record = thread_current();
	must(*record && *record == current_thread && thread_current() == *record);
	must(virt_to_slab(*record)->kind == FRAME_THREAD);
	must((*record)->process == getpid() && (*record)->never_free == 0);
	return NULL;
}

static void a_record_is_passed_on(void **state)
{
	struct thread *first, *second;
	uint64_t records;

	(void)state;
	assert_non_null(thread_current());
	run_thread(return_record, &first);
	records = nr_records();
	run_thread(return_record, &second);
	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, current_thread);
	assert_int_equal(first->process, 0);
	assert_int_equal(nr_records(), records);
}

static void the_lock_is_free_held_or_new(void **state)
{
	struct kmem_cache *s = kmalloc_cache(24576);
	struct thread *t = thread_current();
	struct kmem_cache_cpu *c = own_cpu(s);
	static struct local_hold holder;
	struct local_hold hold;

	(void)state;
	assert_int_equal(c->local_lock, 0);
	assert_true(local_lock_is_locked(t, c));
	assert_true(local_trylock(t, s, &holder));
	assert_true(local_lock_is_locked(t, c));
	assert_ptr_equal(c->slab, &slab_none);
	assert_ptr_equal(c->freelist, s->bottom);
	assert_int_equal(sheaf_room(s), s->sheaf);
	assert_false(local_trylock(t, s, &hold));
	local_unlock(t, c);
	assert_false(local_lock_is_locked(t, c));
	assert_true(local_trylock(t, s, &hold));
	local_unlock(t, c);
}

static void check_sheaf(const struct kmem_cache *s)
{
	const struct kmem_cache_cpu *c = own_cpu(s);

	assert_int_equal(sheaf_room(s) + sheaf_length(s), sheaf_size(s));
	assert_false(local_lock_is_locked(current_thread, c));
	assert_null(own_lists(s)->flushing);
}

static void use_at_random(const struct kmem_cache *s, uint64_t seed)
{
	static void *live[300];
	uint32_t n = 0;

	for (unsigned int turn = 0; turn < 4000; turn++) {
		/* Up and down in long swings, so that the sheaf is emptied and filled. */
		bool alloc = random_below(&seed, 10) < (turn / 400 % 2 ? 2 : 8);

		if (alloc && n < 300) {
			live[n] = kmalloc(s->size);
			assert_non_null(live[n++]);
		} else if (n) {
			kfree(live[--n]);
		}
		if (turn)
			check_sheaf(s);
	}
	while (n)
		kfree(live[--n]);
	assert_int_equal(objects_in_use(s), 0);
}

static void room_is_what_the_sheaf_has_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SOME; i++)
		use_at_random(kmalloc_cache(some_sizes[i]), i);
}

static void *refill_half(void *arg)
{
	for (size_t i = 0; i < NR_SOME; i++) {
		const struct kmem_cache *s = kmalloc_cache(some_sizes[i]);
		uint32_t page = s->size <= CARVE_SIZE ? (uint32_t)(CARVE_SIZE / s->size) : 1;
		void *p = kmalloc(s->size);
		uint32_t carved = virt_to_slab(p)->fresh ? page : s->objects;

		kfree(p);
		must(sheaf_length(s) == (carved < s->sheaf / 2U ? carved : s->sheaf / 2U));
	}
	return arg;
}

/* A new thread takes no more than is carved at once, and no more than half of what would fit. */
static void a_refill_is_half_a_sheaf_at_most(void **state)
{
	(void)state;
	run_thread(refill_half, NULL);
}

static void *live_objects[4096];

/* More than a sheaf is allocated, and freed. */
static void swing(const struct kmem_cache *s)
{
	uint32_t n = 2 * sheaf_size(s);

	for (uint32_t i = 0; i < n; i++)
		live_objects[i] = kmalloc(s->size);
	while (n)
		kfree(live_objects[--n]);
	assert_int_equal(sheaf_length(s) + sheaf_room(s), sheaf_size(s));
}

static void grow_sheaf(const struct kmem_cache *s)
{
	/* What made the sheaf empty may have counted as one. */
	for (uint32_t i = 0; i < MANY_SWINGS * s->max_grade; i++)
		swing(s);
	assert_int_equal(own_cpu(s)->grade, s->max_grade);
}

static void a_sheaf_grows_by_use_and_is_small_again_after_a_flush(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SOME; i++) {
		struct kmem_cache *s = kmalloc_cache(some_sizes[i]);

		kfree(kmalloc(s->size));
		thread_flush(current_thread, s);
		assert_int_equal(sheaf_room(s), s->sheaf);
		grow_sheaf(s);
		assert_int_equal(sheaf_size(s), (uint32_t)s->sheaf << s->max_grade);
		assert_true(sheaf_size(s) * s->size <= (size_t)4 << 20);
		thread_flush(current_thread, s);
		assert_int_equal(sheaf_room(s), s->sheaf);
		assert_int_equal(objects_in_use(s), 0);
	}
}

/* Slow paths are what gives memory back: they are to be spared where they are many. */
static void a_sheaf_that_swings_seldom_does_not_grow(void **state)
{
	struct kmem_cache *s = kmalloc_cache(64);

	(void)state;
	options.purge_delay_ms = 3600000;
	kfree(kmalloc(s->size));
	thread_flush(current_thread, s);
	for (uint32_t i = 0; i < MANY_SWINGS / 2; i++)
		swing(s);
	assert_int_equal(own_cpu(s)->grade, 0);
	own_cpu(s)->idle = 0;
	current_thread->idle_due = 0;
	for (uint64_t i = 0; i < NR_KMALLOC_CACHES; i++)
		thread_poll_idle(current_thread, i);
	for (uint32_t i = 0; i < MANY_SWINGS / 2; i++)
		swing(s);
	assert_int_equal(own_cpu(s)->grade, 0);
	for (uint32_t i = 0; i < MANY_SWINGS / 2; i++)
		swing(s);
	assert_int_equal(own_cpu(s)->grade, 1);
}

static void flush_one(struct kmem_cache *s)
{
	struct free_object *fo;
	uint32_t n = 0, half;

	kfree(kmalloc(s->size));
	thread_flush(current_thread, s);
	grow_sheaf(s);
	half = sheaf_size(s) / 2;
	for (; n < 4 * half; n++)
		live_objects[n] = kmalloc(s->size);
	while (sheaf_room(s) > 0)
		kfree(live_objects[--n]);
	make_stale(s);
	kfree(live_objects[--n]);
	assert_int_equal(sheaf_room(s), half);
	assert_int_equal(sheaf_length(s), half);
	for (fo = own_cpu(s)->freelist; !freelist_is_end(s, fo); fo = fo->next)
		assert_ptr_equal(fo, live_objects[n++]);
	n -= half;
	while (n)
		kfree(live_objects[--n]);
}

/* What was freed last is what will be used next. */
static void a_flush_keeps_the_younger_half(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SOME; i++)
		flush_one(kmalloc_cache(some_sizes[i]));
}

static uint32_t check_list(struct slab *list, enum slab_list kind, uint32_t *nr_empty)
{
	struct slab *slab = list;
	uint32_t frames = 0;

	if (!slab)
		return 0;
	do {
		assert_int_equal(slab->list, kind);
		assert_true(slab_is_of(slab, current_thread));
		assert_ptr_equal(slab->next->prev, slab);
		assert_int_equal(slab_shared(slab, memory_order_relaxed).state, SLAB_OWNED);
		*nr_empty += slab->inuse == 0;
		frames += slab->nr_frames;
		slab = slab->next;
	} while (slab != list);
	return frames;
}

/* Frames on the thread's lists of the cache. */
static uint32_t check_lists(const struct kmem_cache *s)
{
	const struct kmem_cache_lists *l = own_lists(s);
	uint32_t empty = 0, ignored = 0, frames;

	frames = check_list(l->partial, LIST_PARTIAL, &empty);
	frames += check_list(l->full, LIST_FULL, &ignored);
	assert_int_equal(empty, own_cpu(s)->nr_empty);
	assert_true(empty <= 1);
	return frames;
}

/* Of all caches: as many as the thread counts. */
static int32_t check_all_lists(void)
{
	uint32_t frames = 0;

	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		frames += check_lists(&kmalloc_caches[i]);
	assert_int_equal(frames, current_thread->owned + current_thread->empty);
	return (int32_t)frames;
}

#define NR_BIG 2000U

static void a_thread_keeps_few_slabs(void **state)
{
	static void *big[NR_BIG];
	struct kmem_cache *s = kmalloc_cache(32768);
	uint64_t seed = 5, nobodys = 0;

	(void)state;
	for (unsigned int i = 0; i < NR_BIG; i++) {
		big[i] = kmalloc(s->size);
		if (i % 64 == 0)
			assert_true(check_all_lists() <= MOST_OWNED);
	}
	assert_true(check_all_lists() <= MOST_OWNED);
	for (unsigned int i = 0; i < NR_BIG; i += s->objects)
		nobodys += slab_is_of(slab_of(big[i]), NO_OWNER);
	assert_true(nobodys * s->nr_frames >= NR_BIG / s->objects * s->nr_frames - MOST_OWNED - 8);
	for (unsigned int i = NR_BIG; i; i--) {
		size_t at = random_below(&seed, i);

		kfree(big[at]);
		big[at] = big[i - 1];
		if (i % 64 == 0)
			assert_true(check_all_lists() <= MOST_OWNED);
	}
	thread_flush(current_thread, s);
	assert_int_equal(check_lists(s), 0);
	assert_ptr_equal(own_cpu(s)->slab, &slab_none);
	assert_ptr_equal(own_cpu(s)->freelist, s->bottom);
	shrink_node(get_node(s, &first_node));
	assert_int_equal(slabs_of(s), 0);
	thread_flush_all(current_thread);
	assert_int_equal(check_all_lists(), 0);
}

#define NR_HANDED 64U

static void *fill_slabs(void *arg)
{
	void **objects = arg;

	for (unsigned int i = 0; i < NR_HANDED; i++)
		must(objects[i] = kmalloc(8192));
	return NULL;
}

/* Whoever frees into a slab that was full and nobody's comes to own it. */
static void a_consumer_adopts_full_slabs(void **state)
{
	const struct kmem_cache *s = kmalloc_cache(8192);
	void *objects[NR_HANDED];

	(void)state;
	thread_flush_all(current_thread);
	run_thread(fill_slabs, objects);
	assert_int_equal(objects_in_use(s), NR_HANDED);
	for (unsigned int i = 0; i < NR_HANDED; i += s->objects)
		assert_true(slab_is_of(slab_of(objects[i]), NO_OWNER));
	/* One of each slab, and twice as many again, so that the first ones are flushed. */
	for (unsigned int k = 0; k < 3; k++) {
		for (unsigned int i = k; i < NR_HANDED; i += s->objects)
			kfree(objects[i]);
	}
	for (unsigned int i = 0; i < NR_HANDED; i += s->objects)
		assert_true(slab_is_of(slab_of(objects[i]), current_thread));
	assert_int_equal(check_lists(s), NR_HANDED / s->objects * s->nr_frames);
	for (unsigned int i = 0; i < NR_HANDED; i++) {
		if (i % s->objects > 2)
			kfree(objects[i]);
		check_lists(s);
	}
	assert_int_equal(objects_in_use(s), 0);
}

static void *free_all(void *arg)
{
	void **objects = arg;

	for (unsigned int i = 0; i < NR_HANDED; i++)
		kfree(objects[i]);
	return NULL;
}

/* Full slabs of the thread's own, into which others have freed since, come before new ones. */
static void frees_from_elsewhere_are_found(void **state)
{
	const struct kmem_cache *s = kmalloc_cache(4096);
	void *objects[NR_HANDED];
	uint64_t slabs;

	(void)state;
	for (unsigned int i = 0; i < NR_HANDED; i++)
		objects[i] = kmalloc(s->size);
	slabs = slabs_of(s);
	for (unsigned int turn = 0; turn < 20; turn++) {
		run_thread(free_all, objects);
		for (unsigned int i = 0; i < NR_HANDED; i++)
			objects[i] = kmalloc(s->size);
		assert_true(slabs_of(s) <= slabs + 1);
	}
	free_all(objects);
	assert_int_equal(objects_in_use(s), 0);
}

static void *free_first_of_each(void *arg)
{
	void **objects = arg;

	for (unsigned int i = 0; i < 8 * (MOST_OWNED - 1); i += 8) {
		kfree(objects[i]);
		objects[i] = NULL;
	}
	return NULL;
}

/* A thread with too many slabs gives up a full one; into which others have freed, it is of use to all. */
static void a_full_slab_with_frees_is_listed(void **state)
{
	static void *objects[8 * MOST_OWNED + 1];
	const struct kmem_cache *s = kmalloc_cache(8192);
	unsigned int n = 0;
	int32_t listed;

	(void)state;
	thread_flush_all(current_thread);
	while (n < 8 * MOST_OWNED)
		objects[n++] = kmalloc(8192);
	assert_int_equal(s->objects, 8);
	/* All but the last have room now, which the thread doesn't know yet. */
	run_thread(free_first_of_each, objects);
	listed = get_node(s, &first_node)->nr_partial;
	/* The slab in use is full as well: it is one too many. */
	objects[n++] = kmalloc(8192);
	assert_int_equal(get_node(s, &first_node)->nr_partial, listed + 1);
	assert_int_equal(objects_in_use(s), n - (MOST_OWNED - 1));
	check_all_lists();
	while (n)
		kfree(objects[--n]);
	assert_int_equal(objects_in_use(s), 0);
	check_all_lists();
}

/* Slabs that became full and are nobody's, of which one object each is freed in turn. */
static void trimming_gives_back_what_is_unused(void **state)
{
	static void *objects[2000];
	const struct kmem_cache *s = kmalloc_cache(1536);

	(void)state;
	for (unsigned int i = 0; i < 2000; i++)
		objects[i] = kmalloc(s->size);
	for (unsigned int i = 0; i < 2000; i++)
		kfree(objects[i]);
	assert_true(kmalloc_trim() > 0);
	assert_int_equal(slabs_of(s), 0);
	assert_int_equal(kmalloc_trim(), 0);
}

static struct slab list_slabs[3];

static void lists_are_circular(void **state)
{
	struct slab *list = NULL, *a = &list_slabs[0], *b = &list_slabs[1], *c = &list_slabs[2];

	(void)state;
	slab_list_add_tail(&list, a);
	slab_list_add_tail(&list, b);
	slab_list_add_head(&list, c);
	assert_true(list == c && c->next == a && a->next == b && b->next == c);
	assert_true(c->prev == b && b->prev == a && a->prev == c);
	slab_list_del(&list, a);
	assert_true(list == c && c->next == b && b->next == c && c->prev == b);
	slab_list_del(&list, c);
	assert_true(list == b && b->next == b && b->prev == b);
	slab_list_del(&list, b);
	assert_null(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_circular),
		cmocka_unit_test(a_record_is_passed_on),
		cmocka_unit_test(the_lock_is_free_held_or_new),
		cmocka_unit_test(room_is_what_the_sheaf_has_not),
		cmocka_unit_test(a_refill_is_half_a_sheaf_at_most),
		cmocka_unit_test(a_flush_keeps_the_younger_half),
		cmocka_unit_test(a_sheaf_grows_by_use_and_is_small_again_after_a_flush),
		cmocka_unit_test(a_sheaf_that_swings_seldom_does_not_grow),
		cmocka_unit_test(a_thread_keeps_few_slabs),
		cmocka_unit_test(a_consumer_adopts_full_slabs),
		cmocka_unit_test(frees_from_elsewhere_are_found),
		cmocka_unit_test(a_full_slab_with_frees_is_listed),
		cmocka_unit_test(trimming_gives_back_what_is_unused),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
