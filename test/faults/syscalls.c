/*
 * Makes each system call of the preloaded library fail, in turn: as nth_call.c does for the core, with
 * the real library, and errno. A child process each, whose heap has served the program's start.
 *   syscalls KIND once|on [STRIDE]
 */
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "malloc_heap.h"
#include "proc.h"
#include "trap.h"

#define NOT_REACHED 2
#define CHILD_SECONDS 60
/* What the C library keeps of threads' stacks, and the books of the heap. */
#define RSS_SLACK (8 * MIB)

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void work_through(void)
{
	static struct workload w = {.heap = &malloc_heap};
	size_t used, rss;
	bool reached;

	malloc_trim(0);
	used = in_use();
	rss = rss_bytes();
	trap_install();
	workload_run(&w);
	reached = trap.refused > 0;
	CHECK_THAT(reached || !w.failures, "%u NULLs although nothing was refused", w.failures);
	trap.fail_until = 0;
	workload_check(&w);
	w.no_failures = true;
	workload_run(&w);
	workload_free_all(&w);
	malloc_trim(0);
	CHECK_THAT(in_use() <= used + 64 * KIB, "%zu bytes in use, %zu before", in_use(), used);
	CHECK_THAT(rss_bytes() <= rss + RSS_SLACK, "%zu KiB resident, %zu before",
		   rss_bytes() / KIB, rss / KIB);
	_exit(reached ? 0 : NOT_REACHED);
}

static int run_child(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(CHILD_SECONDS);
		work_through();
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char **argv)
{
	unsigned int stride, cases = 0, bad = 0;
	bool stays;

	CHECK_THAT(argc == 3 || argc == 4, "usage: syscalls KIND once|on [STRIDE]");
	trap.fail = trap_by_name(argv[1]);
	CHECK_THAT(trap.fail < NR_TRAP_CALLS, "there is no call %s", argv[1]);
	stays = !strcmp(argv[2], "on");
	stride = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 1;
	CHECK(stride > 0);
	trap_init(argv);
	for (trap.fail_from = 1;; trap.fail_from += stride) {
		int result;

		trap.fail_until = stays ? UINT32_MAX : trap.fail_from + 1;
		result = run_child();
		if (result == NOT_REACHED)
			break;
		cases++;
		if (!result)
			continue;
		fprintf(stderr, "FAILED: %s %u refused%s: %s %d\n", argv[1], trap.fail_from,
			stays ? ", and all after it" : "", result < 0 ? "signal" : "status",
			result < 0 ? -result : result);
		if (++bad == 8)
			break;
	}
	printf("%s, refused %s: %u cases, %u failed\n", argv[1], argv[2], cases, bad);
	CHECK_THAT(cases, "the workload makes no such call");
	return bad ? 1 : 0;
}
