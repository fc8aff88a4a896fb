/*
 * A log that can't be written, or not so fast: bounds and what is dropped, a slow reader, a closed pipe, a full
 * disk, no memory. Nothing is lost but what is counted.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "logfile.h"

static struct stress_options options = {.seconds = 60, .threads = 1};
static int pipe_fd[2];
static size_t filler_left; /* in the pipe, before the log's text */

/* Opens a pipe as the log, with room for only 4096 bytes, and fills that. */
static void open_full_pipe(const struct siglog_options *how)
{
	static char filler[4096];

	CHECK(pipe2(pipe_fd, O_CLOEXEC) == 0);
	CHECK(fcntl(pipe_fd[1], F_SETPIPE_SZ, 4096) == 4096);
	CHECK(write(pipe_fd[1], filler, sizeof(filler)) == sizeof(filler));
	CHECK(siglog_open_fd(pipe_fd[1], how) == 0);
	close(pipe_fd[1]);
	filler_left = sizeof(filler);
}

/* Reads until the log's end is closed. */
static void *read_all(void *log)
{
	size_t room = (size_t)16 << 20, length = 0;
	char *start = malloc(room);
	ssize_t n;

	CHECK(start);
	while ((n = read(pipe_fd[0], start + length, room - length)) > 0)
		length += (size_t)n;
	CHECK(n == 0 && length >= filler_left);
	length -= filler_left;
	memmove(start, start + filler_left, length);
	log_take(log, start, length);
	return NULL;
}

static void close_and_read(struct log_text *log)
{
	pthread_t reader;

	CHECK(pthread_create(&reader, NULL, read_all, log) == 0);
	CHECK(siglog_close() == 0);
	CHECK(pthread_join(reader, NULL) == 0);
	close(pipe_fd[0]);
}

/* Texts "0" to "n - 1" without gaps but where a notice says how many are missing. */
static unsigned long check_gaps(struct log_text *log, unsigned long n)
{
	unsigned long next = 0, told = 0, count, all;
	struct log_line line;

	while (log_next(log, &line)) {
		if (sscanf(line.text, "%lu records dropped, %lu in all", &count, &all) == 2) {
			told += count;
			next += count;
			CHECK(strcmp(line.level, "WARNING") == 0 && all >= told);
			continue;
		}
		CHECK_THAT(strtoul(line.text, NULL, 10) == next, "%s instead of %lu", line.text,
			   next);
		next++;
	}
	CHECK_THAT(next == n, "%lu of %lu", next, n);
	return told;
}

static void test_bound(size_t records, size_t bytes)
{
	struct siglog_options how = {SIGLOG_INFO, records, bytes, 1};
	unsigned long dropped = 0;
	struct log_text log;

	open_full_pipe(&how);
	for (unsigned long i = 0; i < 1000; i++) {
		int result = siglog_printf(SIGLOG_INFO, "%lu", i);

		CHECK(result == 0 || result == -ENOBUFS);
		dropped += result != 0;
		CHECK(siglog_dropped() == dropped);
		if (i == 500) {
			char page[4096];

			CHECK(read(pipe_fd[0], page, sizeof(page)) == sizeof(page));
			filler_left = 0;
		}
	}
	CHECK(dropped > 100);
	CHECK(records == 0 || siglog_queued(NULL) <= records + 3);
	CHECK(siglog_flush(0) == -ETIMEDOUT);
	close_and_read(&log);
	CHECK(check_gaps(&log, 1000) == dropped);
	log_free(&log);
}

