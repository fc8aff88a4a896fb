/*
 * What the stress tests share: options, random numbers, and objects that know what they are.
 *
 * An object's record lies outside of it. The object holds its id at both ends and a pattern
 * between them, all of which must still stand there when it is freed: an object that was handed
 * out twice, or overwritten by a neighbour or by the allocator, is found at the latest then.
 */
#ifndef USLUB_STRESS_H
#define USLUB_STRESS_H

#include <stdatomic.h>

#include "proc.h"

struct stress_options {
	unsigned int seconds; /* how long; --seconds or STRESS_SECONDS */
	unsigned int threads; /* --threads */
	unsigned long count;  /* --count; each test says of what */
	uint64_t seed;	      /* --seed; else from the clock, and printed */
	const char *mix;      /* --mix; each test says which there are */
};

/* Replaces the defaults by what the command line and the environment say, and prints them. */
void stress_parse(struct stress_options *options, int argc, char **argv);

/* Whether the time of stress_parse() is not over yet; looks at the clock now and then only. */
bool stress_running(void);
/* The same, for those whose steps are long: looks at the clock each time. */
bool stress_running_now(void);

/* Ends the process loudly if it hangs: far beyond the time that stress_parse() got. */
void stress_watchdog(unsigned int more_seconds);

/* At the end, when the test has freed all: as much is in use as was at stress_parse(). */
void stress_check_all_freed(void);

struct random {
	uint64_t state;
};

void random_seed(struct random *r, uint64_t seed, uint64_t stream);
uint64_t random_next(struct random *r);
/* Below n; n > 0. */
size_t random_below(struct random *r, size_t n);

enum object_mix { MIX_ALL, MIX_SMALL, MIX_REALLOC, MIX_ALIGNED };

/* Lives with whoever holds the object; empty where p is NULL. */
struct record {
	unsigned char *p;
	size_t size;
	uint64_t id;
};

/* An object of random size from a random function of the malloc family, filled. */
void object_make(struct record *o, struct random *r, enum object_mix mix);
/* The same with malloc and a given size. */
void object_make_sized(struct record *o, struct random *r, size_t size);
/* Ends the program where the object is not what it was. */
void object_check(const struct record *o);
/* realloc to another size: the content stays as far as both sizes go. */
void object_resize(struct record *o, struct random *r, enum object_mix mix);
/* Checks, then frees in one of the ways there are. */
void object_free(struct record *o, struct random *r);

#endif
