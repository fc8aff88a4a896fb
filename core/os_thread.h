/*
 * A thread that the C library doesn't know. Layer: os. Called by control_service.c.
 *
 * As in os.h: async-signal-safe, no lock, nothing allocated.
 */
#ifndef USLUB_OS_THREAD_H
#define USLUB_OS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_thread {
	void (*fn)(void *);
	void *arg;
	void *stack; /* the highest address of its stack */
	void *tls;   /* its thread pointer */
	bool shares; /* descriptors and the rest, until os_thread_unshare() */
};

/*
 * Starts fn(arg) in a new thread of the process, with all signals blocked. It ends when fn returns. `t` is to live
 * until os_thread_unshare(). Descriptors, working directory and umask are its own from the start, or, with `shares`,
 * from os_thread_unshare() on: emulators, and valgrind, know only the second, and containers allow only the first.
 */
bool os_thread_start(struct os_thread *t);
/* In the new thread: its own descriptors, of which none is open. False: it shares them still, and they are open. */
bool os_thread_unshare(const struct os_thread *t);
/* This thread's; what is found at an offset from it is the same variable in every thread. */
uintptr_t os_thread_pointer(void);
/* Writes the word that a thread pointer must lead to. */
void os_thread_pointer_init(void *tls);

/* Blocks all signals on the calling thread, and puts the mask back. */
uint64_t os_block_signals(void);
void os_restore_signals(uint64_t mask);

#endif
