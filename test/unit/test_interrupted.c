/*
 * Whatever the core asks the kernel for, it is interrupted there: by a frame that allocates, frees,
 * resizes, trims, makes a thread's record and passes through the kernel itself. As a handler of signals
 * would at these instructions; the others are stepped through elsewhere.
 */
#include "heap.h"
#include "wrap_os.h"

#include "core/frame.h"
#include "core/kmem_cache.h"
#include "core/options.h"

#define MIB ((size_t)1 << 20)
#define NR_KEPT 64U
#define MAX_DEPTH 3

static const size_t sizes[] = {16,    64,    65,    300,    1000,   4000,    9000,
			       20000, 32768, 40000, 100000, 300000, 2 * MIB, 40 * MIB};
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct kept {
	unsigned char *p;
	size_t size;
};

/* Of one frame; interruptions have their own, and free what earlier ones made. */
struct work {
	uint64_t seed;
	struct kept kept[NR_KEPT];
};

static _Thread_local struct work nested[MAX_DEPTH];
static _Thread_local int depth;
static _Atomic unsigned int interruptions;

static void mark(const struct kept *k)
{
	k->p[0] = k->p[k->size - 1] = (unsigned char)k->size;
}

static void check(const struct kept *k)
{
	must(k->p[0] == (unsigned char)k->size && k->p[k->size - 1] == (unsigned char)k->size);
}

static void drop(struct kept *k)
{
	if (!k->p)
		return;
	check(k);
	kfree(k->p);
	k->p = NULL;
}

static void make(struct work *w, struct kept *k)
{
	k->size = sizes[random_below(&w->seed, NR_SIZES)];
	switch (random_below(&w->seed, 4)) {
	case 0:
		k->p = kmalloc_aligned(k->size, (size_t)64 << random_below(&w->seed, 12));
		break;
	case 1:
		k->p = kzalloc(k->size);
		must(is_zero(k->p, k->size < 100000 ? k->size : 100000));
		break;
	default:
		k->p = kmalloc(k->size);
	}
	must(k->p);
	mark(k);
}

static void resize(struct work *w, struct kept *k)
{
	size_t size = sizes[random_below(&w->seed, NR_SIZES)];

	check(k);
	k->p = krealloc(k->p, size);
	must(k->p && k->p[0] == (unsigned char)k->size);
	k->size = size;
	mark(k);
}

static void step(struct work *w)
{
	struct kept *k = &w->kept[random_below(&w->seed, NR_KEPT)];

	if (!k->p)
		make(w, k);
	else if (random_below(&w->seed, 3) == 0)
		resize(w, k);
	else
		drop(k);
}

static void drop_all(struct work *w)
{
	for (unsigned int i = 0; i < NR_KEPT; i++)
		drop(&w->kept[i]);
}

static bool interrupt(enum os_call call, const void *addr, size_t size)
{
	struct work *w;

	(void)addr;
	(void)size;
	if (depth >= MAX_DEPTH)
		return true;
	w = &nested[depth++];
	atomic_fetch_add(&interruptions, 1);
	for (unsigned int i = 0; i < 4; i++)
		step(w);
	/* Ones that go to the kernel in turn. */
	if (call != OS_PURGE && random_below(&w->seed, 16) == 0)
		kmalloc_trim();
	depth--;
	return true;
}

/* Uninterrupted, for an interruption would use them. */
static void drop_nested(void)
{
	depth = MAX_DEPTH;
	for (unsigned int i = 0; i < MAX_DEPTH; i++)
		drop_all(&nested[i]);
	depth = 0;
}

static void assert_empty(void)
{
	struct heap_stats heap;

	heap_stats(&heap, NULL);
	assert_int_equal(heap.small_used, 0);
	assert_int_equal(heap.runs, 0);
	assert_int_equal(heap.mapped, 0);
	assert_int_equal(heap.mapped_bytes, 0);
	kmalloc_trim();
	heap_stats(&heap, NULL);
	assert_int_equal(heap.small_free, 0);
	assert_int_equal(heap.free_frames, 0);
}

static void every_call_to_the_kernel(void **state)
{
	static struct work w = {.seed = 1};

	(void)state;
	os_hook = interrupt;
	for (unsigned int turn = 0; turn < ROUNDS(4000); turn++) {
		step(&w);
		if (turn % 500 == 0)
			kmalloc_trim();
	}
	drop_all(&w);
	drop_nested();
	os_hook = NULL;
	assert_true(interruptions > 100);
	assert_empty();
}

/* Interrupted from the first call on: the record, the reservation, the section, the fork page. */
static void *begin(void *arg)
{
	struct work w = {.seed = *(uint64_t *)arg};

	for (unsigned int i = 0; i < MAX_DEPTH; i++)
		nested[i].seed = w.seed + i + 1;
	for (unsigned int turn = 0; turn < 60; turn++)
		step(&w);
	drop_all(&w);
	drop_nested();
	return NULL;
}

static void begin_in_threads(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	os_hook = interrupt;
	for (unsigned int i = 0; i < 4; i++, seed++)
		run_thread(begin, &seed);
	os_hook = NULL;
	must(interruptions > 0);
	/* A nested call may have needed a record of its own meanwhile. */
	must(nr_records() <= 2 + MAX_DEPTH);
	assert_empty();
}

/* In a process of its own each time, where nothing is set up yet. */
static void the_first_calls_of_all(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS(50); seed++)
		run_good_child(begin_in_threads, &seed);
}

/* The nested frame makes the very section that the interrupted one is about to make. */
static uintptr_t wanted;
static struct section *made;

static bool make_section(enum os_call call, const void *addr, size_t size)
{
	(void)addr;
	if (call != OS_MAP || size != sizeof(struct section))
		return true;
	os_hook = NULL;
	made = section_get(wanted);
	return true;
}

static void a_section_made_twice_is_one(void **state)
{
	struct section *sec;

	(void)state;
	wanted = UINT64_C(11) << 40;
	os_hook = make_section;
	sec = section_get(wanted);
	assert_non_null(sec);
	assert_ptr_equal(sec, made);
	assert_ptr_equal(section_get(wanted), made);
}

static struct thread *nested_record;

static bool make_record(enum os_call call, const void *addr, size_t size)
{
	(void)addr;
	(void)size;
	if (call != OS_PURGE)
		return true;
	os_hook = NULL;
	kfree(kmalloc(10));
	nested_record = current_thread;
	return true;
}

/* The frame for the record was used before: it is cleared, and there the handler needs one as well. */
static void *make_two_records(void *arg)
{
	os_hook = make_record;
	kfree(kmalloc(10));
	must(nested_record && current_thread == nested_record);
	return arg;
}

static void take_two_records(void *arg)
{
	bool zeroed;
	char *p = frame_alloc(8, 1, &zeroed);

	(void)arg;
	memset(p, 1, 8 * FRAME_SIZE);
	frame_free(p, 8);
	run_thread(make_two_records, NULL);
	must(nr_records() == 2);
	/* Both are there for later threads. */
	run_thread(begin, &(uint64_t){7});
	must(nr_records() == 2);
}

static void a_record_made_twice_is_passed_on(void **state)
{
	(void)state;
	run_good_child(take_two_records, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_calls_of_all),
		cmocka_unit_test(a_record_made_twice_is_passed_on),
		cmocka_unit_test(every_call_to_the_kernel),
		cmocka_unit_test(a_section_made_twice_is_one),
	};

	options.purge_delay_ms = 5;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
