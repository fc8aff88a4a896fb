/*
 * Threads that end in the middle of a call: pthread_exit in a handler, asynchronous cancellation. Layer:
 * tools; listed in jump.c.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "freeze.h"
#include "jump.h"

#define THREADS 1500UL
#define WARM_UP 100UL
#define SIZE ((size_t)200)
#define NR 16
#define NEVER (~0UL)
/* Of what no thread leaves behind, but malloc may keep. */
#define MORE ((size_t)1 << 20)
/* Of an object or a frame that a thread had in hand, what it has touched. */
#define IN_HAND ((size_t)8192)

struct ending {
	struct step step;
	unsigned long at;
	bool first; /* the thread's first malloc is stepped */
	void *raw[NR];
	struct conform_object left; /* made before, for others to free */
};

static void calls(void *arg)
{
	struct ending *e = arg;

	for (size_t i = 0; i < NR; i++)
		e->raw[i] = malloc(SIZE);
	for (size_t i = 0; i < NR; i++)
		free(e->raw[i]);
}

static void end_here(void *arg, unsigned long at)
{
	struct ending *e = arg;

	if (at < e->at)
		return;
	step_abandon();
	pthread_exit(e);
}

static void *live_stepped(void *arg)
{
	struct ending *e = arg;

	e->step = (struct step){.call = calls, .arg = e, .hook = end_here, .hook_arg = e};
	if (!e->first)
		object_make(&e->left, BY_MALLOC, SIZE);
	step_call(&e->step);
	return NULL;
}

/* Returns the instructions that there were. */
static unsigned long end_in_a_call(unsigned long at, bool first)
{
	struct ending e = {.at = at, .first = first};

	pthread_join(freeze_thread(live_stepped, &e), NULL);
	if (e.left.p)
		object_free(&e.left);
	return e.step.instructions;
}

/* What a thread holds when it ends so is lost: its calls' objects. */
void jump_by_exit(const struct conform_options *options)
{
	unsigned long nr = THREADS / 15 * options->effort;
	unsigned long length[2];
	size_t before;

	jump_keep_objects();
	for (unsigned long i = 0; i < WARM_UP; i++)
		end_in_a_call(10 + i, i % 2);
	length[0] = end_in_a_call(NEVER, false);
	length[1] = end_in_a_call(NEVER, true);
	before = conform_resident();
	for (unsigned long i = 0; i < nr; i++) {
		end_in_a_call(1 + i * length[i % 2] / nr, i % 2);
		jump_check_some(i);
	}
	conform_note("threads", nr);
	freeze_check_growth(before, nr * (NR + 1) * 2 * SIZE + MORE);
	jump_free_kept();
}

static _Atomic bool started;

/* Async-signal-safe or not: that these calls are is the question. */
static void *live_until_cancelled(void *arg)
{
	size_t size = (size_t)(uintptr_t)arg;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	atomic_store(&started, true);
	for (;;) {
		void *volatile p = malloc(size);

		free(p);
	}
	return NULL;
}

static void cancel_one(struct conform_random *r, size_t size)
{
	volatile size_t spins = conform_random_below(r, 4000);
	pthread_t thread;

	atomic_store(&started, false);
	thread = freeze_thread(live_until_cancelled, (void *)(uintptr_t)size);
	while (!atomic_load(&started))
		sched_yield();
	while (spins)
		spins--;
	if (pthread_cancel(thread) != 0)
		conform_end(CONFORM_UNABLE, "no thread to cancel:", (unsigned long)errno);
	pthread_join(thread, NULL);
}

void jump_by_cancel(const struct conform_options *options)
{
	static const size_t sizes[] = {16, 64, 200, 3000, 50000};
	unsigned long nr = THREADS * options->effort;
	size_t before;
	struct conform_random r;

	conform_random_seed(&r, options->seed, 8);
	jump_keep_objects();
	for (unsigned long i = 0; i < WARM_UP; i++)
		cancel_one(&r, SIZE);
	before = conform_resident();
	for (unsigned long i = 0; i < nr; i++) {
		cancel_one(&r, sizes[i % (sizeof(sizes) / sizeof(sizes[0]))]);
		jump_check_some(i);
	}
	conform_note("threads", nr);
	freeze_check_growth(before, nr * IN_HAND + MORE);
	jump_free_kept();
}
