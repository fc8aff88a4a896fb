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

#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

__attribute__((constructor)) static void uslub_init(void)
{
	/* Not getenv(): a setuid program must not take orders from who started it. */
	const char *text = getauxval(AT_SECURE) ? NULL : secure_getenv("USLUB");

	if (text)
		options_parse(text);
	foreign_init();
}

__attribute__((destructor)) static void uslub_fini(void)
{
	if (options.stats)
		stats_print(STDERR_FILENO);
}
