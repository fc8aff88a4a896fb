/*
 * The stepped cases, by the files that they are in. Layer: tools. Included by step_*.c alone.
 */
#ifndef USLUB_CONFORM_STEP_CASES_H
#define USLUB_CONFORM_STEP_CASES_H

#include "scene.h"

/* step_family.c: the family's calls where they have what they need at hand. */
void step_no_handler(const struct conform_options *options);
void step_malloc_free(const struct conform_options *options);
void step_calloc(const struct conform_options *options);
void step_realloc(const struct conform_options *options);
void step_aligned(const struct conform_options *options);
void step_operators(const struct conform_options *options);
void step_usable_size(const struct conform_options *options);

/* step_slow.c: where they have to get something, or put it away. */
void step_refill(const struct conform_options *options);
void step_flush(const struct conform_options *options);
void step_remote(const struct conform_options *options);
void step_large(const struct conform_options *options);
void step_large_realloc(const struct conform_options *options);
void step_purge(const struct conform_options *options);

/* step_thread.c */
void step_thread_first(const struct conform_options *options);
void step_thread_exit(const struct conform_options *options);
void step_thread_create(const struct conform_options *options);
void step_fork(const struct conform_options *options);
void step_fork_child(const struct conform_options *options);

/* step_info.c */
void step_trim(const struct conform_options *options);
void step_mallinfo2(const struct conform_options *options);
void step_malloc_stats(const struct conform_options *options);
void step_malloc_info(const struct conform_options *options);

/* step_kmem.c */
void step_kmem_create(const struct conform_options *options);
void step_kmem_alloc(const struct conform_options *options);
void step_kmem_shrink(const struct conform_options *options);
void step_nolock(const struct conform_options *options);

/* step_left.c */
void step_left_behind(const struct conform_options *options);
void step_stack_depth(const struct conform_options *options);

#endif
