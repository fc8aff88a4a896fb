/*
 * The edge cases' functions, by file. Layer: tools. Included by edge*.c alone.
 */
#ifndef USLUB_CONFORM_EDGE_H
#define USLUB_CONFORM_EDGE_H

#include "freeze.h"

/* A handful of calls of the family, and their objects checked: what handlers and destructors do. */
void edge_use_the_heap(struct conform_random *r);

/* In edge_threads.c: a thread's beginning and its end. */
void edge_first(const struct conform_options *options);
void edge_destructors(const struct conform_options *options);
void edge_past_the_end(const struct conform_options *options);
/* In edge_module.c: a module's TLS, its constructor and destructor, and the process's end. */
void edge_tls(const struct conform_options *options);
void edge_exit(const struct conform_options *options);
/* In edge_stack.c: small stacks and deep ones. */
void edge_small_stack(const struct conform_options *options);
void edge_deep(const struct conform_options *options);
/* In edge_priority.c. */
void edge_priority(const struct conform_options *options);

#endif
