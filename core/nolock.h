/*
 * Allocation that stays out of the kernel where a reserve has room, and on account. Layer: nolock, over
 * kmalloc. Called by preload.
 *
 * Plain kmalloc() may be called in any context already. Here the objects come from caches of their own
 * (CACHE_SHARED) that no thread keeps anything of: slabs of the node's list, changed by CAS. So what is
 * free in them is there for every caller, what is in use can be counted, and neither a thread's record
 * nor its locks are touched. Their slabs are made of the reserve's frames where it has some.
 *
 * An account is a set of such caches, and two counters for large objects.
 */
#ifndef USLUB_NOLOCK_H
#define USLUB_NOLOCK_H

#include "types.h"

/* Longest name of an account, so that that of a cache has room for a size. */
#define ACCOUNT_NAME_MAX 24U

/* Before main: sets `bytes` of memory aside. False: not all of them, or no caches for it. */
bool nolock_init(size_t bytes);

/*
 * A number from 1 on; the same name, ACCOUNT_NAME_MAX long at most, has the same one. 0: there are too many.
 * Takes a mutex.
 */
uint32_t account_create(const char *name);
bool account_exists(uint32_t account);
/* What is in use on it: objects, and their bytes as their caches count them. */
void account_read(uint32_t account, size_t *objects, size_t *bytes);

/* `account`: 0: none. `node`: the one wanted; NULL: none is. NULL: out of memory. */
void *kmalloc_nolock(size_t size, uint32_t account, bool zero, struct node *node);
/* Frees any object, to its slab. */
void kfree_nolock(void *p);

#endif
