/* The core under its own names as a heap to work on, and the books at the end of the work. */
#ifndef USLUB_FAULTS_CORE_HEAP_H
#define USLUB_FAULTS_CORE_HEAP_H

#include "workload.h"

extern const struct heap_ops core_heap;

/* All objects are freed: gives back what the calling thread holds, and compares what is left. */
void core_heap_check_empty(void);
/* Frames that somebody holds. */
size_t core_heap_frames(void);

/* Runs fn(arg) in a child process; returns its exit status, or minus the signal that ended it. */
int in_child(void (*fn)(void *arg), void *arg);

#endif
