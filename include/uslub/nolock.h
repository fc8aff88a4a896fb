/*
 * uslub: allocation for callers that may not even enter the kernel.
 *
 * malloc() and free() of uslub may be called in any context already: see docs/any-context.md. These calls
 * add three things: a reserve of resident memory, from which they are served without a system call and
 * without a page fault; accounts, on which objects are counted; and the wanted NUMA node. The idea and the
 * contract are those of the Linux kernel's kmalloc_nolock() and kfree_nolock() (mm/slub.c, 2025).
 *
 * The reserve is set aside before main where the environment says so, USLUB=reserve:16M, and serves these
 * calls alone. Where it has no room (or there is none) the calls are served like malloc's, and may ask
 * the kernel for memory. Memory that a process forks away, or that is swapped out, faults when it is next
 * written, reserve or not: mlockall() and no fork() are the caller's part.
 *
 * Contexts. "Any": the call may be made from a signal handler that interrupted any instruction of any call,
 * while any other thread is stopped anywhere, and never waits. "Thread": it may not, for it takes a mutex.
 * Units. All sizes are bytes.
 */
#ifndef USLUB_INCLUDE_NOLOCK_H
#define USLUB_INCLUDE_NOLOCK_H

#include <stddef.h>

#include "uslub.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flags, beside USLUB_ZERO. The object is counted on the account of that number. (__GFP_ACCOUNT) */
#define USLUB_ACCOUNT(account) ((unsigned int)(account) << 8)

/*
 * At least `size` bytes, aligned to 16; a size of 0 counts as 1. `flags`: USLUB_ZERO, USLUB_ACCOUNT(n), or
 * both, or 0. `node`: the NUMA node that the memory should be of, as for uslub_malloc_node(); of a
 * reserve each node has its share.
 *
 * Returns NULL with errno ENOMEM where memory is out, never because something is busy; with errno EINVAL for
 * a flag or an account that there isn't. Leaves errno alone otherwise. The object may be freed by free(),
 * and resized by realloc(), which moves it off the reserve and off its account where it doesn't fit.
 * Context: any. (kmalloc_nolock)
 */
void *uslub_malloc_nolock(size_t size, unsigned int flags, int node);

/*
 * Frees an object of any of the library's calls, malloc() included; NULL is ignored. Never enters the
 * kernel, save for an object that has a mapping of its own (above 32 MiB). An object of the reserve's is
 * there for the next call at once. Leaves errno alone. Context: any. (kfree_nolock)
 */
void uslub_free_nolock(void *p);

#ifdef __cplusplus
}
#endif

#endif
