/* The work; see workload.h. */
#include "workload.h"

#include <pthread.h>

#include "check.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

#define RANDOM_STEPS 1500
#define THREADS 3
#define THREAD_OBJECTS 48

static uint64_t next_random(struct workload *w)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return w->random >> 33;
}

/* Most are small; one in sixteen takes frames of its own. */
static size_t random_size(struct workload *w)
{
	static const size_t limits[] = {64, 64, 256, 256, 256, 1024, 4096, 32768};
	uint64_t kind = next_random(w) % 16;

	if (kind == 15)
		return 32769 + next_random(w) % (600 * KIB);
	return 1 + next_random(w) % limits[kind % 8];
}

static bool got(struct workload *w, const void *p, size_t size)
{
	if (p)
		return true;
	w->failures++;
	CHECK_THAT(!w->no_failures, "no %zu bytes, although the kernel gives memory", size);
	return false;
}

static void add(struct workload *w, struct object *o, size_t size)
{
	void *p = w->heap->alloc(size);

	if (got(w, p, size))
		object_stamp(o, p, size);
}

static void add_zeroed(struct workload *w, struct object *o, size_t size)
{
	void *p = w->heap->zalloc(size);

	if (!got(w, p, size))
		return;
	CHECK_THAT(object_is_zero(p, size), "%zu zeroed bytes at %p are not zero", size, p);
	object_stamp(o, p, size);
}

static void add_aligned(struct workload *w, struct object *o, size_t size, size_t align)
{
	void *p = w->heap->aligned(size, align);

	if (!got(w, p, size))
		return;
	CHECK_THAT(is_aligned(p, align), "%p is not aligned to %zu", p, align);
	object_stamp(o, p, size);
}

static void resize(struct workload *w, struct object *o, size_t size)
{
	void *p;

	object_check(o);
	p = w->heap->resize(o->p, size);
	if (!got(w, p, size)) {
		object_check(o);
		return;
	}
	object_check_moved(o, p, size);
	object_stamp(o, p, size);
}

static void drop(struct workload *w, struct object *o)
{
	object_check(o);
	w->heap->release(o->p);
	o->p = NULL;
}

static void random_step(struct workload *w)
{
	struct object *o = &w->objects[next_random(w) % WORKLOAD_OBJECTS];
	uint64_t what = next_random(w) % 8;

	if (o->p && what < 3)
		resize(w, o, random_size(w));
	else if (o->p)
		drop(w, o);
	else if (what == 0)
		add_zeroed(w, o, random_size(w));
	else if (what == 1)
		add_aligned(w, o, random_size(w), (size_t)16 << next_random(w) % 9);
	else
		add(w, o, random_size(w));
}

/* An object grows from a slab to frames, to a mapping, to a larger one, and shrinks back. */
static void grow_and_shrink(struct workload *w)
{
	static const size_t sizes[] = {
		100,	   3000,     40 * KIB, 300 * KIB, 300 * KIB + 1,	2 * MIB,
		5 * MIB,   3 * MIB,  36 * MIB, 50 * MIB,  50 * MIB - 100 * KIB, 34 * MIB,
		200 * KIB, 10 * KIB, 10};
	struct object o = {0}, wall = {0};

	add(w, &o, 50);
	for (size_t i = 0; o.p && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		resize(w, &o, sizes[i]);
		/* What comes behind it keeps it from growing in place. */
		if (!wall.p)
			add(w, &wall, 70 * KIB);
		else
			drop(w, &wall);
	}
	if (o.p)
		drop(w, &o);
	if (wall.p)
		drop(w, &wall);
}

static void large_alignments(struct workload *w)
{
	for (size_t align = 8 * KIB; align <= 64 * MIB; align *= 8) {
		struct object o = {0}, mapped = {0};

		add_aligned(w, &o, 3 * align / 2 < 2 * MIB ? 3 * align / 2 : 2 * MIB, align);
		add_aligned(w, &mapped, 33 * MIB, align);
		if (o.p)
			drop(w, &o);
		if (mapped.p)
			drop(w, &mapped);
	}
}

static void zeroed_again(struct workload *w)
{
	static const size_t sizes[] = {500, 20 * KIB, 128 * KIB, 3 * MIB, 40 * MIB};

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct object o = {0};

		add_zeroed(w, &o, sizes[i / 2]);
		if (o.p)
			drop(w, &o);
	}
}

static void special_objects(struct workload *w)
{
	struct object o[40] = {0};
	size_t size = w->heap->special_size;

	for (size_t i = 0; i < 40; i++) {
		void *p = w->heap->special();

		if (got(w, p, size))
			object_stamp(&o[i], p, size);
	}
	for (size_t i = 0; i < 40; i++) {
		if (o[i].p) {
			object_check(&o[i]);
			w->heap->release_special(o[i].p);
		}
	}
}

struct hand_over {
	struct workload work;
	struct object objects[THREAD_OBJECTS];
};

/* Half of what it makes it frees, the rest is left to the thread that started it. */
static void *thread_work(void *arg)
{
	struct hand_over *hand = arg;

	for (size_t i = 0; i < THREAD_OBJECTS; i++)
		add(&hand->work, &hand->objects[i], random_size(&hand->work));
	for (size_t i = 0; i < THREAD_OBJECTS; i += 2) {
		if (hand->objects[i].p)
			drop(&hand->work, &hand->objects[i]);
	}
	return NULL;
}

/* One after the other, so that the calls to the kernel come in the same order every time. */
static void threads(struct workload *w)
{
	static struct hand_over hand;
	pthread_t thread;

	for (unsigned int n = 0; n < THREADS; n++) {
		memset(&hand, 0, sizeof(hand));
		hand.work.heap = w->heap;
		hand.work.no_failures = w->no_failures;
		hand.work.random = next_random(w);
		if (pthread_create(&thread, NULL, thread_work, &hand)) {
			CHECK(!w->no_failures);
			continue;
		}
		CHECK(pthread_join(thread, NULL) == 0);
		w->failures += hand.work.failures;
		for (size_t i = 0; i < THREAD_OBJECTS; i++) {
			if (hand.objects[i].p)
				drop(w, &hand.objects[i]);
		}
	}
}

void workload_check(const struct workload *w)
{
	for (size_t i = 0; i < WORKLOAD_OBJECTS; i++) {
		if (w->objects[i].p)
			object_check(&w->objects[i]);
	}
}

void workload_free_all(struct workload *w)
{
	for (size_t i = 0; i < WORKLOAD_OBJECTS; i++) {
		if (w->objects[i].p)
			drop(w, &w->objects[i]);
	}
}

static void random_steps(struct workload *w)
{
	for (unsigned int i = 0; i < RANDOM_STEPS; i++)
		random_step(w);
	workload_check(w);
}

void workload_run(struct workload *w)
{
	random_steps(w);
	grow_and_shrink(w);
	w->heap->age();
	random_steps(w);
	large_alignments(w);
	threads(w);
	zeroed_again(w);
	if (w->heap->special)
		special_objects(w);
	w->heap->trim();
	random_steps(w);
	grow_and_shrink(w);
	workload_check(w);
}
