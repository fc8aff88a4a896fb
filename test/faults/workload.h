/*
 * A fixed sequence of work that comes through every path on which the heap asks the kernel: small,
 * medium, large and mapped objects, zeroed and aligned ones, growth and shrinking, threads that come and
 * go, memory given back. A call that finds no memory leaves everything as it was; the work goes on.
 */
#ifndef USLUB_FAULTS_WORKLOAD_H
#define USLUB_FAULTS_WORKLOAD_H

#include "objects.h"

/* The heap under test. */
struct heap_ops {
	void *(*alloc)(size_t size);
	void *(*zalloc)(size_t size);
	void *(*aligned)(size_t size, size_t align);
	void *(*resize)(void *p, size_t size);
	void (*release)(void *p);
	void (*trim)(void);
	/* Lets the delay pass after which free memory goes back. */
	void (*age)(void);
	/* Objects of a cache of the program's own; NULL: there is none. */
	void *(*special)(void);
	void (*release_special)(void *p);
	size_t special_size;
};

#define WORKLOAD_OBJECTS 256

struct workload {
	const struct heap_ops *heap;
	struct object objects[WORKLOAD_OBJECTS];
	bool no_failures;      /* a NULL is a failure of the test */
	unsigned int failures; /* NULLs */
	uint64_t random;
};

/* Works; what lives at the end stays alive. Every object's content is checked on the way. */
void workload_run(struct workload *w);
void workload_check(const struct workload *w);
void workload_free_all(struct workload *w);

#endif
