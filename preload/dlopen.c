/*
 * dlopen() without RTLD_DEEPBIND. Layer: preload. Called by programs.
 *
 * A library loaded so finds the C library's malloc before a preloaded one, and then frees, or has the
 * program free, what the other has made. Forwarding frees (foreign.c) heals one direction; without the
 * flag there is only one malloc.
 *
 * The loader looks at its return address to learn who calls: for $ORIGIN, the namespace, and the search
 * path. So the real function must be entered by a jump, as if the caller had called it; a test looks at
 * the instructions.
 */
#include "preload.h"

#include <dlfcn.h>

static void *(*real_dlopen)(const char *file, int flags);

static void *(*find_dlopen(void))(const char *, int)
{
	if (!real_dlopen)
		*(void **)&real_dlopen = dlsym(RTLD_NEXT, "dlopen");
	return real_dlopen;
}

EXPORT void *dlopen(const char *file, int flags)
{
	return find_dlopen()(file, flags & ~RTLD_DEEPBIND);
}
