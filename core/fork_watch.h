/*
 * What wants to know that the process is a child of a fork, without an atfork handler. Layer: os. The slow paths of
 * allocation ask; the control files answer.
 */
#ifndef USLUB_FORK_WATCH_H
#define USLUB_FORK_WATCH_H

#include <stdatomic.h>
#include <stddef.h>

/*
 * A word in a page that the kernel wipes in a child: 0 there until somebody has seen to it. NULL: nobody wants to
 * know.
 */
extern _Atomic(_Atomic int *) fork_watch_word __attribute__((visibility("hidden")));
/* Const once the word is set. Called in any context, again and again until the word isn't 0. */
extern void (*fork_watch_seen)(void) __attribute__((visibility("hidden")));

static inline void fork_watch_poll(void)
{
	/* Acquire pairs with the release in control_service.c: publishes fork_watch_seen. */
	_Atomic int *word = atomic_load_explicit(&fork_watch_word, memory_order_acquire);

	if (__builtin_expect(word != NULL, 0) && !atomic_load_explicit(word, memory_order_relaxed))
		fork_watch_seen();
}

#endif
