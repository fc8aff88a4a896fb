/*
 * Stops where a walk is begun by somebody else: at a thread's end, in a forked child, in a process that
 * has little address space. Layer: tools; listed in stop.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "stop.h"
#include "storm_table.h"

#define MIB ((size_t)1 << 20)
#define LIMIT (512 * MIB)
/* Of a thread's destructors: malloc's own have run by then, even where they wait for a second round. */
#define LAST_ROUND 3u

/* The C library's, behind thread_local in C++. */
int __cxa_thread_atexit_impl(void (*function)(void *), void *arg, void *object);

static pthread_key_t key;

static void walk_begins(void *arg)
{
	struct stop_victim *v = arg;

	v->in_library_only = true;
	v->rounds = 0;
	stop_arm(v);
	step_begin(&v->step);
}

static void walk_ends(void *arg)
{
	struct stop_victim *v = arg;

	if (++v->rounds < LAST_ROUND)
		pthread_setspecific(key, v);
	else
		step_end(&v->step);
}

/* Ends with free memory of many sizes in hand. */
static void *live_and_end(void *arg)
{
	struct stop_victim *v = arg;
	struct conform_object o;

	for (int i = 0; i < STOP_HELD; i++) {
		table_make(&o, &v->random);
		if (i % 2)
			object_free(&o);
		else
			table_put(&o, &v->random);
	}
	if (pthread_setspecific(key, v) != 0 || __cxa_thread_atexit_impl(walk_begins, v, &key) != 0)
		conform_end(CONFORM_UNABLE, "no destructors for a thread:", 0);
	return NULL;
}

static void walk_an_end(struct stop_victim *v)
{
	pthread_join(freeze_thread(live_and_end, v), NULL);
}

void stop_at_exit(const struct conform_options *options)
{
	struct stop_victim *v = stop_victim_new(options);

	if (pthread_key_create(&key, walk_ends) != 0)
		conform_end(CONFORM_UNABLE, "no key for a thread's destructor:", 0);
	/* Where malloc is the C library's, its locks can't be told from those of threads. */
	crew_start(options, !freeze_is_libc());
	stop_each_phase(options, v, walk_an_end);
	crew_stop();
}

static const struct conform_options *forked_options;

/* The parent's crew leaves memory of its own behind in the child. */
static void walk_in_child(struct stop_victim *v)
{
	pid_t child;

	crew_round();
	child = fork();
	if (child == 0) {
		freeze_in_child();
		crew_start(forked_options, true);
		stop_walk(v, &stop_refill);
		crew_stop();
		_exit(0);
	}
	freeze_reap(child);
}

void stop_after_fork(const struct conform_options *options)
{
	struct stop_victim *v = stop_victim_new(options);

	forked_options = options;
	crew_start(options, true);
	stop_each_phase(options, v, walk_in_child);
	crew_stop();
}

static ssize_t read_own_arguments(char *text, size_t size)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	return n;
}

/* The limit is to hold from the process's start: it begins once more. */
static void begin_again(void)
{
	static char text[4096];
	char *argv[64];
	ssize_t n = read_own_arguments(text, sizeof(text));
	size_t argc = 0;

	for (ssize_t at = 0; at < n && argc < 63; at++) {
		if (at == 0 || text[at - 1] == '\0')
			argv[argc++] = &text[at];
	}
	argv[argc] = NULL;
	execv("/proc/self/exe", argv);
	conform_end(CONFORM_UNABLE, "the case can't be started again:", (unsigned long)errno);
}

void stop_with_limit(const struct conform_options *options)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) != 0)
		conform_end(CONFORM_UNABLE, "no limits here:", (unsigned long)errno);
	if (limit.rlim_cur > LIMIT) {
		limit.rlim_cur = LIMIT;
		if (setrlimit(RLIMIT_AS, &limit) != 0)
			conform_end(CONFORM_UNABLE, "the limit is refused:", (unsigned long)errno);
		begin_again();
	}
	stop_everywhere(options, &stop_slab);
	stop_everywhere(options, &stop_refill);
	stop_everywhere(options, &stop_large);
}
