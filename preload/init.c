/*
 * Before main and after it. Layer: preload.
 *
 * Nothing here is needed for malloc to work: calls that come earlier, from the loader or from other
 * constructors, find the defaults.
 */
#include "preload.h"

#include "core/kmalloc.h"
#include "core/options.h"
#include "core/stats.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Out of the way of programs that count on low numbers. */
#define STATS_FD_MIN 100

static int stats_fd = -1;

__attribute__((constructor)) static void uslub_init(void)
{
	/* Not getenv(): a setuid program must not take orders from who started it. */
	const char *text = getauxval(AT_SECURE) ? NULL : secure_getenv("USLUB");

	if (text)
		options_parse(text);
	/* Programs close stderr at their end, before this library's turn comes. */
	if (options.stats)
		stats_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STATS_FD_MIN);
	foreign_init();
}

__attribute__((destructor)) static void uslub_fini(void)
{
	if (stats_fd >= 0)
		stats_print(stats_fd);
}
