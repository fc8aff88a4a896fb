/*
 * The crew: threads that run the whole family while the victim is frozen. Layer: tools; called by the stop
 * cases. The victim waits for a round's end, without a limit: a round that hangs is seen by the runner, as
 * the case's time limit.
 */
#include <linux/futex.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stop.h"
#include "storm_table.h"

enum { CREW = 2, SPINS = 2000, MAKES = 6 };

struct worker {
	pthread_t thread;
	_Atomic uint32_t asked; /* rounds; UINT32_MAX: leave */
	_Atomic uint32_t done;
	struct conform_random random;
};

static struct worker crew[CREW];
static unsigned int rounds;
static bool may_start;

static void wait_while(_Atomic uint32_t *word, uint32_t value)
{
	for (unsigned int i = 0; i < SPINS; i++) {
		if (atomic_load_explicit(word, memory_order_acquire) != value)
			return;
	}
	while (atomic_load_explicit(word, memory_order_acquire) == value)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void change(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *live_shortly(void *arg)
{
	struct conform_object o;

	object_make(&o, BY_MALLOC, 100);
	object_free(&o);
	object_make(&o, BY_CALLOC, (size_t)(uintptr_t)arg);
	return object_disown(&o);
}

/* What the thread leaves is freed after its end. */
static void start_and_end_a_thread(size_t size)
{
	pthread_t thread = freeze_thread(live_shortly, (void *)(uintptr_t)size);
	void *left = NULL;

	pthread_join(thread, &left);
	free(left);
}

static void large_round(struct conform_random *r)
{
	struct conform_object o;

	object_make(&o, BY_MALLOC, 40000 + conform_random_below(r, 400000));
	object_resize(&o, 30000 + conform_random_below(r, 900000));
	object_free(&o);
}

static void one_round(struct worker *w, uint32_t number)
{
	struct conform_random *r = &w->random;
	struct conform_object o;

	for (int i = 0; i < MAKES; i++) {
		table_make(&o, r);
		table_put(&o, r);
	}
	if (table_take(&o, r)) {
		object_resize(&o, table_size(r));
		table_put(&o, r);
	}
	if (number % 8 == 0)
		large_round(r);
	if (number % 16 == 0)
		malloc_trim(0);
	if (number % 16 == 8 && may_start)
		start_and_end_a_thread(table_size(r));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t done = 0;

	for (;;) {
		wait_while(&w->asked, done);
		if (atomic_load(&w->asked) == UINT32_MAX)
			return NULL;
		one_round(w, ++done);
		change(&w->done, done);
	}
}

void crew_start(const struct conform_options *options, bool starts)
{
	may_start = starts;
	for (unsigned int i = 0; i < CREW; i++) {
		struct worker *w = &crew[i];

		atomic_store(&w->asked, 0);
		atomic_store(&w->done, 0);
		conform_random_seed(&w->random, options->seed, 1000 + i);
		w->thread = freeze_thread(work, w);
	}
}

void crew_round(void)
{
	struct worker *w = &crew[rounds++ % CREW];
	uint32_t before = atomic_load(&w->done);

	change(&w->asked, before + 1);
	wait_while(&w->done, before);
}

void crew_stop(void)
{
	for (unsigned int i = 0; i < CREW; i++) {
		change(&crew[i].asked, UINT32_MAX);
		pthread_join(crew[i].thread, NULL);
	}
	table_drain();
}
