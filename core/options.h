/*
 * What the environment variable USLUB sets. Layer: os. Read by frame, report, preload; written once,
 * before main, by options_parse().
 */
#ifndef USLUB_OPTIONS_H
#define USLUB_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum on_error { ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR_IGNORE };
enum foreign { FOREIGN_FORWARD, FOREIGN_REPORT, FOREIGN_IGNORE };

struct options {
	uint32_t purge_delay_ms; /* free memory goes back to the kernel after about this time */
	uint32_t on_error;	 /* enum on_error */
	uint32_t foreign;	 /* enum foreign: what free() does with memory that isn't ours */
	uint32_t reserve_kib;	 /* set aside for uslub_malloc_nolock() */
	uint32_t stats;		 /* print what each cache holds when the process exits */
	char control[256];	 /* directory of the control files' socket; "": none */
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
