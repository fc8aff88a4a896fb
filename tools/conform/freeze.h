/*
 * What the cases that interrupt a thread at each instruction share: where it is, threads, children, and
 * the memory that stays behind. Layer: tools. Used by the stop, jump, fork, edge and storm cases.
 */
#ifndef USLUB_CONFORM_FREEZE_H
#define USLUB_CONFORM_FREEZE_H

#include <pthread.h>
#include <sys/types.h>

#include "conform.h"
#include "step.h"

/* Finds the library under test; before freeze_inside() and freeze_is_libc(). */
void freeze_prepare(void);
/*
 * Is the stepped thread in the library under test, or in what that has called? For stretches of the C
 * library's own code, about whose locks nobody promises anything. Called by the hook each time, with
 * *entry 0 at first.
 */
bool freeze_inside(uintptr_t *entry, const struct step *step);
/* Is the malloc under test the C library's own? */
bool freeze_is_libc(void);

/* A thread that must start: its failure ends the case as unable. */
pthread_t freeze_thread(void *(*body)(void *), void *arg);

/* First of all in such a child: it doesn't outlive its parent. */
void freeze_in_child(void);
/* A child made by some fork must end well; as it ended, so does the case. */
void freeze_reap(pid_t child);

/* Trims, and ends the case as failed where over `bound` bytes more are resident than were at `before`. */
size_t freeze_growth(size_t before, size_t bound);
/* The same, and notes how much it is. */
void freeze_check_growth(size_t before, size_t bound);

#endif
