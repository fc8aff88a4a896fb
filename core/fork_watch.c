/*
 * Who wants to know of forks. Layer: os; see fork_watch.h.
 */
#include "fork_watch.h"

_Atomic(_Atomic int *) fork_watch_word;
void (*fork_watch_seen)(void);
