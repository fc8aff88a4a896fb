/*
 * The fork cases: children in every form, out of a handler at each instruction of malloc and free, and
 * while other threads are in the middle of calls. Layer: tools; listed in cases.c.
 *
 * A child allocates and frees at once, and all that its parent had is valid in it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "freeze.h"
#include "storm_table.h"

enum { KEPT = 60, NR = 30, THREADS = 2 };
/* Children of a case; each costs about a millisecond. */
#define CHILDREN 250UL
/* Instructions of a stretch that are stepped; stepped calls take so long that memory goes back in each. */
#define LONGEST 20000UL

/* NULL is vfork(), which can't be called by a function that returns. */
struct fork_form {
	pid_t (*make)(void);
};

static struct conform_object kept[KEPT];
static pid_t (*bare_fork)(void);

static pid_t by_fork(void)
{
	return fork();
}

static pid_t by_bare_fork(void)
{
	return bare_fork();
}

static pid_t by_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void use_the_heap(uint64_t stream)
{
	struct conform_object own[NR];
	struct conform_random r;

	conform_random_seed(&r, stream, 0);
	for (int i = 0; i < NR; i++)
		table_make(&own[i], &r);
	object_resize(&own[0], table_size(&r));
	for (int i = 0; i < NR; i++)
		object_free(&own[i]);
	for (int i = 0; i < KEPT; i++)
		object_check(&kept[i]);
}

/* A copy may free what its parent has. */
static void live_as_a_copy(uint64_t stream, int generation)
{
	freeze_in_child();
	use_the_heap(stream);
	for (int i = generation; i < KEPT; i += 2)
		object_free(&kept[i]);
	for (int i = generation; i < KEPT; i += 2)
		object_make(&kept[i], BY_MALLOC, 1 + (size_t)i * 20);
	use_the_heap(stream + 1);
}

/* Now and then a child makes one more. */
static _Noreturn void live_as_copies(const struct fork_form *form, uint64_t stream)
{
	pid_t child;

	live_as_a_copy(stream, 0);
	if (stream % 8 != 0)
		_exit(0);
	child = form->make();
	if (child == 0)
		live_as_a_copy(stream + 2, 1);
	else
		freeze_reap(child);
	_exit(0);
}

/* vfork()'s child may not return from here, nor change what its parent has. */
static pid_t make_by_vfork(uint64_t stream)
{
	/* It is vfork() that is judged, and what its child may do under this malloc. */
	pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

	if (child == 0) {
		freeze_in_child(); /* NOLINT(clang-analyzer-unix.Vfork) */
		use_the_heap(stream);
		_exit(0);
	}
	return child;
}

static void make_child(const struct fork_form *form, uint64_t stream)
{
	pid_t child = form->make ? form->make() : make_by_vfork(stream);

	if (child == 0)
		live_as_copies(form, stream);
	freeze_reap(child);
}

static void keep_objects(const struct conform_options *options)
{
	struct conform_random r;

	conform_random_seed(&r, options->seed, 20);
	for (int i = 0; i < KEPT; i++)
		table_make(&kept[i], &r);
}

/* Stepped: what refills, makes slabs, flushes, and goes to the kernel. */
struct stepped {
	struct step step;
	const struct fork_form *form;
	unsigned long spacing, next;
	unsigned long children;
	void *raw[NR];
	size_t size;
};

static void calls(void *arg)
{
	struct stepped *s = arg;

	for (int i = 0; i < NR; i++)
		s->raw[i] = malloc(s->size);
	s->raw[0] = realloc(s->raw[0], s->size * 3);
	for (int i = 0; i < NR; i++)
		free(s->raw[i]);
}

static void large_calls(void *arg)
{
	struct stepped *s = arg;

	s->raw[0] = malloc(s->size);
	s->raw[0] = realloc(s->raw[0], s->size * 2);
	free(s->raw[0]);
}

static void fork_here(void *arg, unsigned long at)
{
	struct stepped *s = arg;

	s->step.leave = at > LONGEST;
	if (at < s->next)
		return;
	s->next = at + s->spacing;
	make_child(s->form, ++s->children);
}

