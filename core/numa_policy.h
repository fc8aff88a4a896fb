/*
 * The words for where memory is to come from. Layer: os. Called by options, and by the control file that changes the
 * policy.
 */
#ifndef USLUB_NUMA_POLICY_H
#define USLUB_NUMA_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "id_set.h"

enum policy_mode {
	POLICY_DEFAULT,	   /* as the process was started; no word says so */
	POLICY_LOCAL,	   /* local */
	POLICY_PREFERRED,  /* preferred:1 */
	POLICY_BIND,	   /* bind:0,2-3 */
	POLICY_INTERLEAVE, /* interleave, or interleave:0-3 */
};

/*
 * True: *nodes are those that were named, below MAX_NODES, whether they exist or not: for
 * preferred one, for bind at least one; none for local, and for interleave where it is to be all. False: it is none of
 * these words, and nothing has been written.
 */
bool policy_parse(const char *text, size_t len, enum policy_mode *mode, struct id_set *nodes);

#endif
