/* Threads that allocate and free, and check what they hold. Used by the program of the tests in QEMU. */
#ifndef USLUB_TEST_QEMU_WORKERS_H
#define USLUB_TEST_QEMU_WORKERS_H

#include "pages.h"

#define MAX_WORKERS 16U

/* Of threads that are pinned to cpus turn by turn; a quarter of the objects is asked of the node, if one is given. */
void workers_start(unsigned int n, int node);
struct census {
	struct placement all;
	/* Of objects that were asked of no node: all pages, and those on the node of the worker that has the object. */
	unsigned long unasked, local;
};

/* Where all that they hold is; each counts its own between two operations. */
void workers_census(struct census *to);
/* Operations so far, and errors: damaged objects, and no memory. */
unsigned long workers_operations(void);
unsigned long workers_errors(void);
/* Ends them; all that they hold is checked and freed. */
void workers_stop(void);

/* Pins the thread to the cpu; its node. */
unsigned int pin_to_cpu(unsigned int index);

#endif
