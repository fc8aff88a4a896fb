/*
 * Calls that are left by siglongjmp while an outer frame of the fast path, which had found the lock free and
 * not yet taken it, is still to go on: it works on a sheaf that the call left in its middle, and frees the lock
 * with a stage still set. And recoveries that are left in their turn. The trap flag brings each to its place.
 */
#include "heap.h"

#include "../trap_flag.h"

#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "core/kmem_cache.h"

/* Eight to a slab of one frame, sixteen to a sheaf: every path is short. */
#define SIZE 8192
#define NR 100
#define NR_SPARE 64
/* Room in a sheaf that the next free will flush. */
#define BRIM 0
/* Each step costs a trip through the kernel. */
#if defined(__OPTIMIZE__)
#define SLOW 0
#else
#define SLOW 1
#endif
/* Instructions before the outer frame's store of the lock at which it is interrupted. */
#define OUTER (SLOW ? 1U : 3U)
/* What a call left in its middle may have in hand. */
#define LOSS 1U
#define RECOVERY_STEPS 400U

#if defined(__x86_64__)
#define TRAP_FLAG 0x100

static void stop_stepping(ucontext_t *u)
{
	u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}
#else
static void stop_stepping(ucontext_t *u)
{
	(void)u;
}
#endif

static struct kmem_cache *cache;
static sigjmp_buf out;

static struct kmem_cache_cpu *cpu(void)
{
	return own_cpu(cache);
}

static bool lock_is_free(void)
{
	return cpu()->local_lock == (uintptr_t)current_thread;
}

static noinline void *outer_alloc(void)
{
	return kmalloc(SIZE);
}

static noinline void outer_free(void *p)
{
	kfree(p);
}

/* --- the program's objects, each with a number that nobody else's has --- */

static uint64_t *objects[NR], ids[NR], last_id;
static void *spare[NR_SPARE];
static unsigned int nr_spare;

static void mark(unsigned int i, uint64_t *p)
{
	must(p);
	objects[i] = p;
	ids[i] = ++last_id;
	p[0] = p[SIZE / 8 - 1] = ids[i];
}

static void drop(unsigned int i)
{
	uint64_t *p = objects[i];

	if (!p)
		return;
	must(p[0] == ids[i] && p[SIZE / 8 - 1] == ids[i]);
	objects[i] = NULL;
	kfree(p);
}

static void make_missing(void)
{
	for (unsigned int i = 0; i < NR; i++) {
		if (!objects[i])
			mark(i, kmalloc(SIZE));
	}
}

static void drop_each(unsigned int nth)
{
	for (unsigned int i = 0; i < NR; i += nth)
		drop(i);
}

static void keep(void *p)
{
	must(p && nr_spare < NR_SPARE);
	spare[nr_spare++] = p;
}

static void take_spare(void)
{
	keep(kmalloc(SIZE));
}

static void *give_spare(void)
{
	must(nr_spare);
	return spare[--nr_spare];
}

static void drop_spares(void)
{
	while (nr_spare)
		kfree(give_spare());
}

/* Slabs full, partial and in use; a sheaf half full. */
static void prepare(void)
{
	/* It grows no longer than that: all of it fits among the spares. */
	if (cpu()->grade)
		cpu()->swings = 0;
	make_missing();
	drop_each(3);
	while (nr_spare < NR_SPARE / 2)
		take_spare();
	while (sheaf_room(cache) > 8)
		kfree(give_spare());
	while (sheaf_room(cache) < 8)
		take_spare();
}

/* --- the steps: an outer call up to `outer_at`, there an inner one until it is to be left --- */

static enum { IDLE, OUTER_COUNTS, OUTER_RUNS, INNER_RUNS } level;
static unsigned long steps, outer_at, inner_at, store_at;
static void (*inner_call)(void);
static uint8_t inner_stage; /* leave where this stage has moved and sheaf both; 0: at inner_at */
static bool outer_reached, inner_left;

