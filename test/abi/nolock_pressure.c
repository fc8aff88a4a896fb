/*
 * The reserve where it is hard put: full of small slabs that are empty again, when large objects are wanted; set
 * aside only in part; and the promise that a free of a large object of the heap's makes no system call.
 */
#include "no_kernel.h"
#include "proc.h"

#include <sys/wait.h>

#include "uslub/nolock.h"

enum {
	FRAME = 65536,
	NR_SMALL = 16384,
	SLABS_EACH = 7,
	NR_LARGE = 12,
	LARGE = 1000000,
	NR_HEAP = 64
};

static void *objects[NR_SMALL];

static void *get(size_t size)
{
	return uslub_malloc_nolock(size, 0, USLUB_NO_NODE);
}

/* Some slabs of the size, and all of it free again. */
static void fill_and_free(size_t size)
{
	size_t n = FRAME / size * SLABS_EACH;

	CHECK(n <= NR_SMALL);
	for (size_t i = 0; i < n; i++)
		CHECK(objects[i] = get(size));
	for (size_t i = 0; i < n; i++)
		uslub_free_nolock(objects[i]);
}

/* USLUB=reserve:16M */
static void large_after_small(void)
{
	long before;
	char *p;

	for (size_t size = 32; size <= FRAME / 2; size += size / 8 > 16 ? size / 8 : 16)
		fill_and_free(size);
	forbid_system_calls();
	before = minor_faults();
	for (unsigned int i = 0; i < NR_LARGE; i++) {
		CHECK(p = get(LARGE));
		memset(p, 1, LARGE);
	}
	CHECK_THAT(minor_faults() == before, "%ld page faults", minor_faults() - before);
}

/* USLUB=reserve:1M,purge_delay:...: what is freed here is the heap's, and a purge of it is due. */
static void large_free_makes_no_call(void)
{
	for (unsigned int i = 0; i < NR_HEAP; i++) {
		CHECK(objects[i] = get(MIB));
		memset(objects[i], 1, MIB);
	}
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < NR_HEAP / 4; i++)
			uslub_free_nolock(objects[round * (NR_HEAP / 4) + i]);
		sleep_ms(100);
	}
	forbid_system_calls();
	for (unsigned int i = NR_HEAP / 4 * 3; i < NR_HEAP; i++)
		uslub_free_nolock(objects[i]);
}

/* In the process that got only a part of the reserve. */
static void small_of_a_part(void)
{
	static char warm[LARGE];
	long before;
	char *p;

	/* The code at least has to be there. */
	CHECK(p = get(100));
	memset(warm, 1, LARGE);
	memset(p, 1, 100);
	(void)minor_faults();
	forbid_system_calls();
	before = minor_faults();
	for (unsigned int i = 0; i < 4 * MIB / 1024; i++) {
		CHECK(p = get(1024));
		memset(p, 1, 1024);
	}
	CHECK_THAT(minor_faults() == before, "%ld page faults", minor_faults() - before);
	for (unsigned int i = 0; i < 4; i++) {
		CHECK(p = get(LARGE));
		memset(p, 1, LARGE);
	}
	CHECK_THAT(minor_faults() == before, "%ld page faults", minor_faults() - before);
}

__attribute__((noreturn)) static void run_with_little_room(const int pipe_ends[2], char *self)
{
	const struct rlimit limit = {160 * MIB, 160 * MIB};
	char part[] = "part";
	char *const words[] = {self, part, NULL};

	CHECK(dup2(pipe_ends[1], STDERR_FILENO) == STDERR_FILENO);
	CHECK(setenv("USLUB", "reserve:256M", 1) == 0);
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	execv("/proc/self/exe", words);
	_exit(1);
}

static void part_of_a_reserve_serves(char *self)
{
	char text[4096] = "";
	int pipe_ends[2], status;
	size_t len = 0;
	ssize_t got;
	pid_t child;

	CHECK(pipe(pipe_ends) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		run_with_little_room(pipe_ends, self);
	close(pipe_ends[1]);
	while ((got = read(pipe_ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)got;
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_THAT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x, stderr: %s", status,
		   text);
	CHECK_THAT(strstr(text, "reserve: not all of it could be set aside"), "stderr: %s", text);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (emulated())
		skip("an emulator has no seccomp, and needs address space itself");
	if (!strcmp(what, "large_after_small"))
		large_after_small();
	else if (!strcmp(what, "large_free"))
		large_free_makes_no_call();
	else if (!strcmp(what, "part"))
		small_of_a_part();
	else if (!strcmp(what, "part_of_a_reserve"))
		part_of_a_reserve_serves(argv[0]);
	else
		CHECK_THAT(false, "unknown: %s", what);
	_exit(0);
}
