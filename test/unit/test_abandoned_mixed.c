/*
 * Calls that go by the sheaf of mixed runs and never come to their end: stepped by the trap flag, each is left by siglongjmp
 * at its instructions. The sheaf serves again, and what is lost is one run, beside the one that the caller had.
 */
#include "mixed.h"

#include "../trap_flag.h"

#include "core/bits.h"

static sigjmp_buf out;
static volatile unsigned long steps, leave_at;
static void *first, *second;

static void on_trap(int signal)
{
	(void)signal;
	if (++steps == leave_at)
		siglongjmp(out, 1);
}

static void step_top(void)
{
	kmalloc(6 * FRAME_SIZE);
}

static void step_second(void)
{
	kmalloc(5 * FRAME_SIZE);
}

static void step_other_length(void)
{
	kmalloc(7 * FRAME_SIZE);
}

static void step_give_up(void)
{
	thread_flush(current_thread, MIXED);
}

static void step_free(void)
{
	thread_yield_mixed(current_thread);
	kfree(first);
	kfree(second);
}

/* Frames that somebody holds. */
static uint32_t frames_held(void)
{
	struct section *sec;
	uint32_t n = 0;

	kmalloc_trim();
	for_each_section(sec, nr) {
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			n += count_bits(atomic_load(&sec->used[w]) &
					atomic_load(&sec->reserved[w]));
	}
	return n;
}

/* Far below what looks for the holder later: a build without optimisation has no other way to tell that it is gone. */
static noinline void run_deep(void (*step)(void))
{
	char far[4096];

	__asm__ volatile("" : : "r"(far) : "memory");
	step_on();
	step();
	step_off();
	__asm__ volatile("" : : "r"(far) : "memory");
}

static bool leave(void (*step)(void), unsigned long at)
{
	thread_flush(current_thread, MIXED);
	must(try_to_open());
	first = run_of(5);
	second = run_of(6);
	if (step != step_free) {
		kfree(first);
		kfree(second);
	}
	steps = 0;
	leave_at = at;
	if (sigsetjmp(out, 1) == 0) {
		run_deep(step);
		return true;
	}
	return false;
}

static void must_serve(void)
{
	/* What is closed has no room, wherever it was left. */
	if (!is_open())
		must(sheaf_room(MIXED) + sheaf_length(MIXED) == 0);
	/* An abandoned lock is found out within some looks. */
	for (unsigned int i = 0; i < 200; i++)
		kfree(run_of(6));
	must(!local_lock_is_locked(current_thread, own_cpu(MIXED)));
	must(thread_flush(current_thread, MIXED) && sheaf_length(MIXED) == 0);
}

/* Each step costs a trip through the kernel: of the longer ones not every instruction is one to leave at. */
#if defined(__OPTIMIZE__)
#define LONGER 1
#else
#define LONGER 5
#endif
static const struct operation {
	void (*step)(void);
	unsigned long stride;
} operations[] = {
	{step_top, 1}, {step_second, 1}, {step_other_length, 11}, {step_give_up, 1}, {step_free, 1},
};

static void calls_can_be_left_anywhere(void **state)
{
	const struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_NODEFER};

	(void)state;
	if (!CAN_STEP || UNDER_TSAN || UNDER_ASAN)
		skip();
	sigaction(SIGTRAP, &action, NULL);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		const struct operation *o = &operations[i];
		unsigned long at = 1;
		uint32_t held = frames_held();

		for (; !leave(o->step, at); at += o->stride * LONGER) {
			uint32_t now;

			must_serve();
			now = frames_held();
			/* The run that it had in its hands; or, of one that frees two, both, for those are lost as well. */
			must(now >= held && now - held <= (o->step == step_free ? 11U : 7U));
			held = now;
		}
		print_message("operation %zu: left at %lu instructions\n", i,
			      at / (o->stride * LONGER));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_can_be_left_anywhere),
	};

	os_thread_stack_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