/* Fills the sheaf to the brim: the free after flushes it. */
static void inner_flush(void)
{
	while (sheaf_room(cache) > BRIM)
		kfree(give_spare());
	make_stale(cache);
	steps = 0;
	level = INNER_RUNS;
	step_on();
	kfree(spare[nr_spare - 1]);
	step_off();
	level = IDLE;
	nr_spare--;
}

static void inner_refill(void)
{
	void *p;

	while (sheaf_length(cache))
		take_spare();
	steps = 0;
	level = INNER_RUNS;
	step_on();
	p = kmalloc(SIZE);
	step_off();
	level = IDLE;
	keep(p);
}

static bool is_to_be_left(void)
{
	if (!inner_stage)
		return ++steps == inner_at;
	return cpu()->stage == inner_stage && !sheaf_is_shut(cpu()) && own_lists(cache)->moving;
}

static void interrupt_outer(ucontext_t *u)
{
	outer_reached = true;
	inner_left = true;
	if (sigsetjmp(out, 1) == 0) {
		inner_call();
		inner_left = false;
	} else if (inner_call == inner_flush) {
		nr_spare--;
	}
	level = IDLE;
	stop_stepping(u);
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	switch (level) {
	case IDLE:
		break;
	case OUTER_COUNTS:
		steps++;
		if (!store_at && !lock_is_free())
			store_at = steps;
		break;
	case OUTER_RUNS:
		if (++steps == outer_at)
			interrupt_outer(context);
		break;
	case INNER_RUNS:
		if (is_to_be_left())
			siglongjmp(out, 1);
		break;
	}
}

static void step_outer(bool frees)
{
	void *p = frees ? give_spare() : NULL;

	steps = 0;
	step_on();
	if (frees)
		outer_free(p);
	else
		p = outer_alloc();
	step_off();
	level = IDLE;
	if (!frees)
		keep(p);
}

/* At which of its instructions, counted from 1, the outer call has stored the lock. */
static unsigned long find_store(bool frees)
{
	prepare();
	store_at = 0;
	level = OUTER_COUNTS;
	step_outer(frees);
	drop_spares();
	must(store_at > OUTER);
	return store_at;
}

/* False: the inner call came to its end before. */
static bool leave_inner(bool frees, unsigned long at)
{
	outer_at = at;
	outer_reached = false;
	level = OUTER_RUNS;
	step_outer(frees);
	must(outer_reached);
	return inner_left;
}

/* --- what must hold afterwards --- */

static void check_list(struct slab *first, enum slab_list which)
{
	struct slab *at = first;
	unsigned int n = 0;

	if (!at)
		return;
	do {
		must(at->next->prev == at);
		must(at->list == which);
		must(++n < 10000);
		at = at->next;
	} while (at != first);
}

/* Nested calls are served from the next class; that must not last. */
static void await_recovery(void)
{
	/* Not on the stack, where it would cover the holder's frame without changing it. */
	static void *p[300];
	unsigned int n = 0;
	bool served = false;

	while (n < 300 && !(served && cpu()->stage == STAGE_NONE)) {
		p[n] = kmalloc(SIZE);
		must(p[n]);
		served = kmalloc_cache_of(p[n++]) == cache;
	}
	must(served);
	while (n)
		kfree(p[--n]);
}

/* What comes next may be an allocation or a free, each of which has its own way to see what happened. */
static void check_whole(void)
{
	static bool free_first;

	free_first = !free_first;
	if (free_first) {
		drop_spares();
	}
	await_recovery();
	for (unsigned int round = 0; round < 3; round++) {
		make_missing();
		drop_each(1 + round % 2);
	}
	make_missing();
	must(lock_is_free() && cpu()->stage == STAGE_NONE);
	must(sheaf_room(cache) + sheaf_length(cache) == sheaf_size(cache));
	check_list(own_lists(cache)->partial, LIST_PARTIAL);
	check_list(own_lists(cache)->full, LIST_FULL);
	drop_each(1);
	drop_spares();
}

static uint64_t count_lost(void)
{
	kmalloc_trim();
	return objects_in_use(cache);
}

