/*
 * Before main and after it. Layer: preload.
 *
 * Nothing here is needed for malloc to work: calls that come earlier, from the loader or from other
 * constructors, find the defaults.
 */
#include "preload.h"

#include "core/control.h"
#include "core/hotplug.h"
#include "core/kmalloc.h"
#include "core/nolock.h"
#include "core/options.h"
#include "core/stats.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Out of the way of programs that count on low numbers. */
#define STATS_FD_MIN 100

/* Where the statistics go: a copy of stderr, for programs close theirs before this library's turn comes. */
static struct {
	int fd;
	struct stat is;
} stats_to;

static void stats_init(void)
{
	stats_to.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STATS_FD_MIN);
	if (stats_to.fd < 0)
		stats_to.fd = STDERR_FILENO;
	if (fstat(stats_to.fd, &stats_to.is))
		options.stats = 0;
}

/* Programs close descriptors that they don't know, and the number may be a file of theirs by now. */
static bool stats_fd_is_ours(void)
{
	struct stat now;

	return !fstat(stats_to.fd, &now) && now.st_dev == stats_to.is.st_dev &&
	       now.st_ino == stats_to.is.st_ino;
}

/* The core needs no atfork handler; a child that never allocates is seen sooner by one. */
static void control_init(void)
{
	const char *failure = control_start(options.control);

	if (failure)
		options_note(failure);
	else
		pthread_atfork(NULL, NULL, control_after_fork);
}

__attribute__((constructor)) static void uslub_init(void)
{
	/* Not getenv(): a setuid program must not take orders from who started it. */
	const char *text = secure_getenv("USLUB");

	os_thread_stack_init();
	if (text)
		options_parse(text);
	if (options.stats)
		stats_init();
	nodes_init();
	if (options.reserve_kib && !nolock_init((size_t)options.reserve_kib << 10))
		options_note("reserve: not all of it could be set aside");
	/* While there are keys: a program may take them all. */
	os_thread_exit_init();
	foreign_init();
	operators_init();
	if (options.control[0])
		control_init();
}

__attribute__((destructor)) static void uslub_fini(void)
{
	if (options.stats && stats_fd_is_ours())
		stats_print(stats_to.fd);
	control_stop();
}
