/* The C library's interface, as a heap to work on. */
#ifndef USLUB_FAULTS_MALLOC_HEAP_H
#define USLUB_FAULTS_MALLOC_HEAP_H

#include "workload.h"

extern const struct heap_ops malloc_heap;

#endif
