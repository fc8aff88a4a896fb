/*
 * Frees that meet a full sheaf: straight into their slab, where that is the thread's own or becomes it; by a flush, where it
 * is another thread's, and now and then. And what is kept of slabs that so become empty.
 */
#include "heap.h"

#include "core/options.h"

#define SIZE 640
#define NR 600
/* Prime to NR: so many apart are of different slabs. */
#define STRIDE 97

static void *p[NR];

static struct kmem_cache *filled(void)
{
	struct kmem_cache *s = kmalloc_cache(SIZE);

	for (unsigned int i = 0; i < NR; i++) {
		p[i] = kmalloc(SIZE);
		must(p[i]);
	}
	return s;
}

static void drop(unsigned int i)
{
	kfree(p[i]);
	p[i] = NULL;
}

static void drop_all(struct kmem_cache *s)
{
	for (unsigned int i = 0; i < NR; i++)
		drop(i);
	assert_int_equal(objects_in_use(s), 0);
	kmalloc_trim();
	assert_int_equal(slabs_of(s), 0);
}

/* Frees here and there, until the sheaf is full and has overflowed since it was refilled: no slab is full then. */
static void overflow(struct kmem_cache *s)
{
	unsigned int i = 0;

	for (; sheaf_room(s) || own_cpu(s)->swings & SWING_BEGUN; i++)
		drop(i * STRIDE % NR);
	must(i < NR / 2);
}

/* One whose slab is on that list, and has more than so many in use. */
static unsigned int find(enum slab_list list, uint32_t inuse)
{
	for (unsigned int i = 0; i < NR; i++) {
		const struct slab *slab = p[i] ? virt_to_slab(p[i]) : NULL;

		if (slab && slab->list == list && slab->inuse > inuse)
			return i;
	}
	must(false);
	return 0;
}

/* Returns the slab it was of. */
static struct slab *drop_and_see(struct kmem_cache *s, unsigned int i, bool direct)
{
	struct slab *slab = virt_to_slab(p[i]);
	struct free_object *fo = object_to_free(s, p[i]);
	const struct free_object *top = own_cpu(s)->freelist;
	uint32_t inuse = slab->inuse, length = sheaf_length(s);
	bool begun = own_cpu(s)->swings & SWING_BEGUN;

	must(!sheaf_room(s));
	own_cpu(s)->idle = 2;
	drop(i);
	assert_int_equal(fo->state.mark, FREE_MARK);
	assert_false(local_lock_is_locked(current_thread, own_cpu(s)));
	assert_int_equal(own_cpu(s)->stage, STAGE_NONE);
	assert_null(own_lists(s)->flushing);
	assert_int_equal(slab_has_free(slab, fo), direct);
	assert_false(own_cpu(s)->swings & SWING_BEGUN);
	if (direct) {
		assert_int_equal(slab->inuse, inuse - 1);
		assert_ptr_equal(own_cpu(s)->freelist, top);
		assert_int_equal(own_cpu(s)->idle, begun ? sheaf_patience(own_cpu(s), s) - 1 : 1);
	} else {
		assert_ptr_equal(own_cpu(s)->freelist, fo);
		assert_true(sheaf_length(s) < length);
		assert_int_equal(own_cpu(s)->idle, sheaf_patience(own_cpu(s), s));
	}
	return slab;
}

static void a_full_sheaf_leaves_them_to_their_slab(void **state)
{
	struct kmem_cache *s = filled();

	(void)state;
	overflow(s);
	for (unsigned int n = 0; n < 3 * s->sheaf; n++)
		drop_and_see(s, find(LIST_PARTIAL, 1), true);
	drop_all(s);
}

static void and_the_current_slab_takes_its_own(void **state)
{
	struct kmem_cache *s = filled();

	(void)state;
	overflow(s);
	must(own_cpu(s)->slab != &slab_none);
	assert_ptr_equal(drop_and_see(s, find(LIST_NONE, 1), true), own_cpu(s)->slab);
	drop_all(s);
}

