/*
 * Small stacks, and deep ones. Layer: tools; listed in edge.c.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edge.h"

/*
 * What a handler on the smallest stack that the system allows may use beyond it. The system's figure is
 * for the frame that the kernel writes; a few hundred bytes of it are left, or none.
 */
#define STACK_OF_CALLS ((size_t)1024)
#define STACK_OF_HANDLER ((size_t)256)
#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

#define CALLS 30UL
enum { DEPTH = 200, ROUNDS = 6 };

static void call(void *size)
{
	free(malloc(*(const size_t *)size));
}

static void *volatile raw;
static volatile size_t wanted;
static volatile unsigned long refused;

/* No checks here, which would take more stack than malloc does. */
static void small_handler(int signal)
{
	void *p = malloc(wanted);
	void *q = malloc(wanted / 2 + 1);
	void *larger = realloc(q, wanted);

	(void)signal;
	if (!p || !q || !larger)
		refused++;
	if (larger)
		q = larger;
	free(p);
	free(q);
	q = raw;
	raw = calloc(1, wanted);
	free(q);
}

static void small_hook(void *arg, unsigned long at)
{
	(void)arg;
	(void)at;
	raise(SIGUSR1);
}

/* The page below it can't be touched. */
static void set_small_stack(void)
{
	size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + STACK_OF_CALLS + STACK_OF_HANDLER;
	size_t room = (size + PAGE - 1) / PAGE * PAGE;
	char *area =
		mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = area + PAGE, .ss_size = size};

	if (area == MAP_FAILED || mprotect(area, PAGE, PROT_NONE) != 0 ||
	    sigaltstack(&stack, NULL) != 0)
		conform_end(CONFORM_UNABLE, "no stack for handlers:", (unsigned long)errno);
	conform_note("bytes of stack", size);
}

void edge_small_stack(const struct conform_options *options)
{
	static const size_t sizes[] = {48, 100, 3000, 50000};
	struct sigaction action = {.sa_handler = small_handler, .sa_flags = SA_ONSTACK};
	struct step step = {.call = call, .hook = small_hook};
	unsigned long hooks = 0;

	set_small_stack();
	if (sigaction(SIGUSR1, &action, NULL) != 0)
		conform_end(CONFORM_UNABLE, "no handler for SIGUSR1:", (unsigned long)errno);
	for (unsigned long i = 0; i < CALLS * options->effort; i++) {
		size_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];

		wanted = sizes[i / 2 % (sizeof(sizes) / sizeof(sizes[0]))];
		step.arg = &size;
		step_call(&step);
		hooks += step.hooks;
	}
	if (refused)
		conform_end(CONFORM_FAIL, "NULL where there is memory, so many times:", refused);
	conform_note("instructions", hooks);
}

struct level {
	struct step step;
	unsigned long at;
	size_t size;
};

static unsigned int level, deepest;
static struct conform_random deep_random;

static void deep_hook(void *arg, unsigned long at)
{
	struct level *l = arg;

	if (at < l->at)
		return;
	l->step.leave = true;
	if (level < DEPTH)
		raise(SIGUSR1);
}

/* Each level keeps its objects while the next one, in the middle of its malloc, has its own. */
static void deep_handler(int signal)
{
	struct level l = {.at = 1 + conform_random_below(&deep_random, 40), .size = 48};
	struct conform_object own[3];

	(void)signal;
	level++;
	deepest = level > deepest ? level : deepest;
	for (int i = 0; i < 3; i++)
		object_make(&own[i], (enum conform_how)i, i == 2 ? 1500 : l.size);
	l.step = (struct step){.call = call, .arg = &l.size, .hook = deep_hook, .hook_arg = &l};
	step_call(&l.step);
	for (int i = 0; i < 3; i++)
		object_free(&own[i]);
	level--;
}

void edge_deep(const struct conform_options *options)
{
	struct sigaction action = {.sa_handler = deep_handler, .sa_flags = SA_NODEFER};

	conform_random_seed(&deep_random, options->seed, 34);
	if (sigaction(SIGUSR1, &action, NULL) != 0)
		conform_end(CONFORM_UNABLE, "no handler for SIGUSR1:", (unsigned long)errno);
	for (unsigned int i = 0; i < ROUNDS * options->effort; i++)
		raise(SIGUSR1);
	conform_note("deep", deepest);
	if (deepest < DEPTH)
		conform_end(CONFORM_UNABLE, "handlers nested only so deep:", deepest);
}
