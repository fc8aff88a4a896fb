/*
 * The storm: tens of thousands of signals a second over all threads, from a timer of each thread's own and
 * from a thread that sends more; handlers allocate, free what others made, resize, and write log lines.
 * Layer: tools; listed in cases.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "freeze.h"
#include "storm_table.h"

enum { THREADS = 3, SLOTS = 100, LINES = 32, MAX_DEPTH = 4 };
/* For each of the effort, where the command line doesn't say. */
#define SECONDS 4U
#define TIMER_NS 150000L
#define STORM_NS 20000L
#define MIB ((size_t)1 << 20)
/* Kept by malloc for threads that have ended, and free in pieces. */
#define MOST_LEFT (48 * MIB)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct worker {
	pthread_t thread;
	timer_t timer;
	struct conform_random random;
};

static struct worker workers[THREADS];
static _Atomic(char *) lines[LINES];
static _Atomic unsigned long handled, streams, logged;
static _Atomic unsigned int ready;
static _Atomic bool over;
static _Thread_local volatile unsigned int depth;
static uint64_t seed;

static size_t write_number(char *to, unsigned long number)
{
	char digits[24];
	size_t n = 0, at = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	while (n > 0)
		to[at++] = digits[--n];
	return at;
}

static char *line_memory(size_t size)
{
	char *line = malloc(size);

	if (!line)
		conform_end(CONFORM_FAIL, "NULL where there is memory; the size is", size);
	return line;
}

/* "N handled N\n": the number twice, so that a torn line shows. */
static char *new_line(unsigned long number)
{
	static const char text[] = " handled ";
	char *line = line_memory(64 + number % 200);
	size_t at = write_number(line, number);

	memcpy(line + at, text, sizeof(text) - 1);
	at += sizeof(text) - 1;
	at += write_number(line + at, number);
	memcpy(line + at, "\n", 2);
	return line;
}

static void check_line(const char *line)
{
	unsigned long number = 0;
	char again[64];
	size_t at;

	for (at = 0; line[at] >= '0' && line[at] <= '9'; at++)
		number = number * 10 + (unsigned long)(line[at] - '0');
	at = write_number(again, number);
	if (strncmp(line, again, at) != 0 || strncmp(line + at, " handled ", 9) != 0 ||
	    strncmp(line + at + 9, again, at) != 0 || strcmp(line + at + 9 + at, "\n") != 0)
		conform_end(CONFORM_CORRUPT, "a log line is torn; its number was", number);
}

static void put_line(char *line, size_t place)
{
	line = atomic_exchange(&lines[place], line);
	if (!line)
		return;
	check_line(line);
	free(line);
	atomic_fetch_add_explicit(&logged, 1, memory_order_relaxed);
}

static void handler(int signal)
{
	unsigned long number;
	struct conform_object own[3], other;
	struct conform_random r;
	int saved = errno;

	(void)signal;
	if (depth >= MAX_DEPTH)
		return;
	depth++;
	number = atomic_fetch_add(&handled, 1);
	conform_random_seed(&r, seed, atomic_fetch_add(&streams, 1));
	for (int i = 0; i < 3; i++)
		table_make(&own[i], &r);
	put_line(new_line(number), number % LINES);
	if (table_take(&other, &r)) {
		object_resize(&other, table_size(&r));
		object_free(&other);
	}
	table_put(&own[0], &r);
	object_free(&own[1]);
	object_free(&own[2]);
	depth--;
	errno = saved;
}

static void start_timer(struct worker *w)
{
	struct itimerspec often = {{0, TIMER_NS}, {0, TIMER_NS}};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};

	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &w->timer) != 0 ||
	    timer_settime(w->timer, 0, &often, NULL) != 0)
		conform_end(CONFORM_UNABLE, "no timer for a thread:", (unsigned long)errno);
}

static void *work(void *arg)
{
	struct conform_object slots[SLOTS] = {0};
	struct worker *w = arg;

	start_timer(w);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		struct conform_object *o = &slots[conform_random_below(&w->random, SLOTS)];

		if (!o->p)
			table_make(o, &w->random);
		else if (conform_random_below(&w->random, 8) == 0)
			object_resize(o, table_size(&w->random));
		else if (conform_random_below(&w->random, 4) == 0)
			table_put(o, &w->random);
		else
			object_free(o);
	}
	timer_delete(w->timer);
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].p)
			object_free(&slots[i]);
	}
	return NULL;
}

static void storm(unsigned int seconds)
{
	struct timespec now, pause = {0, STORM_NS};
	time_t end;

	while (atomic_load(&ready) < THREADS)
		nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + (time_t)seconds;
	while (now.tv_sec < end) {
		for (int i = 0; i < THREADS; i++) {
			pthread_kill(workers[i].thread, SIGUSR1);
			pthread_kill(workers[i].thread, SIGUSR2);
		}
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
}

/* SIGUSR1 interrupts itself too. */
static void install(int signal, int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | flags};

	if (sigaction(signal, &action, NULL) != 0)
		conform_end(CONFORM_UNABLE, "no handler for signal", (unsigned long)signal);
}

static void run(const struct conform_options *options)
{
	unsigned int seconds = options->seconds ? options->seconds : SECONDS * options->effort;
	size_t before = conform_resident();

	seed = options->seed;
	install(SIGRTMIN, 0);
	install(SIGUSR1, SA_NODEFER);
	install(SIGUSR2, 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		conform_random_seed(&workers[i].random, seed, 1000000000 + i);
		workers[i].thread = freeze_thread(work, &workers[i]);
	}
	storm(seconds);
	atomic_store(&over, true);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	table_drain();
	for (size_t i = 0; i < LINES; i++)
		put_line(NULL, i);
	if (handled == 0)
		conform_end(CONFORM_UNABLE, "no signal came in, of seconds:", seconds);
	conform_note("handlers", handled);
	conform_note("log lines", logged);
	freeze_check_growth(before, MOST_LEFT);
}

const struct conform_case storm_cases[] = {
	{"storm.signals", "threads under timers and a storm of signals, for --seconds", 20, run},
	{NULL, NULL, 0, NULL},
};
