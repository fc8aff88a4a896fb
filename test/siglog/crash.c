/*
 * Crash handlers, on an alternate stack, in processes of their own: every record whose call had returned is
 * in the file, in its thread's order, and the crash's line, however the log was drained and by whom: also
 * where the drainer is stopped for good, and all others lose patience at one time.
 * --count is how many processes crash.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "logfile.h"

enum { THREADS = 3, CROWD = 12, STACK = 32768, STUCK = 10 };

/* Shared with the process that crashes: how far each thread's calls have returned. */
struct progress {
	_Atomic unsigned long returned[CROWD];
};

/* One process. */
struct crash {
	size_t batch;
	bool own_fault, stuck;
	unsigned int threads;
};

static struct stress_options options = {.seconds = 60, .threads = THREADS, .count = 60};
static struct progress *progress;
static struct random rng;
static _Atomic bool parked;

static void on_crash(int signal)
{
	siglog_crash();
	siglog_printf(SIGLOG_FATAL, "crash by signal %d", signal);
	_exit(3);
}

__attribute__((noreturn)) static void *work(void *number)
{
	unsigned int self = (unsigned int)(uintptr_t)number;

	for (unsigned long i = 0;; i++) {
		siglog_printf(SIGLOG_INFO, "%u %lu |", self, i);
		progress->returned[self] = i + 1;
	}
}

static void park(int signal)
{
	(void)signal;
	parked = true;
	while (parked)
		usleep(1000);
}

/* Until it is in the middle of the drain: then a record of this one stays queued. */
static void stop_in_drain(pthread_t thread)
{
	struct sigaction action = {.sa_handler = park};

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	do {
		parked = false;
		usleep(1000);
		CHECK(pthread_kill(thread, SIGUSR1) == 0);
		while (!parked)
			usleep(10);
	} while (siglog_flush(0) != -ETIMEDOUT);
}

static void crash(const struct crash *how)
{
	static char stack[STACK];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
	pthread_t thread;

	CHECK(sigaltstack(&alternate, NULL) == 0);
	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	CHECK(sigaction(SIGTERM, &action, NULL) == 0);
	for (uintptr_t i = 0; i < how->threads; i++) {
		CHECK(pthread_create(&thread, NULL, work, (void *)i) == 0);
		if (i == 0 && how->stuck)
			stop_in_drain(thread);
	}
	usleep((useconds_t)(1000 + random_below(&rng, 20000)));
	/* Else it is a thread that is just logging, most likely. */
	if (how->own_fault)
		*(volatile int *)opaque(NULL) = 0;
	pthread_kill(thread, SIGTERM);
	for (;;)
		pause();
}

/* The process ends while other threads write: the kernel leaves the last of their writes at a page's end. */
static void drop_unfinished(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';

	while (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n')
		end--;
	CHECK(ftruncate(fd, end) == 0);
}

static void check_file(int fd, unsigned long *doubles)
{
	unsigned long next[CROWD] = {0}, n;
	struct log_text log;
	struct log_line line;
	unsigned int thread;
	bool crashed = false;

	drop_unfinished(fd);
	log_read(&log, fd);
	while (log_next(&log, &line)) {
		if (strncmp(line.text, "crash by", 8) == 0) {
			CHECK(!crashed);
			crashed = true;
			continue;
		}
		CHECK(sscanf(line.text, "%u %lu |", &thread, &n) == 2 && thread < CROWD);
		CHECK_THAT(n <= next[thread], "%s, not %lu", line.text, next[thread]);
		*doubles += n < next[thread];
		next[thread] = n == next[thread] ? n + 1 : next[thread];
	}
	CHECK(crashed);
	for (unsigned int i = 0; i < CROWD; i++)
		CHECK_THAT(next[i] >= progress->returned[i], "thread %u: %lu of %lu", i, next[i],
			   progress->returned[i]);
	log_free(&log);
}

static unsigned long crash_once(const struct crash *how)
{
	struct siglog_options log = {SIGLOG_INFO, 0, 0, how->batch};
	unsigned long doubles = 0;
	int fd = log_file();
	int status;
	pid_t child;

	memset(progress, 0, sizeof(*progress));
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(siglog_open_fd(fd, &log) == 0);
		crash(how);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_THAT(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %#x", status);
	check_file(fd, &doubles);
	close(fd);
	return doubles;
}

int main(int argc, char **argv)
{
	static const size_t batches[] = {1, 64, SIGLOG_NEVER};
	unsigned long doubles = 0;

	stress_parse(&options, argc, argv);
	stress_watchdog(options.seconds + 60);
	random_seed(&rng, options.seed, 0);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	CHECK(progress != MAP_FAILED);
	for (unsigned long i = 0; i < options.count; i++) {
		struct crash how = {batches[i % 3], i / 3 % 2 == 0, i % STUCK == STUCK - 1,
				    THREADS};

		/* The first of these drains whatever it logs. */
		if (how.stuck)
			how = (struct crash){1, how.own_fault, true, CROWD};
		random_next(&rng);
		doubles += crash_once(&how);
	}
	printf("%lu crashes, %lu lines twice\n", options.count, doubles);
	return 0;
}
