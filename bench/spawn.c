// SPDX-License-Identifier: MIT
/*
 * Starts a program many times, with one library preloaded after another, and prints what each start took.
 * Run by bench/compare startup.
 *
 * A small process of its own: what the caller is must not weigh on the time that a new process takes.
 */
#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

#include "process.h"
#include "workload.h"

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000u + (uint64_t)time->tv_usec;
}

static void start(const char *program, const char *library, size_t which)
{
	char preload[4096 + sizeof("LD_PRELOAD=")];
	char path[] = "PATH=/usr/bin:/bin";
	char *environment[] = {path, strcmp(library, "-") != 0 ? preload : NULL, NULL};
	char *arguments[] = {(char *)(uintptr_t)program, NULL};
	uint64_t begin, end;
	struct rusage usage;
	int error, status;
	pid_t child;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
	begin = now_ns();
	error = posix_spawn(&child, program, NULL, NULL, arguments, environment);
	if (error)
		die("spawn: %s: %s\n", program, strerror(error));
	if (wait4(child, &status, 0, &usage) != child || status != 0)
		die("spawn: %s ended badly under %s\n", program, library);
	end = now_ns();
	say("start %zu %llu %llu %ld\n", which, (unsigned long long)(end - begin),
	    (unsigned long long)(microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime)),
	    usage.ru_minflt + usage.ru_majflt);
}

int main(int argc, char **argv)
{
	size_t rounds, libraries;

	if (argc < 4)
		die("usage: spawn ROUNDS PROGRAM LIBRARY|-...\n");
	rounds = number(argv[1], "ROUNDS");
	libraries = (size_t)argc - 3;
	bench_processors();
	bench_pin(0);
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < libraries; i++) {
			size_t which = (round + i) % libraries;

			start(argv[2], argv[3 + which], which);
		}
	return 0;
}