/* --- an outer frame that had passed its check --- */

static void try_outer(bool frees, void (*inner)(void), unsigned long at)
{
	unsigned long stride = SLOW ? 211 : 13, left = 0;
	uint64_t before, most = 0;

	check_whole();
	before = count_lost();
	inner_call = inner;
	inner_stage = STAGE_NONE;
	for (inner_at = 1;; inner_at += stride) {
		uint64_t lost;

		prepare();
		if (!leave_inner(frees, at))
			break;
		left++;
		check_whole();
		lost = count_lost();
		if (lost < before || lost - before > LOSS)
			print_error("%s, left at %lu: %ld lost\n", frees ? "free" : "alloc",
				    inner_at, (long)(lost - before));
		must(lost >= before && lost - before <= LOSS);
		most = lost - before > most ? lost - before : most;
		before = lost;
	}
	print_message("%s, in it a %s left at %lu instructions: lost at most %lu\n",
		      frees ? "free" : "alloc", inner == inner_flush ? "flush" : "refill", left,
		      most);
	must(left > 2);
	check_whole();
}

static void outer_frame_goes_on(void **state)
{
	(void)state;
	skip_if(!CAN_STEP, "no trap flag to step by");
	skip_if(UNDER_TSAN || UNDER_ASAN, "a sanitizer's own frames are stepped into");
	for (unsigned int frees = 0; frees < 2; frees++) {
		unsigned long store = find_store(frees);

		for (unsigned int i = 1; i <= OUTER; i++) {
			try_outer(frees, inner_flush, store - i);
			try_outer(frees, inner_refill, store - i);
		}
	}
}

/* --- a recovery that is left --- */

/* The sheaf's objects become the program's, by calls of the fast path: the lock is free, and stays so. */
static void empty_sheaf(void)
{
	for (unsigned int i = 0; sheaf_length(cache); i++) {
		must(i < NR);
		if (!objects[i])
			mark(i, kmalloc(SIZE));
	}
}

/* False: the call came to its end before. */
static bool leave_recovery(unsigned long at)
{
	inner_stage = STAGE_NONE;
	inner_at = at;
	steps = 0;
	if (sigsetjmp(out, 1) == 0) {
		void *p;

		level = INNER_RUNS;
		step_on();
		p = outer_alloc();
		step_off();
		level = IDLE;
		keep(p);
		return false;
	}
	level = IDLE;
	return true;
}

static bool try_recovery(uint8_t stage, void (*inner)(void), unsigned long store, unsigned long at)
{
	bool left;

	prepare();
	inner_call = inner;
	inner_stage = stage;
	must(leave_inner(false, store - 1));
	must(lock_is_free() && cpu()->stage == stage);
	empty_sheaf();
	left = leave_recovery(at);
	if (left)
		leave_recovery(at);
	check_whole();
	return left;
}

/* Its beginning, where it decides what is whose; further on it walks over all slabs, for very long. */
static void try_recoveries(uint8_t stage, void (*inner)(void))
{
	unsigned long store = find_store(false), at;

	for (at = 1; at <= RECOVERY_STEPS; at += 1 + at / (SLOW ? 4 : 16))
		must(try_recovery(stage, inner, store, at));
}

static void recovery_is_left(void **state)
{
	(void)state;
	skip_if(!CAN_STEP, "no trap flag to step by");
	skip_if(UNDER_TSAN || UNDER_ASAN, "a sanitizer's own frames are stepped into");
	try_recoveries(STAGE_TAKING, inner_flush);
	try_recoveries(STAGE_GIVING, inner_refill);
}

static int setup(void **state)
{
	const struct sigaction action = {.sa_sigaction = on_trap,
					 .sa_flags = SA_NODEFER | SA_SIGINFO};

	(void)state;
	/* As the library does before main. */
	os_thread_stack_init();
	cache = kmalloc_cache(SIZE);
	kfree(kmalloc(SIZE));
	return sigaction(SIGTRAP, &action, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outer_frame_goes_on),
		cmocka_unit_test(recovery_is_left),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
