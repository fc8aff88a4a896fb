/*
 * A jump out of a thread's first malloc, from instruction after instruction of it: at the thread's end all that
 * it had comes back nevertheless. x86-64 only, whose trap flag brings the handler there.
 */
#include "proc.h"

#include "../trap_flag.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

enum { NR = 2000, SIZE = 1000, STRIDE = 19 };

static sigjmp_buf out;
static volatile unsigned long steps, leave_at;
static bool was_left;
static void *first, *objects[NR];

static void on_trap(int signal)
{
	(void)signal;
	if (++steps == leave_at)
		siglongjmp(out, 1);
}

static void *leave_first_malloc(void *arg)
{
	first = NULL;
	was_left = true;
	steps = 0;
	if (sigsetjmp(out, 1) == 0) {
		step_on();
		first = malloc(48);
		step_off();
		was_left = false;
	}
	for (unsigned int i = 0; i < NR; i++)
		CHECK(objects[i] = malloc(SIZE));
	return arg;
}

/* By another thread: they go home to the ended one's slabs, if it has kept any. */
static void run_thread_and_free(unsigned long at)
{
	pthread_t thread;

	leave_at = at;
	CHECK(pthread_create(&thread, NULL, leave_first_malloc, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	for (unsigned int i = 0; i < NR; i++)
		free(objects[i]);
	free(first);
}

static size_t held(void)
{
	return mallinfo2().arena;
}

int main(void)
{
	const struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_NODEFER};
	unsigned long at = 1, left = 0;
	size_t before;

	if (!CAN_STEP || emulated())
		skip("no trap flag to step by");
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
	for (unsigned int i = 0; i < 4; i++)
		run_thread_and_free(0);
	before = held();
	for (;; at += STRIDE) {
		run_thread_and_free(at);
		if (!was_left)
			break;
		left++;
		CHECK_THAT(held() < before + MIB, "left at step %lu: %zu KiB have become %zu", at,
			   before / KIB, held() / KIB);
	}
	printf("left at %lu instructions: %zu KiB, then %zu\n", left, before / KIB, held() / KIB);
	CHECK(left > 20);
	return 0;
}
