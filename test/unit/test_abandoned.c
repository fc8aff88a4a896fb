/*
 * Calls that never come to their end: stepped by the trap flag, each is left by siglongjmp at one of its
 * instructions, and so on through all of it. What was alive stays whole, nothing is handed out twice, the class serves again, and what
 * is lost is counted.
 */
#include "heap.h"

#include "../trap_flag.h"

#include <setjmp.h>
#include <signal.h>

#include "core/kmem_cache.h"

/* Eight to a slab of one frame, sixteen to a sheaf: every path is short. */
#define SIZE 8192
#define NR 40
/* Each step costs a trip through the kernel; primes, and other instructions with each change. */
#if defined(__OPTIMIZE__)
#define STRIDE 251
#else
#define STRIDE 1009
#endif

static sigjmp_buf out;
static volatile unsigned long steps, leave_at;

static void on_trap(int signal)
{
	(void)signal;
	if (++steps == leave_at)
		siglongjmp(out, 1);
}

struct object {
	uint64_t *p;
	uint64_t id;
};

static struct object objects[NR];
static uint64_t ids;

static void make(struct object *o)
{
	o->p = kmalloc(SIZE);
	must(o->p);
	o->id = ++ids;
	o->p[0] = o->p[SIZE / 8 - 1] = o->id;
}

static void check(const struct object *o)
{
	must(o->p[0] == o->id && o->p[SIZE / 8 - 1] == o->id);
}

static void drop(struct object *o)
{
	uint64_t *p = o->p;

	if (!p)
		return;
	check(o);
	/* First: a call that is left in its middle has had the object. */
	o->p = NULL;
	kfree(p);
}

static void *make_all(void *arg)
{
	for (unsigned int i = 0; i < NR; i++)
		make(&objects[i]);
	return arg;
}

static void *drop_every_other(void *arg)
{
	for (unsigned int i = 0; i < NR; i += 2)
		drop(&objects[i]);
	return arg;
}

static void drop_all(void)
{
	for (unsigned int i = 0; i < NR; i++)
		drop(&objects[i]);
}

/* --- what is left in the middle: prepared uninterrupted, then stepped --- */

static void nothing(void)
{
}

static void make_own(void)
{
	make_all(NULL);
}

static void make_by_another(void)
{
	run_thread(make_all, NULL);
}

static void make_and_have_half_freed(void)
{
	make_all(NULL);
	run_thread(drop_every_other, NULL);
}

static void make_and_fill_the_sheaf(void)
{
	unsigned int i = 0;

	make_all(NULL);
	while (sheaf_room(kmalloc_cache(SIZE)))
		drop(&objects[i++]);
	make_stale(kmalloc_cache(SIZE));
}

static void step_makes(void)
{
	for (unsigned int i = 0; i < NR; i++) {
		uint64_t *p = objects[i].p ? NULL : kmalloc(SIZE);

		if (!p)
			continue;
		/* In hand until it is noted: such a one may be lost. */
		objects[i].id = ++ids;
		p[0] = p[SIZE / 8 - 1] = objects[i].id;
		objects[i].p = p;
	}
}

static void step_shrink(void)
{
	drop(&objects[0]);
	cache_shrink(kmalloc_cache(SIZE));
}

static const struct operation {
	const char *what;
	void (*prepare)(void);
	void (*step)(void);
	uint64_t loss; /* objects at most */
} operations[] = {
	{"allocation, refill, new slabs", nothing, step_makes, 1},
	{"free into own slabs", make_own, drop_all, 1},
	{"free into slabs that were another's", make_by_another, drop_all, 1},
	{"allocation of what others freed", make_and_have_half_freed, step_makes, 1},
	{"flush of half a sheaf", make_and_fill_the_sheaf, drop_all, 1},
	{"flush of all", make_own, step_shrink, 1},
};

/* True: it came to its end before that step. */
static bool leave(const struct operation *o, unsigned long at)
{
	o->prepare();
	steps = 0;
	leave_at = at;
	if (sigsetjmp(out, 1) == 0) {
		step_on();
		o->step();
		step_off();
		return true;
	}
	return false;
}

/* Nested calls are served from the next class; that must not last. */
static void assert_class_serves(void)
{
	static void *p[300];
	unsigned int n = 0;

	while (n < 300) {
		p[n] = kmalloc(SIZE);
		must(p[n]);
		if (kmalloc_cache_of(p[n++]) == kmalloc_cache(SIZE))
			break;
	}
	must(kmalloc_cache_of(p[n - 1]) == kmalloc_cache(SIZE));
	while (n)
		kfree(p[--n]);
}

static uint64_t count_lost(void)
{
	kmalloc_trim();
	return objects_in_use(kmalloc_cache(SIZE));
}

static void try_all(const struct operation *o, unsigned long stride)
{
	uint64_t before = count_lost(), lost, most = 0;
	unsigned long at = 1;

	while (!leave(o, at)) {
		assert_class_serves();
		drop_all();
		make_all(NULL);
		drop_all();
		lost = count_lost();
		most = lost - before > most ? lost - before : most;
		if (lost - before > o->loss)
			print_error("%s, step %lu: %lu lost\n", o->what, at, lost - before);
		must(lost >= before && lost - before <= o->loss);
		before = lost;
		at += stride;
	}
	drop_all();
	print_message("%s: left at %lu instructions, lost at most %lu\n", o->what, at / stride,
		      most);
}

static void calls_can_be_left_anywhere(void **state)
{
	const struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_NODEFER};

	(void)state;
	/* Sanitizers defer signals, and their frames are not the library's. */
	if (!CAN_STEP || UNDER_TSAN || UNDER_ASAN)
		skip();
	sigaction(SIGTRAP, &action, NULL);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		try_all(&operations[i], STRIDE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_can_be_left_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
