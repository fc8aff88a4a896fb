/*
 * The log's lines and calls, without any trouble: shape, escapes, levels, batches, errors, exit.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "logfile.h"

static const struct siglog_options never = {SIGLOG_INFO, 0, 0, SIGLOG_NEVER};

static void test_closed(void)
{
	errno = 77;
	CHECK(siglog_printf(SIGLOG_ERROR, "nowhere") == -EBADF);
	CHECK(siglog_flush(0) == -EBADF);
	CHECK(siglog_crash() == -EBADF);
	CHECK(siglog_close() == -EBADF);
	CHECK(siglog_open_fd(-1, NULL) == -EBADF);
	CHECK(siglog_open("/nonexistent/log", NULL) == -ENOENT);
	CHECK(siglog_open(NULL, NULL) == -EINVAL);
	CHECK(siglog_dropped() == 0 && siglog_queued(NULL) == 0);
	CHECK(errno == 77);
}

/* Not time(), whose clock may be some milliseconds behind the log's. */
static time_t now(void)
{
	struct timespec t;

	CHECK(!clock_gettime(CLOCK_REALTIME, &t));
	return t.tv_sec;
}

static void test_line(void)
{
	time_t before = now();
	int fd = log_open(NULL);
	struct log_text log;
	struct log_line line;
	struct tm tm = {0};

	CHECK(siglog_printf(SIGLOG_INFO, "%d %s", 42, "text") == 0);
	CHECK(siglog_printf(SIGLOG_FATAL, "second") == 0);
	log_read(&log, fd);
	CHECK(strptime(log.at, "%Y-%m-%dT%H:%M:%S", &tm));
	CHECK(timegm(&tm) >= before && timegm(&tm) <= now());
	CHECK(log_next(&log, &line));
	CHECK(line.pid == getpid() && line.tid == syscall(SYS_gettid) && line.number == 1);
	CHECK(strcmp(line.level, "INFO") == 0 && strcmp(line.text, "42 text") == 0);
	CHECK(log_next(&log, &line));
	CHECK(line.number == 2 && strcmp(line.level, "FATAL") == 0);
	log_free(&log);
	CHECK(siglog_open_fd(fd, NULL) == -EBUSY && siglog_open("/dev/null", NULL) == -EBUSY);
	CHECK(siglog_close() == 0 && siglog_close() == -EBADF);
	close(fd);
}

static void test_escapes(void)
{
	int fd = log_open(NULL);

	siglog_printf(SIGLOG_INFO, "one newline at the end\n");
	siglog_printf(SIGLOG_INFO, "two\n\n");
	siglog_printf(SIGLOG_INFO, "%s", "forged\n2026-01-01T00:00:00.000000Z 1/1 #1 INFO x");
	siglog_printf(SIGLOG_INFO, "\x1b[31m\r\t\x7f\x01%c", 0);
	siglog_printf(SIGLOG_INFO, "\xc3\xbc \\n");
	siglog_printf(SIGLOG_INFO, "%s", "");
	log_expect(fd, "one newline at the end", "two\\n",
		   "forged\\n2026-01-01T00:00:00.000000Z 1/1 #1 INFO x",
		   "\\x1b[31m\\r\t\\x7f\\x01\\x00", "\xc3\xbc \\n", "", NULL);
	CHECK(siglog_close() == 0);
	close(fd);
}

/* Of every length around the guess of memory and the limit. */
static void test_lengths(void)
{
	int fd = log_open(NULL);
	char *text = malloc(6000);
	struct log_text log;
	struct log_line line;

	CHECK(text);
	memset(text, 'x', 6000);
	for (int length = 0; length < 5000; length++)
		CHECK(siglog_printf(SIGLOG_INFO, "%.*s", length, text) == 0);
	log_read(&log, fd);
	for (size_t length = 0; length < 5000; length++) {
		CHECK(log_next(&log, &line));
		if (strspn(line.text, "x") == length && strlen(line.text) == length)
			continue;
		CHECK_THAT(length > SIGLOG_LINE_MAX - 100, "%zu bytes were cut", length);
		CHECK(strcmp(line.text + strlen(line.text) - 3, "...") == 0);
		CHECK(strspn(line.text, "x") == strlen(line.text) - 3);
	}
	log_free(&log);
	free(text);
	CHECK(siglog_close() == 0);
	close(fd);
}

