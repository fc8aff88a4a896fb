/*
 * What the log's tests share: a file in memory as the log, and its lines, each of which must be whole.
 */
#ifndef USLUB_TEST_LOGFILE_H
#define USLUB_TEST_LOGFILE_H

#include "../stress/stress.h"
#include "uslub/siglog.h"

struct log_line {
	int pid, tid;
	unsigned long number;
	char level[8];
	const char *text; /* ends with a zero byte */
};

struct log_text {
	char *start;
	char *at;
	size_t length;
};

/* A new empty file, for appending; lives until the descriptor is closed. */
int log_file(void);
/* The same, open as the log with these options; NULL: the default ones. */
int log_open(const struct siglog_options *options);

/* Reads what the file holds by now. */
void log_read(struct log_text *log, int fd);
/* Takes over text that came from elsewhere, in memory from malloc. */
void log_take(struct log_text *log, char *start, size_t length);
/* The next line; false at the end. A line that is not a whole record ends the test. */
bool log_next(struct log_text *log, struct log_line *line);
void log_free(struct log_text *log);

/* Ends the test unless the file has exactly these texts, in this order; the last is NULL. */
void log_expect(int fd, ...);
/* How many lines the file has; each must be whole. */
size_t log_count(int fd);

#endif
