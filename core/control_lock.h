/*
 * A mutex of the control plane: no allocation or free ever takes one. Layer: os.
 *
 * The word is the process that holds it, or 0. A child that was forked while its parent held it finds
 * another process's number, and takes it: who held it is not in the child.
 */
#ifndef USLUB_CONTROL_LOCK_H
#define USLUB_CONTROL_LOCK_H

#include <stdatomic.h>

#include "os.h"

/* True: its holder is not in this process: what it guards may be half changed. */
static inline bool control_lock(_Atomic int *lock)
{
	int pid = os_getpid(), holder = 0;
	bool orphaned = false;

	while (!atomic_compare_exchange_strong_explicit(lock, &holder, pid, memory_order_acquire,
							memory_order_acquire)) {
		orphaned = holder != pid && holder != 0;
		if (holder != pid)
			continue;
		os_sleep_ms(1);
		holder = 0;
	}
	return orphaned;
}

static inline void control_unlock(_Atomic int *lock)
{
	atomic_store_explicit(lock, 0, memory_order_release);
}

#endif