/* The bound is exact, and may change. */
static void test_notices(void)
{
	struct siglog_options how = {SIGLOG_INFO, 20, 0, 1};
	struct log_text log;
	unsigned long dropped;

	open_full_pipe(&how);
	for (unsigned long i = 0; i < 100; i++)
		siglog_printf(SIGLOG_INFO, "%lu", i);
	CHECK(siglog_dropped() == 80 && siglog_queued(NULL) == 20);
	siglog_set_bound(40, 0);
	for (unsigned long i = 100; i < 110; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%lu", i) == 0);
	siglog_set_bound(1, 0);
	for (unsigned long i = 110; i < 115; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%lu", i) == -ENOBUFS);
	dropped = siglog_dropped();
	CHECK(dropped == 85);
	close_and_read(&log);
	CHECK(check_gaps(&log, 115) == dropped);
	log_free(&log);
}

/* Nobody reads any more: no signal, an error, and nothing leaves the queue. */
static void test_closed_pipe(void)
{
	sigset_t pending;

	open_full_pipe(NULL);
	close(pipe_fd[0]);
	CHECK(siglog_printf(SIGLOG_INFO, "nobody") == 0);
	CHECK(siglog_error() == EPIPE && siglog_queued(NULL) == 1);
	CHECK(siglog_flush(10) == -EPIPE);
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
	CHECK(siglog_close() == -EPIPE && siglog_dropped() == 1);
}

static void test_full_disk(void)
{
	CHECK(siglog_open("/dev/full", NULL) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%d", i) == 0);
	CHECK(siglog_error() == ENOSPC && siglog_queued(NULL) == 10 && siglog_dropped() == 0);
	CHECK(siglog_flush(10) == -ENOSPC);
	CHECK(siglog_crash() == -ENOSPC);
	CHECK(siglog_printf(SIGLOG_INFO, "direct") == -ENOBUFS && siglog_dropped() == 1);
	CHECK(siglog_close() == -ENOSPC && siglog_dropped() == 11);
}

/* A disk that is full for a while, in the middle of a line: the rest follows. */
static void test_partial(void)
{
	struct rlimit limit, small;
	int fd = log_open(NULL);

	signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	small = limit;
	small.rlim_cur = 100;
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	for (int i = 0; i < 5; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%d", i) == 0);
	CHECK(siglog_error() == EFBIG);
	CHECK(siglog_flush(0) == -EFBIG);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(siglog_flush(0) == 0 && siglog_error() == 0);
	log_expect(fd, "0", "1", "2", "3", "4", NULL);
	CHECK(siglog_close() == 0);
	close(fd);
}

static void *read_slowly(void *log)
{
	size_t room = (size_t)1 << 20, length = 0;
	char *start = malloc(room);
	ssize_t n;

	CHECK(start);
	while ((n = read(pipe_fd[0], start + length, 777)) > 0) {
		length += (size_t)n;
		usleep(300);
	}
	log_take(log, start, length);
	return NULL;
}

static void test_slow_reader(void)
{
	struct siglog_options how = {SIGLOG_INFO, 0, 0, 1};
	struct log_text log;
	pthread_t reader;
	uint64_t start;

	CHECK(pipe2(pipe_fd, O_CLOEXEC) == 0);
	CHECK(fcntl(pipe_fd[1], F_SETPIPE_SZ, 4096) == 4096);
	CHECK(siglog_open_fd(pipe_fd[1], &how) == 0);
	close(pipe_fd[1]);
	CHECK(pthread_create(&reader, NULL, read_slowly, &log) == 0);
	start = now_ns();
	for (int i = 0; i < 5000; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%d", i) == 0);
	/* No call has waited for the reader, who takes 77 ms for 200 KB at the least. */
	printf("5000 records in %lu us, %zu queued\n", (unsigned long)(now_ns() - start) / 1000,
	       siglog_queued(NULL));
	CHECK(siglog_queued(NULL) > 100);
	CHECK(siglog_flush(20000) == 0 && siglog_close() == 0);
	CHECK(pthread_join(reader, NULL) == 0);
	CHECK(check_gaps(&log, 5000) == 0);
	log_free(&log);
	close(pipe_fd[0]);
}

/* In a process that gets no more memory: the reserve, then drops that are counted. */
static void no_memory(void)
{
	struct rlimit limit = {0, 0};
	unsigned long queued = 0, i;
	struct siglog_options how = {SIGLOG_INFO, 0, 0, SIGLOG_NEVER};
	int fd = log_open(&how);

	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	for (i = 0; siglog_printf(SIGLOG_INFO, "%lu", i) == 0; i++)
		queued++;
	CHECK(siglog_dropped() == 1 && siglog_queued(NULL) == queued && queued > 16);
	for (i++; i < queued + 10; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%lu", i) == -ENOBUFS);
	CHECK(siglog_dropped() == 10);
	CHECK(siglog_flush(0) == 0 && siglog_queued(NULL) <= 1);
	CHECK(siglog_printf(SIGLOG_INFO, "%lu", i) == 0);
	CHECK(siglog_flush(0) == 0);
	_exit(fd < 0);
}

static void test_no_memory(void)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0)
		no_memory();
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_THAT(status == 0, "status %#x", status);
}

int main(int argc, char **argv)
{
	stress_parse(&options, argc, argv);
	stress_watchdog(90);
	test_bound(10, 0);
	test_bound(0, 5000);
	test_bound(50, 20000);
	test_notices();
	test_closed_pipe();
	test_full_disk();
	test_partial();
	test_slow_reader();
	/* An emulator needs memory of its own. */
	if (!emulated())
		test_no_memory();
	return 0;
}
