/*
 * What the parts of the conformance suite share: the table of cases, the outcome of one, and objects
 * that know who they are. Layer: tools. Included by every file of tools/conform/.
 *
 * The suite judges any malloc by what its callers see. Each case runs in a process of its own with the
 * library preloaded; the runner, under the C library's own malloc, turns its end into a word: pass,
 * hang (the time limit), crash (a signal), corrupt (conform_fail), fail (no memory where there was).
 * Everything here may be called from a signal handler, but for conform_run_cases().
 */
#ifndef USLUB_CONFORM_H
#define USLUB_CONFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of a case. A signal or the time limit speak for themselves. */
enum conform_status {
	CONFORM_PASS = 0,
	CONFORM_CORRUPT = 40, /* an object was handed out twice, or its content changed */
	CONFORM_FAIL = 41,    /* NULL where there is memory, errno touched, memory left behind */
	CONFORM_UNABLE =
		77, /* the machine can't run this case: shown as "unable", never as a pass */
	CONFORM_ABSENT = 78, /* the library doesn't offer what the case calls: "not offered" */
};

struct conform_options {
	unsigned int effort;  /* 1: a CI run; 10: by hand; scales counts */
	unsigned int seconds; /* for cases that run by time */
	uint64_t seed;	      /* printed, and repeats a run's choices */
	bool tracer;	      /* step by ptrace, where the trap flag would do it faster */
};

struct conform_case {
	const char *name;     /* "step.malloc" */
	const char *what;     /* one line for --list */
	unsigned int seconds; /* its time limit on a machine of the ordinary kind */
	void (*run)(const struct conform_options *options);
};

/* One table for each file of cases; ended by a NULL name. cases.c lists the tables. Weak: a file may be left out. */
extern const struct conform_case step_cases[] __attribute__((weak));
extern const struct conform_case deep_cases[] __attribute__((weak));
extern const struct conform_case stop_cases[] __attribute__((weak));
extern const struct conform_case jump_cases[] __attribute__((weak));
extern const struct conform_case fork_cases[] __attribute__((weak));
extern const struct conform_case edge_cases[] __attribute__((weak));
extern const struct conform_case storm_cases[] __attribute__((weak));

/* Ends the case: one line on stderr, then _exit(status). No allocation, no stdio. */
_Noreturn void conform_end(enum conform_status status, const char *why, unsigned long figure);
/* One line of figures for the report: "NAME FIGURE", shown behind the word of a case that passes. */
void conform_note(const char *name, unsigned long figure);

/*
 * A function that not every library has (the list stands in case.c), or NULL; never the C library's
 * where another library's malloc is judged.
 */
void *conform_symbol(const char *name);
/* The same; ends the case as CONFORM_ABSENT instead of NULL. */
void *conform_require(const char *name);

/* The calls an object can come from. */
enum conform_how {
	BY_MALLOC,
	BY_CALLOC,
	BY_REALLOC, /* realloc(NULL) and one growth */
	BY_ALIGNED_ALLOC,
	BY_POSIX_MEMALIGN,
	BY_MEMALIGN,
	BY_NEW, /* operator new(size_t), where the process has one, else malloc */
	BY_NEW_ALIGNED,
	NR_CONFORM_HOW,
};

/* A live object: its unique id is written at both ends, and a pattern made from it between. */
struct conform_object {
	unsigned char *p;
	size_t size;
	uint64_t id;
	enum conform_how how;
};

/*
 * Allocates, checks alignment, zeroes where promised, that errno was left alone, and that no live object
 * overlaps (as the ids show), and fills. NULL ends the case as CONFORM_FAIL.
 */
void object_make(struct conform_object *o, enum conform_how how, size_t size);
/* The same of what a call by the caller itself gave: the call can so be stepped without the filling. */
void object_adopt(struct conform_object *o, enum conform_how how, void *p, size_t size);
/* Ends the case as CONFORM_CORRUPT where the content is not what was written. */
void object_check(const struct conform_object *o);
/* Checks, grows or shrinks by realloc, checks what must have stayed, and fills anew. */
void object_resize(struct conform_object *o, size_t size);
/* Checks and wipes the ids: what is returned is to be freed by the caller, o is empty. */
void *object_disown(struct conform_object *o);
/* Checks, wipes the ids, frees, checks errno. */
void object_free(struct conform_object *o);

/* A small generator of its own for each caller; seeded from options->seed and a number. */
struct conform_random {
	uint64_t state;
};
void conform_random_seed(struct conform_random *r, uint64_t seed, uint64_t stream);
uint64_t conform_random_next(struct conform_random *r);
/* 0 .. n - 1 */
size_t conform_random_below(struct conform_random *r, size_t n);

/* The case `name` by itself, in this process; the hidden subcommand `uslub conform-case`. */
int conform_case_main(int argc, char **argv);
/* `uslub conform`. */
int conform_main(int argc, char **argv);

/* All cases: entry number `index`, or NULL behind the last one. */
const struct conform_case *conform_case_at(size_t index);

/* Resident bytes of the process, read without stdio or malloc; for cases about memory left behind. */
size_t conform_resident(void);

#endif
