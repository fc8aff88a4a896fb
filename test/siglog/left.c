/*
 * Threads that write what a page still has that was given up leave that for good, by a jump or in a handler that
 * doesn't return, more of them than have an iovec there: whoever comes later writes it all the same.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "logfile.h"

enum { LEAVING = 60, RECORDS = 200, PIPE_SIZE = 4096, MOST_TEXT = 1 << 20 };

static struct stress_options options = {.seconds = 60, .threads = LEAVING};
static _Thread_local sigjmp_buf away;
static _Atomic unsigned int entered, left;
static _Atomic bool jumps;

static void leave(int signal)
{
	(void)signal;
	left++;
	if (jumps)
		siglongjmp(away, 1);
	for (;;)
		pause();
}

/* Until the handler takes it out of it: nobody reads the pipe. */
static void flush_and_leave(void)
{
	if (sigsetjmp(away, 1) == 0) {
		entered++;
		siglog_flush(-1);
	}
}

static void *rescue(void *unused)
{
	(void)unused;
	flush_and_leave();
	for (;;)
		pause();
	return NULL;
}

static void interrupt(pthread_t thread, unsigned int number)
{
	while (entered < number)
		usleep(100);
	usleep(5000);
	CHECK(pthread_kill(thread, SIGUSR1) == 0);
	while (left < number)
		usleep(100);
}

static void *interrupt_main(void *thread)
{
	interrupt(*(pthread_t *)thread, 1);
	return NULL;
}

/* The drain is jumped out of: the page is given up. */
static void give_up_page(void)
{
	pthread_t main_thread = pthread_self(), other;

	jumps = true;
	CHECK(pthread_create(&other, NULL, interrupt_main, &main_thread) == 0);
	flush_and_leave();
	CHECK(pthread_join(other, NULL) == 0);
	/* Here it shows that the frame is gone. */
	CHECK(siglog_flush(0) == -ETIMEDOUT);
}

/* Each of the records, in order; some may be there twice. */
static void check_text(char *text, size_t length)
{
	unsigned long next = 0, n;
	struct log_text log;
	struct log_line line;

	log_take(&log, text, length);
	while (log_next(&log, &line)) {
		CHECK(sscanf(line.text, "record %lu", &n) == 1 && n <= next);
		next = n == next ? n + 1 : next;
	}
	CHECK_THAT(next == RECORDS, "%lu of %d", next, RECORDS);
}

static void *read_all(void *fd)
{
	char *text = malloc(MOST_TEXT);
	size_t length = 0;
	ssize_t n;

	CHECK(text);
	while ((n = read(*(int *)fd, text + length, MOST_TEXT - length)) > 0)
		length += (size_t)n;
	check_text(text, length);
	free(text);
	return NULL;
}

static void test_left(bool by_jump)
{
	struct siglog_options how = {SIGLOG_INFO, 0, 0, SIGLOG_NEVER};
	pthread_t thread;
	int pipe_fd[2];

	entered = left = 0;
	CHECK(pipe(pipe_fd) == 0 && fcntl(pipe_fd[1], F_SETPIPE_SZ, PIPE_SIZE) == PIPE_SIZE);
	CHECK(siglog_open_fd(pipe_fd[1], &how) == 0);
	for (unsigned int i = 0; i < RECORDS; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "record %u", i) == 0);
	give_up_page();
	jumps = by_jump;
	for (unsigned int i = 0; i < LEAVING; i++) {
		CHECK(pthread_create(&thread, NULL, rescue, NULL) == 0);
		interrupt(thread, i + 2);
	}
	CHECK(pthread_create(&thread, NULL, read_all, &pipe_fd[0]) == 0);
	CHECK(siglog_crash() == 0);
	CHECK(siglog_close() == 0 && siglog_dropped() == 0);
	close(pipe_fd[1]);
	CHECK(pthread_join(thread, NULL) == 0);
	close(pipe_fd[0]);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = leave};

	stress_parse(&options, argc, argv);
	stress_watchdog(60);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	test_left(true);
	test_left(false);
	return 0;
}