static void one_of_a_full_slab_changes_its_list(void **state)
{
	struct kmem_cache *s = filled();
	void *more[NR];
	unsigned int seen = 0;

	(void)state;
	for (unsigned int i = 0; i < NR; i++)
		more[i] = kmalloc(SIZE);
	overflow(s);
	for (unsigned int i = 0; i < NR; i++) {
		drop(0);
		p[0] = more[i];
		if (virt_to_slab(p[0])->list == LIST_FULL && !sheaf_room(s)) {
			assert_int_equal(drop_and_see(s, 0, true)->list, LIST_PARTIAL);
			seen++;
		}
	}
	assert_true(seen > 2);
	drop_all(s);
}

/* A slab that its owner gave up when it was full. */
static void one_of_a_slab_that_is_nobodys_makes_it_the_threads(void **state)
{
	struct kmem_cache *s = filled();
	struct slab *slab = NULL;
	unsigned int i;

	(void)state;
	thread_flush(current_thread, s);
	for (i = 0; !slab || slab_shared(slab, memory_order_relaxed).state != SLAB_FULL; i++) {
		must(i < NR);
		slab = virt_to_slab(p[i]);
	}
	i--;
	for (unsigned int n = NR; sheaf_room(s) || own_cpu(s)->swings & SWING_BEGUN;) {
		must(n--);
		if (p[n] && virt_to_slab(p[n]) != slab)
			drop(n);
	}
	drop_and_see(s, i, true);
	assert_true(slab_is_of(slab, current_thread));
	assert_int_equal(slab->list, LIST_PARTIAL);
	assert_int_equal(current_thread->sending.cpu_offset, 0);
	drop_all(s);
}

/* Takes what the sheaf has of the slab into p, and fills it with others. */
static void take_from_sheaf(struct kmem_cache *s, const struct slab *slab)
{
	uint32_t n = sheaf_length(s), last = NR;
	void *all[NR];

	for (uint32_t i = 0; i < n; i++)
		all[i] = kmalloc(SIZE);
	for (uint32_t i = 0; i < n; i++) {
		if (virt_to_slab(all[i]) != slab) {
			kfree(all[i]);
			continue;
		}
		while (p[--last])
			;
		p[last] = all[i];
	}
	for (uint32_t i = 0; sheaf_room(s); i++) {
		if (p[i] && virt_to_slab(p[i]) != slab)
			drop(i);
	}
}

/* Frees all that p has of the slab, each past the full sheaf. */
static void empty(struct kmem_cache *s, struct slab *slab)
{
	take_from_sheaf(s, slab);
	for (unsigned int i = 0; i < NR; i++) {
		if (p[i] && virt_to_slab(p[i]) == slab && slab->inuse > 1)
			drop_and_see(s, i, true);
	}
	for (unsigned int i = 0; i < NR; i++) {
		if (p[i] && virt_to_slab(p[i]) == slab)
			drop(i);
	}
}

/* The first that is empty stays, the next one goes. */
static void the_last_of_a_slab_lets_it_go(void **state)
{
	struct kmem_cache *s = filled();
	struct slab *slab;
	uint64_t before;

	(void)state;
	overflow(s);
	before = slabs_of(s);
	slab = virt_to_slab(p[find(LIST_PARTIAL, 1)]);
	empty(s, slab);
	assert_int_equal(slab->inuse, 0);
	assert_int_equal(own_cpu(s)->nr_empty, 1);
	assert_int_equal(slabs_of(s), before);
	slab = virt_to_slab(p[find(LIST_FULL, 1)]);
	empty(s, slab);
	assert_int_equal(slab->kind, FRAME_NONE);
	assert_int_equal(own_cpu(s)->nr_empty, 1);
	assert_int_equal(slabs_of(s), before - 1);
	drop_all(s);
}

/* It counts as a swing. */
static void one_goes_there_after_a_refill_as_well(void **state)
{
	struct kmem_cache *s = filled();
	unsigned int n = 0;
	uint8_t swings;
	void *more[NR];

	(void)state;
	overflow(s);
	swings = own_cpu(s)->swings;
	while (!(own_cpu(s)->swings & SWING_BEGUN))
		more[n++] = kmalloc(SIZE);
	while (sheaf_room(s))
		kfree(more[--n]);
	drop_and_see(s, find(LIST_PARTIAL, 1), true);
	assert_int_equal(own_cpu(s)->swings, swings + 1);
	while (n)
		kfree(more[--n]);
	drop_all(s);
}

