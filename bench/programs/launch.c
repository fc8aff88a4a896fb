// SPDX-License-Identifier: MIT
/*
 * Runs one program and says what it took: the wrapper of bench/comparelib/programs_run.py.
 *
 *	launch REPORT PRELOAD UID:GID LD_DEBUG-PREFIX PROGRAM [ARGUMENT]...
 *
 * "-" stands for none of PRELOAD, UID:GID or LD_DEBUG-PREFIX. The preload is set for PROGRAM alone.
 * REPORT gets one line: exit status (negative: the signal), seconds on the wall, user and system
 * seconds, peak resident KiB of the largest process, minor and major page faults. All but the wall
 * are of the whole tree of processes: orphans come to this one. SIGTERM is passed on as SIGINT.
 *
 * It is a small program of its own because the kernel counts what a process was before its exec: of
 * a fork of Python no peak below Python's could be told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPORT = 1, PRELOAD, USER, DEBUG, PROGRAM };

static volatile sig_atomic_t child;

static void pass_on(int signal)
{
	int saved = errno;

	(void)signal;
	if (child > 0)
		kill(child, SIGINT);
	errno = saved;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	_exit(127);
}

static int given(const char *argument)
{
	return strcmp(argument, "-") != 0;
}

static void become(const char *user)
{
	unsigned uid, gid;

	if (sscanf(user, "%u:%u", &uid, &gid) != 2)
		die(user);
	if (setgroups(0, NULL) || setgid(gid) || setuid(uid))
		die("cannot become another user");
}

static void run_program(char **argv)
{
	if (given(argv[USER]))
		become(argv[USER]);
	if (given(argv[DEBUG])) {
		setenv("LD_DEBUG", "bindings", 1);
		setenv("LD_DEBUG_OUTPUT", argv[DEBUG], 1);
	}
	if (given(argv[PRELOAD]))
		setenv("LD_PRELOAD", argv[PRELOAD], 1);
	execvp(argv[PROGRAM], &argv[PROGRAM]);
	die(argv[PROGRAM]);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Waits for the program and for all that it left behind. */
static int wait_for_all(double *end)
{
	int status = 0, other;
	pid_t pid;

	*end = 0;
	while ((pid = wait(&other)) > 0 || errno == EINTR) {
		if (pid != child)
			continue;
		*end = now();
		status = other;
	}
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = pass_on};
	struct rusage usage;
	double begin, end;
	FILE *report;
	int status;

	if (argc <= PROGRAM) {
		fprintf(stderr,
			"usage: launch REPORT PRELOAD UID:GID LD_DEBUG-PREFIX PROGRAM...\n");
		return 127;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGTERM, &action, NULL);
	begin = now();
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		run_program(argv);
	status = wait_for_all(&end);
	getrusage(RUSAGE_CHILDREN, &usage);
	report = fopen(argv[REPORT], "w");
	if (!report ||
	    fprintf(report, "%d %.6f %.6f %.6f %ld %ld %ld\n", status, end - begin,
		    seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss,
		    usage.ru_minflt, usage.ru_majflt) < 0 ||
	    fclose(report))
		die(argv[REPORT]);
	return 0;
}
