/*
 * A thread's beginning and its end. Layer: tools; listed in edge.c.
 */
#include <limits.h>
#include <stdlib.h>

#include "edge.h"
#include "storm_table.h"

#define THREADS 60UL
#define NEVER (~0UL)
#define MIB ((size_t)1 << 20)

/* The C library's, behind thread_local in C++. */
int __cxa_thread_atexit_impl(void (*function)(void *), void *arg, void *object);

struct thread_edge {
	struct step step;
	struct conform_random random;
	unsigned long at; /* the instruction that is interrupted */
	unsigned long spacing;
	unsigned int rounds;
	struct conform_object kept; /* made by the handler, checked at the end */
};

static void call_first(void *arg)
{
	struct conform_object o;

	(void)arg;
	object_make(&o, BY_MALLOC, 100);
	object_free(&o);
}

static void first_hook(void *arg, unsigned long at)
{
	struct thread_edge *e = arg;

	if (at < e->at)
		return;
	e->step.leave = true;
	object_make(&e->kept, BY_MALLOC, 100);
	edge_use_the_heap(&e->random);
}

static void *begin_stepped(void *arg)
{
	struct thread_edge *e = arg;

	e->step = (struct step){.call = call_first, .arg = e, .hook = first_hook, .hook_arg = e};
	step_call(&e->step);
	edge_use_the_heap(&e->random);
	if (e->kept.p)
		object_free(&e->kept);
	return NULL;
}

void edge_first(const struct conform_options *options)
{
	unsigned long nr = THREADS * options->effort, length;
	struct thread_edge e = {.at = NEVER};
	size_t before;

	conform_random_seed(&e.random, options->seed, 30);
	pthread_join(freeze_thread(begin_stepped, &e), NULL);
	length = e.step.instructions;
	before = conform_resident();
	for (unsigned long i = 0; i < nr; i++) {
		e.at = 1 + i * length / nr;
		pthread_join(freeze_thread(begin_stepped, &e), NULL);
	}
	conform_note("instructions", length);
	conform_note("threads", nr);
	table_drain();
	freeze_check_growth(before, 16 * MIB);
}

static pthread_key_t key;

static void in_tls_destructor(void *arg)
{
	struct thread_edge *e = arg;

	edge_use_the_heap(&e->random);
}

/* As many rounds as there are; in the last ones malloc's own destructors are long over. */
static void in_key_destructor(void *arg)
{
	struct thread_edge *e = arg;

	edge_use_the_heap(&e->random);
	e->rounds++;
	pthread_setspecific(key, e);
}

static void register_ends(struct thread_edge *e)
{
	if (pthread_setspecific(key, e) != 0 ||
	    __cxa_thread_atexit_impl(in_tls_destructor, e, &key) != 0)
		conform_end(CONFORM_UNABLE, "no destructors for a thread:", 0);
}

static void *live_and_end(void *arg)
{
	struct thread_edge *e = arg;

	register_ends(e);
	edge_use_the_heap(&e->random);
	return NULL;
}

/* Nothing of its own but in its destructors. */
static void *end_only(void *arg)
{
	register_ends(arg);
	return NULL;
}

static void make_key(void (*destructor)(void *))
{
	if (pthread_key_create(&key, destructor) != 0)
		conform_end(CONFORM_UNABLE, "no key for a thread's destructor:", 0);
}

void edge_destructors(const struct conform_options *options)
{
	unsigned long nr = 20 * THREADS * options->effort;
	struct thread_edge e = {0};
	size_t before;

	make_key(in_key_destructor);
	conform_random_seed(&e.random, options->seed, 31);
	for (unsigned long i = 0; i < THREADS; i++)
		pthread_join(freeze_thread(live_and_end, &e), NULL);
	before = conform_resident();
	for (unsigned long i = 0; i < nr; i++)
		pthread_join(freeze_thread(i % 2 ? live_and_end : end_only, &e), NULL);
	if (e.rounds < PTHREAD_DESTRUCTOR_ITERATIONS * nr)
		conform_end(CONFORM_UNABLE, "destructors ran only so many rounds:", e.rounds);
	conform_note("threads", nr);
	table_drain();
	freeze_check_growth(before, 16 * MIB);
}

static void end_hook(void *arg, unsigned long at)
{
	struct thread_edge *e = arg;

	if (at % e->spacing == e->at)
		edge_use_the_heap(&e->random);
}

/* The last round: from here the thread is stepped until it ends, or blocks all signals. */
static void in_last_destructor(void *arg)
{
	struct thread_edge *e = arg;

	if (++e->rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 2) {
		pthread_setspecific(key, e);
		return;
	}
	e->step = (struct step){.hook = end_hook, .hook_arg = e};
	step_begin(&e->step);
}

void edge_past_the_end(const struct conform_options *options)
{
	unsigned long nr = THREADS * options->effort / 2, hooks = 0;
	struct thread_edge e = {.spacing = 37};
	size_t before = 0;

	make_key(in_last_destructor);
	conform_random_seed(&e.random, options->seed, 32);
	for (unsigned long i = 0; i < nr + 4; i++) {
		e.at = i % e.spacing;
		e.rounds = 0;
		if (i == 4)
			before = conform_resident();
		pthread_join(freeze_thread(live_and_end, &e), NULL);
		hooks += e.step.hooks;
	}
	if (hooks == 0)
		conform_end(CONFORM_UNABLE, "no thread was interrupted at its end:", 0);
	conform_note("threads", nr);
	conform_note("instructions", hooks);
	table_drain();
	freeze_check_growth(before, 16 * MIB);
}
