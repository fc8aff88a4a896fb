/*
 * What the environment variable USLUB sets. Layer: os. Read by frame, numa, report, preload; written once,
 * before main, by options_parse().
 */
#ifndef USLUB_OPTIONS_H
#define USLUB_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "numa_policy.h"

enum on_error { ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR_IGNORE };
enum foreign { FOREIGN_FORWARD, FOREIGN_REPORT, FOREIGN_IGNORE };

#define OPTION_TEXT 256 /* bytes that a text may have, with a zero behind it */

struct options {
	uint32_t purge_delay_ms;   /* free memory goes back to the kernel after about this time */
	uint32_t on_error;	   /* enum on_error */
	uint32_t foreign;	   /* enum foreign: what free() does with memory that isn't ours */
	uint32_t reserve_kib;	   /* set aside for uslub_malloc_nolock() */
	uint32_t stats;		   /* print what each cache holds when the process exits */
	char control[OPTION_TEXT]; /* directory of the control files' socket; "": none */
	uint32_t nodes;		   /* simulated ones; 0: the machine's own */
	uint32_t policy;	   /* enum policy_mode */
	/* The policy's list of nodes, as policy_parse() has found it good; "": none. */
	char policy_nodes[OPTION_TEXT];
	/* Of the simulated nodes, as numa_topology_simulate() reads them. */
	char distance[OPTION_TEXT], node_sizes[OPTION_TEXT], node_cpus[OPTION_TEXT];
};

extern struct options options __attribute__((visibility("hidden")));

/*
 * Parses `key:value,key:value`. What it doesn't understand it names on stderr, with the nearest valid
 * word, and goes on. Allocates nothing.
 */
void options_parse(const char *text);
/* Says on stderr that an option can't be met. */
void options_note(const char *what);

#endif
