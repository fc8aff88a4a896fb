// SPDX-License-Identifier: MIT
/*
 * Records a second of siglog, from normal code and from handlers, beside what a program could do instead:
 *
 *   write      a line copied into a fixed buffer, and a write(2) for it: what a handler may do anyway
 *   snprintf   the same line by clock_gettime(), snprintf() and write(2): no handler may do that
 *   siglog     siglog_printf(): each call drains; or in batches of 64; or drained by a thread
 *
 * All lines are of about the same length, to the same file. From handlers: each record is logged by a handler that
 * raise(2) runs; "raise" is what that costs without a record. The rounds take turns at the rows.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "uslub/siglog.h"

enum { MAX_ROUNDS = 99 };

static const char fixed_line[] =
	"2026-11-20T10:09:36.123456Z 1234567/1234567 #1234567 INFO request 1234567 took 1234 us\n";

static long records = 200000;
static int rounds = 7;
static const char *path = "/tmp/siglog-bench";
static int fd;
static volatile long current;
static void (*volatile handled)(long);
static atomic_bool drained;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
	fprintf(stderr, "siglog bench: %s\n", what);
	exit(2);
}

static void log_nothing(long i)
{
	(void)i;
}

static void log_write(long i)
{
	char line[sizeof(fixed_line)];

	(void)i;
	memcpy(line, fixed_line, sizeof(line));
	if (write(fd, line, sizeof(line) - 1) != sizeof(line) - 1)
		fail("write");
}

static void log_snprintf(long i)
{
	char line[200];
	struct timespec now;
	struct tm tm;
	int length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	length = snprintf(line, sizeof(line),
			  "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ %07d/%07d #%07ld INFO request %ld "
			  "took %d us\n",
			  tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			  tm.tm_sec, now.tv_nsec / 1000, 1234567, 1234567, i, 1000000 + i, 1234);
	if (write(fd, line, (size_t)length) != length)
		fail("write");
}

static void log_siglog(long i)
{
	if (siglog_printf(SIGLOG_INFO, "request %ld took %d us", 1000000 + i, 1234) != 0)
		fail("siglog_printf");
}

static void on_signal(int signal)
{
	(void)signal;
	handled(current);
}

static void *drain(void *unused)
{
	(void)unused;
	while (!drained) {
		siglog_flush(100);
		usleep(200);
	}
	return NULL;
}

struct row {
	const char *name;
	void (*log)(long);
	bool handler;
	size_t batch; /* of siglog; 0: it is not siglog */
	double rate[MAX_ROUNDS];
};

static struct row rows[] = {
	{"write", log_write, false, 0, {0}},
	{"snprintf", log_snprintf, false, 0, {0}},
	{"siglog", log_siglog, false, 1, {0}},
	{"siglog/batch", log_siglog, false, 64, {0}},
	{"siglog/thread", log_siglog, false, SIGLOG_NEVER, {0}},
	{"handler/raise", log_nothing, true, 0, {0}},
	{"handler/write", log_write, true, 0, {0}},
	{"handler/siglog", log_siglog, true, 1, {0}},
	{"handler/siglog/batch", log_siglog, true, 64, {0}},
	{"handler/siglog/thread", log_siglog, true, SIGLOG_NEVER, {0}},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void run_records(const struct row *row)
{
	handled = row->log;
	for (long i = 0; i < records; i++) {
		current = i;
		if (row->handler)
			raise(SIGUSR1);
		else
			row->log(i);
	}
}

/* Until the last record is in the file. */
static double run(const struct row *row)
{
	struct siglog_options options = {SIGLOG_INFO, 0, 0, row->batch};
	pthread_t thread;
	double start, end;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || (row->batch && siglog_open_fd(fd, &options) != 0))
		fail("the file can't be opened");
	drained = false;
	start = seconds();
	if (row->batch == SIGLOG_NEVER && pthread_create(&thread, NULL, drain, NULL) != 0)
		fail("no thread");
	run_records(row);
	drained = true;
	if (row->batch == SIGLOG_NEVER)
		pthread_join(thread, NULL);
	if (row->batch && siglog_flush(-1) != 0)
		fail("siglog_flush");
	end = seconds();
	if (row->batch && (siglog_dropped() || siglog_close() != 0))
		fail("records were dropped");
	close(fd);
	return (double)records / (end - start);
}

static int by_value(const void *a, const void *b)
{
	const double *x = (const double *)a, *y = (const double *)b;

	return (*x > *y) - (*x < *y);
}

static void report(bool json)
{
	double *base = rows[0].rate;

	qsort(base, (size_t)rounds, sizeof(double), by_value);
	if (!json)
		printf("%-24s %10s %10s %10s %9s\n", "row", "records/s", "least", "most",
		       "/ write");
	for (int i = 0; i < ROWS; i++) {
		double *rate = rows[i].rate;
		const char *form = "%-24s %10.0f %10.0f %10.0f %9.2f\n";

		if (i > 0)
			qsort(rate, (size_t)rounds, sizeof(double), by_value);
		if (json)
			form = "{\"row\": \"%s\", \"rate\": %.0f, \"least\": %.0f, \"most\": %.0f, "
			       "\"to_write\": %.3f}\n";
		printf(form, rows[i].name, rate[rounds / 2], rate[0], rate[rounds - 1],
		       rate[rounds / 2] / base[rounds / 2]);
	}
}

static long number(const char *text, long most)
{
	char *end;
	long n = text ? strtol(text, &end, 10) : 0;

	if (!text || *end || n < 1 || n > most)
		fail("a number is missing, or out of range: see --help");
	return n;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--records") == 0)
			records = number(argv[++i], 100000000);
		else if (strcmp(argv[i], "--rounds") == 0)
			rounds = (int)number(argv[++i], MAX_ROUNDS);
		else if (strcmp(argv[i], "--file") == 0 && argv[i + 1])
			path = argv[++i];
		else if (strcmp(argv[i], "--json") == 0)
			json = true;
		else {
			printf("Usage: siglog_bench [--records N] [--rounds N] [--file PATH] "
			       "[--json]\n");
			return strcmp(argv[i], "--help") == 0 ? 0 : 2;
		}
	}
	if (sigaction(SIGUSR1, &action, NULL) != 0)
		fail("sigaction");
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < ROWS; i++)
			rows[i].rate[round] = run(&rows[i]);
	}
	unlink(path);
	report(json);
	return 0;
}
