/*
 * Jumps at random: the next signal comes microseconds after the last jump. Layer: tools; listed in jump.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "freeze.h"
#include "jump.h"

#define JUMPS 30000UL
/* Slow machines make fewer. */
#define MAX_SECONDS 3
/* To the next jump. */
#define MOST_NS 40000
#define LARGEST 256

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { LIVE = 200 };

/* An object is in the table while `valid` says so: the jump may come at any instruction. */
struct slot {
	struct conform_object o;
	volatile bool valid;
};

static struct slot slots[LIVE];
static struct conform_random random_state;
static const struct jump_way *way;
static timer_t timer;
static volatile bool armed;

static void handler(int signal)
{
	(void)signal;
	if (!armed)
		return;
	armed = false;
	way->leave();
}

/* Whatever is in hand at a jump is lost, an object at most. */
static void one_turn(struct slot *slot)
{
	struct conform_object o;

	if (slot->valid) {
		o = slot->o;
		slot->valid = false;
		atomic_signal_fence(memory_order_seq_cst);
		object_free(&o);
		return;
	}
	object_make(&o, (enum conform_how)conform_random_below(&random_state, NR_CONFORM_HOW),
		    1 + conform_random_below(&random_state, LARGEST));
	slot->o = o;
	atomic_signal_fence(memory_order_seq_cst);
	slot->valid = true;
}

static void work(void *arg)
{
	struct itimerspec once = {{0, 0}, {0, 0}};

	(void)arg;
	once.it_value.tv_nsec = 1000 + (long)conform_random_below(&random_state, MOST_NS);
	armed = true;
	if (timer_settime(timer, 0, &once, NULL) != 0)
		conform_end(CONFORM_UNABLE, "the timer is refused:", (unsigned long)errno);
	for (;;) {
		/* In rows, so that sheaves and slabs run empty and full. */
		size_t first = conform_random_below(&random_state, LIVE);

		for (size_t i = 0; i < LIVE / 2; i++)
			one_turn(&slots[(first + i) % LIVE]);
	}
}

static void make_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};

	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
		conform_end(CONFORM_UNABLE, "no timer for a thread:", (unsigned long)errno);
}

static unsigned long jump_about(const struct conform_options *options, struct jump_class *classes,
				size_t nr)
{
	time_t end = time(NULL) + (time_t)(MAX_SECONDS * options->effort);
	unsigned long jumps = 0;

	while (jumps < JUMPS * options->effort && time(NULL) < end) {
		way->attempt(work, NULL);
		jumps++;
		jump_check_some(jumps);
		if (jumps % 16 == 0)
			jump_check_class(&classes[jumps / 16 % nr]);
	}
	return jumps;
}

static void free_all(void)
{
	for (size_t i = 0; i < LIVE; i++) {
		if (slots[i].valid)
			object_free(&slots[i].o);
	}
}

static void run(const struct conform_options *options, const struct jump_way *by)
{
	static const size_t sizes[] = {16, 48, 100, 200, 256};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
	struct jump_class classes[sizeof(sizes) / sizeof(sizes[0])];
	unsigned long jumps;
	size_t before;

	way = by;
	conform_random_seed(&random_state, options->seed, 6);
	jump_keep_objects();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		jump_learn_class(&classes[i], sizes[i]);
	before = conform_resident();
	if (sigaction(SIGUSR1, &action, NULL) != 0)
		conform_end(CONFORM_UNABLE, "no handler for SIGUSR1:", (unsigned long)errno);
	make_timer();
	jumps = jump_about(options, classes, sizeof(sizes) / sizeof(sizes[0]));
	conform_note("jumps", jumps);
	free_all();
	/* What objects of up to LARGEST bytes take, and their neighbours in a larger class. */
	freeze_check_growth(before, jumps * 2 * LARGEST + ((size_t)8 << 20));
	jump_free_kept();
}

void jump_at_random(const struct conform_options *options)
{
	run(options, &jump_by_siglongjmp);
}

void jump_at_random_throwing(const struct conform_options *options)
{
	run(options, &jump_by_exception);
}
