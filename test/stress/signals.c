/*
 * Handlers that allocate, check and free, at a high rate, over threads that do the same: a timer's
 * SIGPROF and a storm of SIGUSR1, nested. Handlers and threads hand objects to each other.
 * No malloc but one that may be called from any context lives through this.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "stress.h"

enum { SLOTS = 200, SHARED = 64, MAX_THREADS = 32, MAX_DEPTH = 4 };

static struct stress_options options = {.seconds = 4, .threads = 3};
static pthread_t workers[MAX_THREADS];
static _Atomic(struct record *) shared[SHARED];
static _Atomic unsigned long handled, deepest, steps;
static _Atomic uint64_t streams;
static _Thread_local volatile unsigned int depth;

static void pass_on(struct record *o, struct random *r)
{
	struct record *box = malloc(sizeof(*box));
	struct record *other;

	CHECK(box);
	*box = *o;
	other = atomic_exchange(&shared[random_below(r, SHARED)], box);
	o->p = NULL;
	if (!other)
		return;
	object_free(other, r);
	free(other);
}

static void note_depth(unsigned long now)
{
	unsigned long most = atomic_load(&deepest);

	while (now > most && !atomic_compare_exchange_weak(&deepest, &most, now))
		;
}

static void handler(int signal)
{
	int saved = errno;
	struct record own[6];
	struct random r;

	(void)signal;
	if (depth >= MAX_DEPTH)
		return;
	depth++;
	note_depth(depth);
	random_seed(&r, options.seed, atomic_fetch_add(&streams, 1));
	for (int i = 0; i < 6; i++)
		object_make(&own[i], &r, MIX_SMALL);
	object_resize(&own[0], &r, MIX_SMALL);
	pass_on(&own[1], &r);
	for (int i = 0; i < 6; i++) {
		if (own[i].p)
			object_free(&own[i], &r);
	}
	atomic_fetch_add(&handled, 1);
	depth--;
	errno = saved;
}

static void one_step(struct record *o, struct random *r)
{
	if (!o->p)
		object_make(o, r, MIX_SMALL);
	else if (random_below(r, 8) == 0)
		object_resize(o, r, MIX_SMALL);
	else if (random_below(r, 4) == 0)
		pass_on(o, r);
	else
		object_free(o, r);
}

static void *work(void *number)
{
	struct record slots[SLOTS] = {0};
	struct random r;

	random_seed(&r, options.seed, (uint64_t)(uintptr_t)number + 1000000000u);
	while (stress_running()) {
		one_step(&slots[random_below(&r, SLOTS)], &r);
		atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
	}
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].p)
			object_free(&slots[i], &r);
	}
	return NULL;
}

static void install(int signal, int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | flags};

	CHECK(sigaction(signal, &action, NULL) == 0);
}

static void storm(void)
{
	while (stress_running_now()) {
		for (unsigned int i = 0; i < options.threads; i++) {
			pthread_kill(workers[i], SIGUSR1);
			pthread_kill(workers[i], SIGUSR2);
		}
		for (struct timespec pause = {0, 20000}; nanosleep(&pause, &pause) != 0;)
			;
	}
}

static void set_timer(long microseconds)
{
	struct itimerval timer = {{0, microseconds}, {0, microseconds}};

	CHECK(setitimer(ITIMER_PROF, &timer, NULL) == 0);
}

static void empty_the_table(void)
{
	struct random r;

	random_seed(&r, options.seed, 0);
	for (int i = 0; i < SHARED; i++) {
		if (!shared[i])
			continue;
		object_free(shared[i], &r);
		free(shared[i]);
	}
}

int main(int argc, char **argv)
{
	stress_parse(&options, argc, argv);
	CHECK(options.threads >= 1 && options.threads <= MAX_THREADS);
	install(SIGPROF, 0);
	install(SIGUSR1, SA_NODEFER);
	install(SIGUSR2, 0);
	for (uintptr_t i = 0; i < options.threads; i++)
		CHECK(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
	set_timer(1000);
	storm();
	set_timer(0);
	/* A thread that has ended must get no more signals, so only now. */
	for (unsigned int i = 0; i < options.threads; i++)
		CHECK(pthread_join(workers[i], NULL) == 0);
	empty_the_table();
	printf("%lu handlers ran over %lu steps, %lu deep at most, %zu MiB resident\n", handled,
	       steps, deepest, rss_bytes() / MIB);
	stress_check_all_freed();
	CHECK(handled > 100 && deepest >= 2);
	return 0;
}
