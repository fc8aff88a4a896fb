/*
 * The stepping engine: runs a call one instruction at a time, and a hook at each of them. Layer: tools.
 * Included by the engine and by cases that step.
 */
#ifndef USLUB_STEP_H
#define USLUB_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the hook runs: the stack of the call, or one set by sigaltstack(). */
enum step_stack {
	STEP_ON_STACK,
	STEP_ON_ALTSTACK,
	STEP_ON_SMALL_STACK, /* with a guard page below: see STEP_SMALL_STACK */
};

/*
 * What a handler on the small stack has beyond sysconf(_SC_MINSIGSTKSZ), which the kernel's signal frame
 * uses up: 1 KiB for malloc or free, and what the suite's own handler needs.
 */
#define STEP_SMALL_STACK ((size_t)1024 + 640)

struct step {
	void (*call)(void *arg); /* what is stepped */
	void *arg;
	/* Runs as a signal handler would, `at` instructions into the call; may be NULL. */
	void (*hook)(void *arg, unsigned long at);
	void *hook_arg;
	enum step_stack stack;
	unsigned long every; /* the hook runs at every so many instructions; 0: at each */

	/* For the hook: where the thread is. Set by it: nothing more of the call is stepped. */
	uintptr_t pc, sp;
	bool leave;

	/* Results. */
	unsigned long instructions; /* stepped, outside the suite's own program */
	unsigned long hooks;	    /* how often the hook ran */

	/* The engine's own. */
	struct step *outer; /* whose hook this was begun in */
	unsigned long number;
};

/*
 * Steps step->call(step->arg) in this thread. The suite's own instructions are not counted and get no
 * hook. Nests: a hook may step a call too. Ends the case as CONFORM_UNABLE where nothing here steps.
 */
void step_call(struct step *step);

/* The same from here to step_end(), or to the end of the thread. */
void step_begin(struct step *step);
void step_end(struct step *step);

/* After a hook that did not return but jumped out. */
void step_abandon(void);

#endif
