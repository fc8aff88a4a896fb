/*
 * The table of stepped cases: a handler interrupts a call at each of its instructions and calls the
 * family. Layer: tools. In the tables of cases.c.
 */
#include "step_cases.h"

const struct conform_case step_cases[] = {
	{"step.no_handler", "all calls and sizes, and no handler: what any malloc should pass", 10,
	 step_no_handler},
	{"step.malloc_free", "malloc and free with objects at hand", 10, step_malloc_free},
	{"step.calloc", "calloc", 10, step_calloc},
	{"step.realloc", "realloc of small objects", 10, step_realloc},
	{"step.aligned", "aligned_alloc, posix_memalign, memalign", 10, step_aligned},
	{"step.operators", "C++ operators new and delete", 10, step_operators},
	{"step.usable_size", "malloc_usable_size", 10, step_usable_size},
	{"step.refill", "malloc that has to get more objects, and more memory", 10, step_refill},
	{"step.flush", "free that has to put objects away, and gives memory back", 10, step_flush},
	{"step.remote", "malloc where another thread has freed, free of its objects", 10,
	 step_remote},
	{"step.large", "large objects: malloc and free", 10, step_large},
	{"step.large_realloc", "large objects grow, in place and moving, and shrink", 10,
	 step_large_realloc},
	{"step.purge", "memory given back after a time", 10, step_purge},
	{"step.thread_first", "the first calls of a thread", 10, step_thread_first},
	{"step.thread_exit", "the end of a thread, its destructors included", 10, step_thread_exit},
	{"step.thread_create", "pthread_create", 10, step_thread_create},
	{"step.fork", "fork", 10, step_fork},
	{"step.fork_child", "the first calls of a forked child", 10, step_fork_child},
	{"step.trim", "malloc_trim", 10, step_trim},
	{"step.mallinfo2", "mallinfo2", 10, step_mallinfo2},
	{"step.malloc_stats", "malloc_stats", 10, step_malloc_stats},
	{"step.malloc_info", "malloc_info", 10, step_malloc_info},
	{"step.kmem_create", "kmem_cache_create and kmem_cache_destroy", 10, step_kmem_create},
	{"step.kmem_alloc", "kmem_cache_alloc and kmem_cache_free", 10, step_kmem_alloc},
	{"step.kmem_shrink", "kmem_cache_shrink", 10, step_kmem_shrink},
	{"step.nolock", "uslub_malloc_nolock and uslub_free_nolock", 10, step_nolock},
	{"step.left_behind", "interruptions leave no memory behind; effort 4: a million", 30,
	 step_left_behind},
	{"step.stack_depth", "how deep a stack malloc and free need", 10, step_stack_depth},
	{NULL, NULL, 0, NULL},
};
