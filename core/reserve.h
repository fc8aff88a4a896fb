/*
 * The reserve: frames that were made resident before main, for callers that must not enter the kernel.
 * Layer: frame. Called by slab and large for nolock.
 *
 * Claimed once from the heap and never given back to it; what is free of them is a bitmap, claimed by CAS
 * as a section's. Nothing here waits or makes a system call, but for reserve_init().
 */
#ifndef USLUB_RESERVE_H
#define USLUB_RESERVE_H

#include "types.h"

/* Sets up to that many bytes aside, before main. Returns how many: what the kernel didn't give is missing. */
size_t reserve_init(size_t bytes);
/* n frames in a row, resident, their content undefined, of that node. NULL: there is no room. */
void *reserve_alloc_on(const struct node *node, uint32_t n);
/* The same, of another where that one has none. */
void *reserve_alloc(const struct node *node, uint32_t n);
void reserve_free(void *addr, uint32_t n);
/* Bytes of it, in use or free. */
size_t reserve_total(void);
/* Are n frames in a row free? */
bool reserve_has(uint32_t n);

#endif