static void many_past_it_turn_the_sheaf(void **state)
{
	struct kmem_cache *s = filled();
	const struct free_object *top;

	(void)state;
	overflow(s);
	make_stale(s);
	top = own_cpu(s)->freelist;
	drop(find(LIST_PARTIAL, 1));
	assert_ptr_not_equal(own_cpu(s)->freelist, top);
	assert_int_equal(sheaf_length(s), sheaf_size(s) - sheaf_size(s) / 2);
	drop_all(s);
}

static void look_for_idle(void)
{
	current_thread->idle_due = 0;
	for (uint64_t i = 0; i < NR_KMALLOC_CACHES; i++)
		thread_poll_idle(current_thread, i);
}

/* Or who frees seldom past it would never turn it; and what it put away is no reason to take it for idle. */
static void a_look_has_the_next_one_turn_it(void **state)
{
	struct kmem_cache *s = filled();
	const struct free_object *top;

	(void)state;
	overflow(s);
	drop_and_see(s, find(LIST_PARTIAL, 1), true);
	look_for_idle();
	top = own_cpu(s)->freelist;
	drop(find(LIST_PARTIAL, 1));
	assert_ptr_not_equal(own_cpu(s)->freelist, top);
	assert_int_equal(sheaf_length(s), sheaf_size(s) - sheaf_size(s) / 2);
	look_for_idle();
	assert_true(sheaf_length(s) > 0);
	drop_all(s);
}

enum { LARGE = 32768, NR_LARGE = 400, NR_MOST = 1600 };

/* So many at once, again and again: the sheaf has grown to its end. */
static struct kmem_cache *swing(size_t size, unsigned int nr)
{
	static void *all[NR_MOST];
	struct kmem_cache *s = kmalloc_cache(size);

	for (uint32_t round = 0; round < MANY_SWINGS * (s->max_grade + 1U); round++) {
		for (unsigned int i = 0; i < nr; i++) {
			all[i] = kmalloc(size);
			must(all[i]);
		}
		for (unsigned int i = 0; i < nr; i++)
			kfree(all[i]);
	}
	assert_int_equal(own_cpu(s)->grade, s->max_grade);
	return s;
}

static struct kmem_cache *swing_large(void)
{
	return swing(LARGE, NR_LARGE);
}

/* Who swings by more than any sheaf holds, and is alone, keeps what it takes; and is served by many slabs at once. */
static void empty_slabs_stay_for_who_swings(void **state)
{
	struct kmem_cache *s = swing_large();
	void *taken[NR_LARGE];
	unsigned int n = 0;

	(void)state;
	assert_true(own_cpu(s)->nr_empty > (NR_LARGE - sheaf_size(s)) / s->objects - 4);
	/* They push out nothing that is in use. */
	assert_true(current_thread->empty >= own_cpu(s)->nr_empty);
	assert_true(current_thread->owned < (int32_t)sheaf_size(s));
	assert_int_equal(objects_in_use(s), 0);
	while (sheaf_length(s))
		taken[n++] = kmalloc(LARGE);
	taken[n++] = kmalloc(LARGE);
	assert_int_equal(sheaf_length(s), (256 << 10) / LARGE - 1);
	while (n)
		kfree(taken[--n]);
	thread_flush(current_thread, s);
	assert_int_equal(own_cpu(s)->nr_empty, 0);
	assert_int_equal(slabs_of(s), 0);
}

/* It goes on, and no longer swings: by half at each look they go, the sheaf stays. */
static void and_go_when_it_no_longer_does(void **state)
{
	struct kmem_cache *s = swing_large();
	uint32_t n = own_cpu(s)->nr_empty, length = sheaf_length(s);
	void *taken = NULL;

	(void)state;
	look_for_idle();
	assert_int_equal(own_cpu(s)->nr_empty, n);
	for (; n > 1; n -= n / 2) {
		assert_int_equal(own_cpu(s)->nr_empty, n);
		if (taken)
			kfree(taken);
		taken = taken ? NULL : kmalloc(LARGE);
		look_for_idle();
	}
	assert_int_equal(own_cpu(s)->nr_empty, 1);
	assert_int_equal(sheaf_length(s) + (taken != NULL), length);
	assert_int_equal(own_cpu(s)->stage, STAGE_NONE);
	kfree(taken);
	thread_flush(current_thread, s);
	assert_int_equal(slabs_of(s), 0);
}

