/*
 * What the stop cases share: the crew that works while a thread is frozen, and the walks that freeze it.
 * Layer: tools. Included by stop*.c alone.
 */
#ifndef USLUB_CONFORM_STOP_H
#define USLUB_CONFORM_STOP_H

#include "freeze.h"

enum { STOP_HELD = 40 };

/* The thread that is frozen, and what it holds. */
struct stop_victim {
	struct step step;
	struct conform_random random;
	struct conform_object objects[STOP_HELD];
	void *raw[STOP_HELD]; /* the objects while the walk makes or frees them */
	size_t sizes[STOP_HELD];
	size_t nr;
	unsigned long seen;    /* instructions of the walk, over all its parts */
	unsigned long spacing; /* it is frozen at each so many, */
	unsigned long phase;   /* where the number leaves this rest */
	unsigned long limit;   /* of `seen`: from here on it runs free */
	unsigned long stops;
	unsigned int rounds; /* of the thread's destructors */
	bool in_library_only;
	uintptr_t entry; /* of freeze_inside() */
};

/* What a victim does. Only take and give are walked through. */
struct stop_scenario {
	void (*prepare)(struct stop_victim *v);
	void (*take)(struct stop_victim *v);
	void (*give)(struct stop_victim *v);
	bool apart; /* in a thread that has done nothing before */
};

/* Threads that wait for rounds; `starts`: they may start and end threads too. */
void crew_start(const struct conform_options *options, bool starts);
/* Has one of the crew do its round, all calls and sizes, and waits for its end. */
void crew_round(void);
void crew_stop(void);

/* In memory that is shared with forked children. */
struct stop_victim *stop_victim_new(const struct conform_options *options);
/* The victim alone: its walk through take and give, with its objects checked between. */
void stop_walk(struct stop_victim *v, const struct stop_scenario *scenario);
/* Frozen at each instruction in turn over many walks, of which the budget allows so many. */
void stop_everywhere(const struct conform_options *options, const struct stop_scenario *scenario);
/* The same for a victim whose walks somebody else begins. */
void stop_each_phase(const struct conform_options *options, struct stop_victim *v,
		     void (*walk)(struct stop_victim *v));
/* Makes ready for a walk that steps v->step by itself. */
void stop_arm(struct stop_victim *v);

extern const struct stop_scenario stop_refill, stop_slab, stop_large;

/* In stop_edges.c. */
void stop_at_exit(const struct conform_options *options);
void stop_after_fork(const struct conform_options *options);
void stop_with_limit(const struct conform_options *options);

#endif
