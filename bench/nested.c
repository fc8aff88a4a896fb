// SPDX-License-Identifier: MIT
/*
 * nested/...: pairs of malloc and free made in a signal handler, in the order of pair/lifo. An operation
 * is one pair. What the handler has interrupted:
 *
 *   outside  nothing of malloc's: the same handler, for comparison
 *   malloc   a malloc of the same size, where its size class is busy
 *   free     a free of such an object, likewise
 *
 * With the processor's trap flag set SIGTRAP comes behind every instruction. start() times some pairs at
 * each instruction of one such call and keeps the worst; run() stops there and makes all its pairs, so many
 * that the traps on the way there vanish.
 *
 * A class shows that it is busy by an object of another size than outside. Those instructions come before
 * all others; the largest class, which has no larger one to turn to, shows it by the time alone. An
 * allocator that doesn't survive this, or in which no class is ever busy, can't run the rows of the last
 * two kinds: a child process finds out.
 *
 * x86-64 alone.
 */
#include "workload.h"

#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	LIFO_DEPTH = 8,
	PAIRS_PER_RUN = 1 << 20,
	PAIRS_PER_LOOK = 2048,
	LOOKS = 9,
	/* The fast paths of all allocators are shorter. */
	MOST_STEPS = 256,
	PROBE_SIZE = 64,
	PROBE_SECONDS = 10,
	TRAP_FLAG = 0x100,
};

enum place { OUTSIDE, IN_MALLOC, IN_FREE };

struct nested {
	size_t size;
	enum place place;
	size_t usual;	    /* bytes that an object has where nothing is interrupted */
	bool looking;	    /* at each instruction; else the pairs are made at the worst */
	unsigned int at;    /* instructions stepped in this call */
	unsigned int worst; /* the instruction where pairs take longest */
	size_t pairs;	    /* made at it in this call */
	void *object[LIFO_DEPTH];
	/* By instruction: */
	int64_t took[MOST_STEPS]; /* the least time that the pairs of a look took; 0: none */
	bool busy[MOST_STEPS];	  /* objects of another size */
};

static struct nested *stepped; /* whose call the handler interrupts */

/* Below the red zone: the compiler may keep something there. */
static inline void set_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp"
			 :
			 : "i"(TRAP_FLAG)
			 : "memory", "cc");
}

static inline void clear_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "andq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp"
			 :
			 : "i"(~TRAP_FLAG)
			 : "memory", "cc");
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void make_pairs(struct nested *s, size_t pairs)
{
	for (size_t done = 0; done < pairs; done += LIFO_DEPTH) {
		for (size_t i = 0; i < LIFO_DEPTH; i++) {
			s->object[i] = malloc(s->size);
			touch(s->object[i]);
		}
		for (size_t i = LIFO_DEPTH; i-- > 0;)
			free(s->object[i]);
	}
}

static size_t bytes_now(const struct nested *s)
{
	void *p = malloc(s->size);
	size_t bytes = malloc_usable_size(p);

	free(p);
	return bytes;
}

static bool is_busy(const struct nested *s)
{
	return bytes_now(s) != s->usual;
}

static void look(struct nested *s)
{
	int64_t begin = now(), time;

	make_pairs(s, PAIRS_PER_LOOK);
	time = now() - begin;
	if (s->took[s->at] == 0 || time < s->took[s->at])
		s->took[s->at] = time;
	s->busy[s->at] = is_busy(s);
}

/* Makes the row's pairs; none where this is not what start() saw here. */
static void make_all(struct nested *s)
{
	if (s->busy[s->worst] != is_busy(s))
		return;
	make_pairs(s, PAIRS_PER_RUN);
	s->pairs = PAIRS_PER_RUN;
}

static void on_trap(int signal, siginfo_t *info, void *argument)
{
	greg_t *registers = ((ucontext_t *)argument)->uc_mcontext.gregs;
	struct nested *s = stepped;
	unsigned int last = s->looking ? MOST_STEPS - 1 : s->worst;

	(void)signal;
	(void)info;
	if (s->looking)
		look(s);
	else if (s->at == s->worst)
		make_all(s);
	if (s->at++ == last)
		registers[REG_EFL] &= ~TRAP_FLAG;
}

static void step_call(struct nested *s)
{
	void *p = NULL;

	stepped = s;
	s->at = 0;
	if (s->place == IN_FREE)
		p = malloc(s->size);
	set_trap_flag();
	if (s->place == IN_MALLOC)
		p = malloc(s->size);
	else if (s->place == IN_FREE)
		free(p);
	clear_trap_flag();
	if (s->place == IN_MALLOC)
		free(p);
}

static bool is_worse(const struct nested *s, unsigned int a, unsigned int b)
{
	if (s->busy[a] != s->busy[b])
		return s->busy[a];
	return s->took[a] > s->took[b];
}

static void find_worst(struct nested *s)
{
	make_pairs(s, PAIRS_PER_LOOK);
	s->usual = bytes_now(s);
	s->looking = true;
	for (unsigned int i = 0; i < LOOKS; i++)
		step_call(s);
	s->looking = false;
	for (unsigned int i = 0; i < MOST_STEPS; i++)
		if (is_worse(s, i, s->worst))
			s->worst = i;
}

/* In a process of its own: other allocators crash, hang, or never are busy. */
static bool can_be_nested(struct nested *s)
{
	const struct rlimit no_core = {0, 0};
	pid_t child = fork();
	int status;

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		alarm(PROBE_SECONDS);
		s->size = PROBE_SIZE;
		find_worst(s);
		_exit(!s->busy[s->worst]);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("uslub_bench: no child process to try a nested malloc in");
		exit(1);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void stop(void *state)
{
	signal(SIGTRAP, SIG_DFL);
	bench_unmap(state, sizeof(struct nested));
}

static void *start(const struct setting *at, enum place place)
{
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
	struct nested *s = bench_map(sizeof(*s));

	s->size = at->arg;
	s->place = place;
	sigaction(SIGTRAP, &action, NULL);
	if (place != OUTSIDE && !can_be_nested(s)) {
		stop(s);
		return NULL;
	}
	find_worst(s);
	return s;
}

static void *start_outside(const struct setting *at)
{
	return start(at, OUTSIDE);
}

static void *start_in_malloc(const struct setting *at)
{
	return start(at, IN_MALLOC);
}

static void *start_in_free(const struct setting *at)
{
	return start(at, IN_FREE);
}

static size_t run(void *state)
{
	struct nested *s = state;

	s->pairs = 0;
	step_call(s);
	return s->pairs;
}

static const size_t sizes[] = {16, 64, 256, 1024, 4096, 16384, 32768, 0};

const struct workload nested_outside = {
	.name = "nested/outside",
	.threads = ALONE,
	.args = sizes,
	.start = start_outside,
	.run = run,
	.stop = stop,
};

const struct workload nested_malloc = {
	.name = "nested/malloc",
	.threads = ALONE,
	.args = sizes,
	.start = start_in_malloc,
	.run = run,
	.stop = stop,
};

const struct workload nested_free = {
	.name = "nested/free",
	.threads = ALONE,
	.args = sizes,
	.start = start_in_free,
	.run = run,
	.stop = stop,
};
