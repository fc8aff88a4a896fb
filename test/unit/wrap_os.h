/*
 * The core's calls to the kernel, each of which goes through a hook of the test: it may refuse the call,
 * or do what a signal handler at that instruction could. The linker's --wrap leads them here.
 */
#ifndef USLUB_UNIT_WRAP_OS_H
#define USLUB_UNIT_WRAP_OS_H

#include "unit.h"

#include "core/os.h"
#include "../os_call.h"

/* Called before each call; false refuses it. NULL: all are let through. */
static bool (*os_hook)(enum os_call call, const void *addr, size_t size);

static bool os_allows(enum os_call call, const void *addr, size_t size)
{
	return !os_hook || os_hook(call, addr, size);
}

#define WRAP(type, refused, call, name, addr, size, params, args)                  \
	type __real_##name params;                                                 \
	type __wrap_##name params;                                                 \
	type __wrap_##name params                                                  \
	{                                                                          \
		return os_allows(call, addr, size) ? __real_##name args : refused; \
	}

WRAP(void *, NULL, OS_RESERVE, os_reserve, NULL, size, (size_t size), (size))
WRAP(bool, false, OS_RESERVE_AT, os_reserve_at, addr, size, (void *addr, size_t size), (addr, size))
WRAP(void *, NULL, OS_MAP, os_map, NULL, size, (size_t size), (size))
WRAP(bool, false, OS_UNMAP, os_unmap, addr, size, (void *addr, size_t size), (addr, size))
WRAP(bool, false, OS_COMMIT, os_commit, addr, size, (void *addr, size_t size), (addr, size))
WRAP(bool, false, OS_UNCOMMIT, os_uncommit, addr, size, (void *addr, size_t size), (addr, size))
WRAP(bool, false, OS_PURGE, os_purge, addr, size, (void *addr, size_t size), (addr, size))
WRAP(bool, false, OS_RESIZE, os_resize, addr, size, (void *addr, size_t old_size, size_t size),
     (addr, old_size, size))
WRAP(bool, false, OS_MOVE, os_move, from, size,
     (void *from, size_t old_size, void *to, size_t size), (from, old_size, to, size))
WRAP(bool, false, OS_WIPE_ON_FORK, os_wipe_on_fork, addr, size, (void *addr, size_t size),
     (addr, size))

WRAP(bool, false, OS_AT_THREAD_EXIT, os_at_thread_exit, arg, 0, (void (*fn)(void *), void *arg),
     (fn, arg))

/* What the core takes for RLIMIT_AS. */
static size_t address_limit = SIZE_MAX;

size_t __wrap_os_address_limit(void);
size_t __wrap_os_address_limit(void)
{
	return address_limit;
}

#endif