static void test_levels(void)
{
	int fd = log_open(NULL);

	CHECK(siglog_printf(SIGLOG_DEBUG, "not logged") == 0);
	CHECK(siglog_set_level(SIGLOG_DEBUG) == SIGLOG_INFO);
	CHECK(siglog_printf(SIGLOG_DEBUG, "debug") == 0);
	CHECK(siglog_set_level(SIGLOG_ERROR) == SIGLOG_DEBUG);
	CHECK(siglog_printf(SIGLOG_WARNING, "not logged") == 0);
	CHECK(siglog_printf(SIGLOG_ERROR, "error") == 0);
	log_expect(fd, "debug", "error", NULL);
	CHECK(siglog_close() == 0);
	close(fd);
}

static void test_batch(void)
{
	struct siglog_options ten = {SIGLOG_INFO, 0, 0, 10};
	int fd = log_open(&ten);
	size_t bytes;

	for (int i = 0; i < 9; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%d", i) == 0);
	CHECK(log_count(fd) == 0 && siglog_queued(&bytes) == 9 && bytes > 9 * 40);
	CHECK(siglog_printf(SIGLOG_INFO, "%d", 9) == 0);
	CHECK(log_count(fd) == 10);
	CHECK(siglog_printf(SIGLOG_INFO, "%d", 10) == 0);
	CHECK(log_count(fd) == 10);
	CHECK(siglog_flush(0) == 0 && log_count(fd) == 11);
	CHECK(siglog_close() == 0);
	close(fd);
	fd = log_open(&never);
	for (int i = 0; i < 1000; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "%d", i) == 0);
	CHECK(log_count(fd) == 0);
	CHECK(siglog_close() == 0 && log_count(fd) == 1000);
	close(fd);
}

static void test_errno(void)
{
	/* -Wpedantic has something to say about m. */
	const char *error_text = opaque((void *)(uintptr_t) "%s: %m");
	int fd = log_open(NULL);

	errno = ENOENT;
	CHECK(siglog_printf(SIGLOG_INFO, error_text, "file") == 0 && errno == ENOENT);
	CHECK(siglog_flush(10) == 0 && errno == ENOENT);
	CHECK(siglog_crash() == 0 && errno == ENOENT);
	CHECK(siglog_printf(SIGLOG_INFO, error_text, "again") == 0 && errno == ENOENT);
	CHECK(siglog_close() == 0 && errno == ENOENT);
	log_expect(fd, "file: No such file or directory", "again: No such file or directory", NULL);
	close(fd);
}

static void wait_child(pid_t child)
{
	int status;

	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK_THAT(status == 0, "child: status %#x", status);
}

/* exit() writes what is queued, in each process what is its own. */
static void test_exit_and_fork(void)
{
	int fd = log_open(&never);
	pid_t child;

	siglog_printf(SIGLOG_INFO, "parent");
	child = fork();
	if (child == 0) {
		siglog_printf(SIGLOG_INFO, "child");
		exit(0);
	}
	wait_child(child);
	log_expect(fd, "child", NULL);
	child = fork();
	if (child == 0)
		_exit(siglog_printf(SIGLOG_INFO, "lost") || siglog_dropped() != 0);
	wait_child(child);
	CHECK(siglog_flush(0) == 0);
	log_expect(fd, "child", "parent", NULL);
	CHECK(siglog_close() == 0);
	close(fd);
}

static void test_append(void)
{
	char path[] = "/tmp/siglog-test-XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	for (int i = 0; i < 3; i++) {
		CHECK(siglog_open(path, NULL) == 0);
		CHECK(siglog_printf(SIGLOG_INFO, "%d", i) == 0);
		CHECK(siglog_close() == 0);
	}
	log_expect(fd, "0", "1", "2", NULL);
	unlink(path);
	close(fd);
}

/* A million records: the memory goes back, and the queue is empty. */
static void test_memory(void)
{
	int fd = open("/dev/null", O_WRONLY);
	size_t before;

	CHECK(siglog_open_fd(fd, NULL) == 0);
	for (int i = 0; i < 1000; i++)
		siglog_printf(SIGLOG_INFO, "%d %500s", i, "");
	before = rss_bytes();
	for (int i = 0; i < 100000; i++)
		siglog_printf(SIGLOG_INFO, "%d %500s", i, "");
	CHECK(siglog_flush(0) == 0 && siglog_queued(NULL) <= 1);
	CHECK(emulated() || rss_bytes() < before + MIB);
	CHECK(siglog_close() == 0);
	close(fd);
}

int main(int argc, char **argv)
{
	struct stress_options options = {.seconds = 30, .threads = 1};

	stress_parse(&options, argc, argv);
	stress_watchdog(60);
	test_closed();
	test_line();
	test_escapes();
	test_lengths();
	test_levels();
	test_batch();
	test_errno();
	test_exit_and_fork();
	test_append();
	test_memory();
	return 0;
}
