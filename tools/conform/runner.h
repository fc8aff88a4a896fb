/*
 * What the runner's files share: the result of a case, and how a case's process is spoken to. Layer:
 * tools. Included by command.c, runner.c, report.c and case.c.
 */
#ifndef USLUB_RUNNER_H
#define USLUB_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "conform.h"

/* A case's process writes its figures here. */
#define CASE_REPORT_FD 3
#define CASE_SUBCOMMAND "conform-case"

/* Exit statuses of a case's process that are about the process and not about the library. */
enum { CASE_USAGE = 2, CASE_OTHER_MALLOC = 90, CASE_NOT_STARTED = 91 };

enum word {
	WORD_PASS,
	WORD_HANG,
	WORD_CRASH,
	WORD_CORRUPT,
	WORD_FAIL,
	WORD_UNABLE,
	WORD_ABSENT,
	NR_WORDS,
};

struct result {
	const struct conform_case *c;
	enum word word;
	int signal;	  /* of a crash */
	double seconds;	  /* by the clock */
	char notes[1024]; /* lines of "name figure" */
	char output[512]; /* where it didn't pass: what it wrote, the start of it */
};

/* What `uslub conform` was asked for. */
struct request {
	struct conform_options options;
	const char *library;  /* for LD_PRELOAD; "" for the C library's own */
	const char *emulator; /* words before the program's, or NULL */
	const char *json;     /* file to write, or NULL */
	const char **globs;
	size_t nr_globs;
	unsigned int jobs;
	unsigned int patience; /* multiplies every time limit */
	char malloc_path[512]; /* where malloc was found */
};

const char *word_name(enum word word);

/* Fills in malloc_path; false, with a message on stderr, where the library is not the one in use. */
bool runner_find_malloc(struct request *request);
/* Runs the cases; calls `done` for each as it ends, in the order of their ends. */
void runner_run(const struct request *request, const struct conform_case *const *cases, size_t n,
		void (*done)(const struct result *result, void *arg), void *arg);

/* Seconds of processor time that a process group has had. */
double usage_of_group(pid_t group);

void report_line(const struct result *result);
void report_total(const size_t *counts, double seconds);
/* False, with a message, where the file can't be written. */
bool report_json(const struct request *request, const struct result *results, size_t n);

#endif
