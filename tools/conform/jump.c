/*
 * The jump cases: handlers that never return, over calls of the family. Layer: tools; listed in cases.c.
 *
 * After each jump the family works at once, what was made before is whole, and the size class that the
 * abandoned call held serves again within a few dozen calls. At the end no more memory is left behind
 * than an object for each jump.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdlib.h>

#include "jump.h"

enum { KEPT = 256, RECOVERY = 100 };

static sigjmp_buf place;

static bool attempt(void (*call)(void *), void *arg)
{
	if (sigsetjmp(place, 0) != 0)
		return true;
	call(arg);
	return false;
}

static void leave(void)
{
	siglongjmp(place, 1);
}

const struct jump_way jump_by_siglongjmp = {attempt, leave};
const struct jump_way jump_by_exception = {jump_try, jump_throw};

static struct conform_object kept[KEPT];

void jump_keep_objects(void)
{
	static const size_t sizes[] = {1, 16, 40, 100, 200, 256, 700, 3000, 20000, 70000};

	for (size_t i = 0; i < KEPT; i++)
		object_make(&kept[i], (enum conform_how)(i % NR_CONFORM_HOW),
			    sizes[i % (sizeof(sizes) / sizeof(sizes[0]))]);
}

void jump_check_some(unsigned long jumps)
{
	static const size_t sizes[] = {16, 48, 100, 256, 1000, 3000, 20000, 100000};
	struct conform_object now;

	for (size_t i = 0; i < 4; i++)
		object_check(&kept[(jumps * 4 + i) % KEPT]);
	object_make(&now, (enum conform_how)(jumps / 8 % NR_CONFORM_HOW), sizes[jumps % 8]);
	object_free(&now);
}

void jump_free_kept(void)
{
	for (size_t i = 0; i < KEPT; i++)
		object_free(&kept[i]);
}

static size_t usable_size(size_t size)
{
	void *p = malloc(size);
	size_t usable = p ? malloc_usable_size(p) : 0;

	if (!p)
		conform_end(CONFORM_FAIL, "NULL where there is memory; the size is", size);
	free(p);
	return usable;
}

void jump_learn_class(struct jump_class *c, size_t size)
{
	c->size = size;
	c->least = SIZE_MAX;
	for (int i = 0; i < RECOVERY; i++) {
		size_t usable = usable_size(size);

		if (usable < c->least)
			c->least = usable;
	}
}

void jump_check_class(const struct jump_class *c)
{
	for (int i = 0; i < RECOVERY; i++) {
		if (usable_size(c->size) <= c->least)
			return;
	}
	conform_end(CONFORM_FAIL, "a size class stays held after a jump; objects of it have",
		    c->size);
}

__attribute__((noinline)) void jump_deeper(size_t bytes, void (*function)(void *), void *arg)
{
	volatile char *pad = __builtin_alloca(bytes + 1);

	pad[0] = 1;
	function(arg);
	pad[bytes] = 2;
}

const struct conform_case jump_cases[] = {
	{"jump.step", "siglongjmp out of a handler at each instruction", 20, jump_at_each},
	{"jump.nested", "the same out of a handler's own, interrupted malloc", 20,
	 jump_at_each_nested},
	{"jump.throw", "a C++ exception out of a handler at each instruction", 20,
	 jump_at_each_throwing},
	{"jump.random", "siglongjmp at random, many thousand times", 20, jump_at_random},
	{"jump.random-throw", "a C++ exception at random, many thousand times", 20,
	 jump_at_random_throwing},
	{"jump.exit", "pthread_exit in a handler at each instruction", 20, jump_by_exit},
	{"jump.cancel", "asynchronous cancellation of threads in malloc and free", 20,
	 jump_by_cancel},
	{NULL, NULL, 0, NULL},
};
