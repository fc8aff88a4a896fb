/*
 * A thread that drains is stopped for good, or ends in the middle: the log of the others goes on after a while.
 * The stopped one wakes in the end, and does no harm.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "logfile.h"

static struct stress_options options = {.seconds = 60, .threads = 2};
/* What is logged until the drain's loss is noticed may be much. */
static const struct siglog_options unbound = {SIGLOG_INFO, 0, 0, 1};
static _Atomic bool parked, released, ended, die;
static _Atomic unsigned long by_victim;

static void park(int signal)
{
	(void)signal;
	if (die)
		pthread_exit(NULL);
	parked = true;
	while (!released)
		usleep(1000);
	parked = false;
}

static void *victim(void *unused)
{
	(void)unused;
	while (!ended)
		siglog_printf(SIGLOG_INFO, "v %lu", by_victim++);
	return NULL;
}

/* Stops the thread again and again until it holds the drain: then a record of ours stays queued. */
static unsigned long stop_in_drain(pthread_t thread)
{
	for (unsigned long n = 0;; n++) {
		released = false;
		CHECK(pthread_kill(thread, SIGUSR1) == 0);
		while (!parked)
			usleep(10);
		CHECK(siglog_printf(SIGLOG_INFO, "o %lu", n) == 0);
		if (siglog_flush(0) == -ETIMEDOUT)
			return n + 1;
		released = true;
		while (parked)
			usleep(10);
	}
}

/* Each of the n texts with the letter is there, in order, and twice at most 64 of them. */
static void check_file(int fd, char letter, unsigned long n)
{
	unsigned long next = 0, doubles = 0, i;
	struct log_text log;
	struct log_line line;

	log_read(&log, fd);
	while (log_next(&log, &line)) {
		if (line.text[0] != letter)
			continue;
		CHECK(sscanf(line.text + 1, "%lu", &i) == 1);
		CHECK_THAT(i <= next, "%s, not %lu", line.text, next);
		doubles += i < next;
		next = i == next ? i + 1 : next;
	}
	log_free(&log);
	CHECK_THAT(next == n && doubles <= 64, "%c: %lu of %lu, %lu twice", letter, next, n,
		   doubles);
}

static void test_frozen(void)
{
	int fd = log_open(&unbound);
	pthread_t thread;
	unsigned long n;
	uint64_t start;

	die = ended = false;
	by_victim = 0;
	CHECK(pthread_create(&thread, NULL, victim, NULL) == 0);
	n = stop_in_drain(thread);
	start = now_ns();
	while (siglog_flush(0) != 0) {
		CHECK(siglog_printf(SIGLOG_INFO, "o %lu", n++) == 0);
		usleep(1000);
		CHECK(now_ns() - start < 10000000000u);
	}
	printf("the log went on after %lu ms\n", (unsigned long)(now_ns() - start) / 1000000);
	for (int i = 0; i < 1000; i++) {
		int result = siglog_printf(SIGLOG_INFO, "o %lu", n++);

		CHECK_THAT(result == 0, "record %lu: %d, %zu queued", n - 1, result,
			   siglog_queued(NULL));
	}
	check_file(fd, 'o', n);
	released = true;
	usleep(20000);
	ended = true;
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(siglog_close() == 0 && siglog_dropped() == 0);
	check_file(fd, 'o', n);
	check_file(fd, 'v', by_victim);
	close(fd);
}

/* pthread_exit() out of a handler, until it has met the drain. */
static void test_ended(void)
{
	int fd = log_open(&unbound);
	unsigned long n = 0;

	die = true;
	ended = false;
	for (int i = 0; i < 200; i++) {
		pthread_t thread;

		by_victim = 0;
		CHECK(pthread_create(&thread, NULL, victim, NULL) == 0);
		usleep(200);
		CHECK(pthread_kill(thread, SIGUSR1) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		CHECK(siglog_printf(SIGLOG_INFO, "o %lu", n++) == 0);
	}
	for (uint64_t start = now_ns(); siglog_flush(0) != 0;) {
		CHECK(now_ns() - start < 10000000000u);
		usleep(1000);
	}
	CHECK(siglog_close() == 0);
	check_file(fd, 'o', n);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = park, .sa_flags = SA_RESTART};

	stress_parse(&options, argc, argv);
	stress_watchdog(60);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	test_frozen();
	test_ended();
	return 0;
}