static size_t empty_bytes(void)
{
	return (size_t)current_thread->empty * FRAME_SIZE;
}

static void but_no_more_than_32_mib(void **state)
{
	struct kmem_cache *s = swing(LARGE, NR_MOST);

	(void)state;
	assert_int_equal(empty_bytes(), 32 << 20);
	assert_int_equal(objects_in_use(s), 0);
	kmalloc_trim();
	assert_int_equal(slabs_of(s), 0);
}

/* With others in the process it is four of each cache, and 2 MiB of all. */
static void and_fewer_where_others_could_use_them(void **state)
{
	struct kmem_cache *s;

	(void)state;
	thread_note_company();
	s = swing_large();
	assert_int_equal(own_cpu(s)->nr_empty, 4);
	kmalloc_trim();
	assert_int_equal(slabs_of(s), 0);
	for (unsigned int i = 1; i <= 8; i++)
		swing(CLASS_SIZE(size_class(4096) + i), NR_MOST);
	assert_int_equal(empty_bytes(), 2 << 20);
	assert_int_equal(own_cpu(swing_large())->nr_empty, 0);
	assert_int_equal(empty_bytes(), 2 << 20);
	kmalloc_trim();
	assert_int_equal(current_thread->empty, 0);
}

/* One of each slab, then here and there, then all in order: no slab stays for what the sheaf had first. */
static void no_slab_stays_for_the_oldest(void **state)
{
	enum { COUNT = 16384 };
	static void *all[COUNT];
	struct kmem_cache *s = kmalloc_cache(64);

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++)
		all[i] = kmalloc(64);
	for (unsigned int i = 0; i < COUNT; i += 512) {
		kfree(all[i]);
		all[i] = NULL;
	}
	for (unsigned int i = 1; i < COUNT; i += 101) {
		kfree(all[i * 5003 % COUNT]);
		all[i * 5003 % COUNT] = NULL;
	}
	for (unsigned int i = 0; i < COUNT; i++)
		kfree(all[i]);
	assert_true(slabs_of(s) <= 4);
	kmalloc_trim();
	assert_int_equal(slabs_of(s), 0);
}

static void *drop_by_another(void *arg)
{
	struct kmem_cache *s = kmalloc_cache(SIZE);
	static void *own[NR];

	for (unsigned int i = 0; i < NR; i++)
		own[i] = kmalloc(SIZE);
	for (unsigned int i = 0; i < NR; i++) {
		kfree(own[i]);
		if (arg && !sheaf_room(s) && !(own_cpu(s)->swings & SWING_BEGUN)) {
			drop_and_see(s, *(unsigned int *)arg, false);
			arg = NULL;
		}
	}
	must(!arg);
	return NULL;
}

static void one_of_another_threads_slab_is_flushed(void **state)
{
	struct kmem_cache *s = filled();
	unsigned int i;

	(void)state;
	overflow(s);
	i = find(LIST_PARTIAL, 1);
	run_thread(drop_by_another, &i);
	drop_all(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_sheaf_leaves_them_to_their_slab),
		cmocka_unit_test(and_the_current_slab_takes_its_own),
		cmocka_unit_test(one_of_a_full_slab_changes_its_list),
		cmocka_unit_test(one_of_a_slab_that_is_nobodys_makes_it_the_threads),
		cmocka_unit_test(the_last_of_a_slab_lets_it_go),
		cmocka_unit_test(one_goes_there_after_a_refill_as_well),
		cmocka_unit_test(many_past_it_turn_the_sheaf),
		cmocka_unit_test(a_look_has_the_next_one_turn_it),
		cmocka_unit_test(empty_slabs_stay_for_who_swings),
		cmocka_unit_test(and_go_when_it_no_longer_does),
		cmocka_unit_test(but_no_more_than_32_mib),
		cmocka_unit_test(and_fewer_where_others_could_use_them),
		cmocka_unit_test(no_slab_stays_for_the_oldest),
		cmocka_unit_test(one_of_another_threads_slab_is_flushed),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
