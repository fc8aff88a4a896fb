/*
 * Names of caches that were merged into others. Layer: caches. Written by cache_create() under slab_mutex, read by
 * the control files without it.
 */
#ifndef USLUB_ALIASES_H
#define USLUB_ALIASES_H

#include "types.h"

#define NR_ALIASES 512U
#define ALIAS_NAME 32U

/* The name is another one for s, from now on until s is destroyed. Beyond NR_ALIASES names are forgotten. */
void alias_add(struct kmem_cache *s, const char *name);
/* The cache is no more: its slot may get another. */
void alias_remove_all(const struct kmem_cache *s);
/* Copies the index'th name and returns its cache; NULL: there is none, *end: nor behind it. */
struct kmem_cache *alias_get(uint32_t index, char name[ALIAS_NAME], bool *end);

#endif