static void step_and_fork(struct stepped *s, void (*call)(void *), size_t size,
			  unsigned long children, struct conform_random *r)
{
	s->step = (struct step){.call = call, .arg = s, .hook = fork_here, .hook_arg = s};
	s->size = size;
	s->next = ~0UL;
	step_call(&s->step);
	/* So spaced that so many are made; begun anywhere. */
	s->spacing = s->step.instructions / children + 1;
	s->next = 1 + conform_random_below(r, s->spacing);
	step_call(&s->step);
}

static void fork_in_handlers(const struct conform_options *options, const struct fork_form *form)
{
	static const size_t sizes[] = {24, 200, 3000, 20000};
	static struct stepped s;
	struct conform_random r;
	unsigned long children = CHILDREN * options->effort / 6;

	conform_random_seed(&r, options->seed, 21);
	keep_objects(options);
	s.form = form;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		step_and_fork(&s, calls, sizes[i], children, &r);
	step_and_fork(&s, large_calls, 100000, children / 2, &r);
	step_and_fork(&s, large_calls, (size_t)40 << 20, children / 2, &r);
	conform_note("children", s.children);
	for (int i = 0; i < KEPT; i++)
		object_free(&kept[i]);
}

static void run_fork(const struct conform_options *options)
{
	static const struct fork_form form = {by_fork};

	fork_in_handlers(options, &form);
}

static void run_vfork(const struct conform_options *options)
{
	static const struct fork_form form = {NULL};

	fork_in_handlers(options, &form);
}

static void find_bare_fork(void)
{
	void *symbol = dlsym(RTLD_DEFAULT, "_Fork");

	if (!symbol)
		conform_end(CONFORM_UNABLE, "this C library has no _Fork:", 0);
	memcpy(&bare_fork, &symbol, sizeof(bare_fork));
}

static void run_bare_fork(const struct conform_options *options)
{
	static const struct fork_form form = {by_bare_fork};

	find_bare_fork();
	fork_in_handlers(options, &form);
}

static void run_clone(const struct conform_options *options)
{
	static const struct fork_form form = {by_clone};

	fork_in_handlers(options, &form);
}

static _Atomic bool over;

/* In the middle of calls at any time. */
static void *keep_busy(void *arg)
{
	struct conform_random r;
	struct conform_object o;

	conform_random_seed(&r, *(const uint64_t *)arg, (uint64_t)(uintptr_t)pthread_self());
	while (!atomic_load(&over)) {
		table_make(&o, &r);
		table_put(&o, &r);
		if (table_take(&o, &r))
			object_free(&o);
	}
	return NULL;
}

static void fork_here_too(int signal)
{
	static const struct fork_form form = {by_bare_fork};
	int saved = errno;

	(void)signal;
	make_child(&form, 5);
	errno = saved;
}

/* A thread's own handler forks as well, over whatever it was at. */
static void run_threads(const struct conform_options *options)
{
	static const struct fork_form forms[] = {{by_fork}, {by_bare_fork}, {by_clone}, {NULL}};
	struct sigaction action = {.sa_handler = fork_here_too, .sa_flags = SA_RESTART};
	pthread_t threads[THREADS];
	uint64_t seed = options->seed;

	find_bare_fork();
	keep_objects(options);
	sigaction(SIGUSR2, &action, NULL);
	for (int i = 0; i < THREADS; i++)
		threads[i] = freeze_thread(keep_busy, &seed);
	for (unsigned long i = 0; i < CHILDREN * options->effort; i++) {
		make_child(&forms[i % 4], i);
		if (i % 4 == 3)
			pthread_kill(threads[i / 4 % THREADS], SIGUSR2);
	}
	atomic_store(&over, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	table_drain();
	for (int i = 0; i < KEPT; i++)
		object_free(&kept[i]);
	conform_note("children", CHILDREN * options->effort);
}

const struct conform_case fork_cases[] = {
	{"fork.fork", "fork in a handler, at each instruction of malloc and free", 20, run_fork},
	{"fork.vfork", "vfork in a handler, at each instruction of malloc and free", 20, run_vfork},
	{"fork._Fork", "_Fork in a handler, at each instruction of malloc and free", 20,
	 run_bare_fork},
	{"fork.clone", "the bare system call in a handler, the same way", 20, run_clone},
	{"fork.threads", "children of all forms while threads are in malloc", 20, run_threads},
	{NULL, NULL, 0, NULL},
};
