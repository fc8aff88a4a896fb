/*
 * A module with thread-local storage that the loader allocates at a thread's first touch. Layer: tools;
 * loaded by edge_module.c with dlopen(). Built with the general dynamic TLS model, by itself.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "edge_tls.h"

static _Thread_local char area[EDGE_TLS_SIZE];

/* Set by the suite: called as the module goes. */
void (*edge_tls_at_end)(void);

char *edge_tls_touch(void)
{
	return area;
}

/* The loader holds its lock meanwhile. */
__attribute__((constructor)) static void begin(void)
{
	char *p = malloc(1000);

	if (p)
		memset(p, 1, 1000);
	free(p);
}

__attribute__((destructor)) static void end(void)
{
	if (edge_tls_at_end)
		edge_tls_at_end();
}
