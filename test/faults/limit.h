/*
 * A limit on memory for the program itself, from its start on; and lists of objects that fill memory up
 * to the limit without any table beside them.
 */
#ifndef USLUB_FAULTS_LIMIT_H
#define USLUB_FAULTS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Starts the program again under the limit, `kind` being as or data, unless it is already; returns the
 * limit in bytes. Skips the test where the limit has no effect, as under emulators.
 */
size_t limit_start(char **argv, const char *kind, const char *mib);
void limit_lift(void);

struct filling {
	struct filled *first;
	size_t count;
	size_t bytes; /* that were asked for */
	uint64_t random;
};

/* Sizes from `least` to `most`, small ones as often as in their logarithm's share. */
struct size_mix {
	const char *name;
	size_t least, most;
};

/* Allocates until there is NULL, with ENOMEM. */
void filling_fill(struct filling *f, const struct size_mix *mix);
/* The same up to so many objects. False: NULL came first. */
bool filling_add(struct filling *f, const struct size_mix *mix, size_t objects);
/* Ends the program where a content is not what it was. */
void filling_check(const struct filling *f);
void filling_free_half(struct filling *f);
void filling_free(struct filling *f);

#endif
