/* The lock-free stack: its order, and that threads which push and pop never hold one frame twice. */
#include "unit.h"

#include "core/frame.h"
#include "core/frame_stack.h"
#include "core/options.h"

#define NR_FRAMES 24U
#define NR_WORKERS 4U

static struct frame_stack stack;
static struct slab *slabs[NR_FRAMES];

static struct slab *frame_slab(void)
{
	bool zeroed;
	void *addr = frame_alloc(1, 1, &zeroed);
	struct slab *slab;

	must(addr);
	slab = virt_to_slab(addr);
	slab->base = (uintptr_t)addr;
	return slab;
}

static int make_frames(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NR_FRAMES; i++)
		slabs[i] = frame_slab();
	return 0;
}

static void an_empty_stack_gives_none(void **state)
{
	(void)state;
	assert_null(frame_stack_pop(&stack));
	frame_stack_push(&stack, slabs[0]);
	assert_ptr_equal(frame_stack_pop(&stack), slabs[0]);
	assert_null(frame_stack_pop(&stack));
}

static void the_last_comes_first(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NR_FRAMES; i++)
		frame_stack_push(&stack, slabs[i]);
	for (unsigned int i = NR_FRAMES; i--;)
		assert_ptr_equal(frame_stack_pop(&stack), slabs[i]);
	assert_null(frame_stack_pop(&stack));
}

/* The word never comes back to what it was: that is what a stopped popper relies on. */
static void every_change_counts_a_generation(void **state)
{
	union frame_stack_top before, after;

	(void)state;
	before.word = stack.top;
	frame_stack_push(&stack, slabs[0]);
	after.word = stack.top;
	assert_int_equal(after.frame, frame_number(slabs[0]->base));
	assert_int_equal(after.generation, before.generation + 1);
	frame_stack_pop(&stack);
	after.word = stack.top;
	assert_int_equal(after.frame, before.frame);
	assert_int_equal(after.generation, before.generation + 2);
}

static void generations_wrap(void **state)
{
	union frame_stack_top top = {.frame = 0, .generation = UINT32_MAX};

	(void)state;
	atomic_store(&stack.top, top.word);
	frame_stack_push(&stack, slabs[1]);
	top.word = stack.top;
	assert_int_equal(top.generation, 0);
	assert_ptr_equal(frame_stack_pop(&stack), slabs[1]);
	assert_null(frame_stack_pop(&stack));
}

struct worker {
	uint64_t seed, pops;
};

/* Plain, so that a second holder is a data race as well. */
static void hold(struct slab *slab)
{
	must(slab->inuse == 0);
	slab->inuse = 1;
	slab->carved++;
}

static void let_go(struct slab *slab)
{
	must(slab->inuse == 1);
	slab->inuse = 0;
	frame_stack_push(&stack, slab);
}

static void *push_and_pop(void *arg)
{
	struct worker *w = arg;
	struct slab *held[4];
	unsigned int n = 0;

	for (unsigned int turn = 0; turn < ROUNDS(300000); turn++) {
		if (n < 4 && random_next(&w->seed) & 1) {
			held[n] = frame_stack_pop(&stack);
			if (!held[n])
				continue;
			hold(held[n++]);
			w->pops++;
		} else if (n) {
			let_go(held[--n]);
		}
	}
	while (n)
		let_go(held[--n]);
	return NULL;
}

static void a_frame_has_one_holder(void **state)
{
	struct worker workers[NR_WORKERS];
	uint64_t pops = 0, holds = 0;

	(void)state;
	/* Fewer than can be held: it runs empty now and then. */
	for (unsigned int i = 0; i < 10; i++) {
		slabs[i]->inuse = slabs[i]->carved = 0;
		frame_stack_push(&stack, slabs[i]);
	}
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		workers[i] = (struct worker){i, 0};
	run_threads(NR_WORKERS, push_and_pop, workers, sizeof(workers[0]));
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		pops += workers[i].pops;
	for (unsigned int i = 0; i < 10; i++) {
		struct slab *slab = frame_stack_pop(&stack);

		assert_non_null(slab);
		hold(slab);
		holds += slab->carved - 1;
	}
	assert_null(frame_stack_pop(&stack));
	assert_true(pops > 0);
	assert_int_equal(holds, pops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_stack_gives_none),
		cmocka_unit_test(the_last_comes_first),
		cmocka_unit_test(every_change_counts_a_generation),
		cmocka_unit_test(generations_wrap),
		cmocka_unit_test(a_frame_has_one_holder),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, make_frames, NULL);
}
