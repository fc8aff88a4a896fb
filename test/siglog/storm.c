/*
 * Threads that log while handlers, which log too, interrupt them and each other at a high rate: each record
 * is there once, whole, and those of a thread's own code in their order. --mix says where to:
 *   all       a file, each call drains
 *   small     the same in batches of 64
 *   realloc   a file, a thread of its own drains
 *   aligned   a pipe, read slowly: much is queued; the reader keeps all, so handlers end as the threads do
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "logfile.h"

enum { MAX_THREADS = 8, MAX_DEPTH = 4, KINDS = 2, PIPE_LIMIT = 128 << 20 };

static struct stress_options options = {.seconds = 1, .threads = 3, .count = 150000};
static pthread_t workers[MAX_THREADS], reader, drainer;
static int pipe_fd[2];
static char *piped;
static size_t piped_bytes;
static _Thread_local unsigned int self;
static _Thread_local volatile unsigned int depth;
static _Atomic bool stopped;

/* How many records a thread logged: of its own code, and of its handlers. */
static _Atomic unsigned long logged[MAX_THREADS][KINDS];

static void log_one(unsigned int kind)
{
	static const char filler[] = "The quick brown fox jumps over the lazy dog";
	unsigned long n = atomic_fetch_add(&logged[self][kind], 1);

	CHECK(siglog_printf(SIGLOG_INFO, "%u %u %lu %.1f %.*s|", self, kind, n, (double)n / 2,
			    (int)(n % 40), filler) == 0);
}

static void handler(int signal)
{
	(void)signal;
	if (depth >= MAX_DEPTH || (piped && logged[self][1] >= options.count))
		return;
	depth++;
	log_one(1);
	depth--;
}

static void *work(void *number)
{
	self = (unsigned int)(uintptr_t)number;
	/* Not more than memory holds; then it waits for its handlers. */
	while (stress_running_now()) {
		if (logged[self][0] < options.count)
			log_one(0);
		else
			usleep(1000);
	}
	return NULL;
}

static void *drain(void *unused)
{
	(void)unused;
	while (!stopped) {
		siglog_flush(100);
		sleep_ms(1);
	}
	return NULL;
}

static void *read_pipe(void *unused)
{
	ssize_t n;

	(void)unused;
	piped = malloc(PIPE_LIMIT + 1);
	CHECK(piped);
	while ((n = read(pipe_fd[0], piped + piped_bytes, 50000)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		CHECK(n > 0);
		piped_bytes += (size_t)n;
		CHECK(piped_bytes < PIPE_LIMIT - 50000);
		/* In the end he hurries. */
		if (!stopped)
			usleep(500);
	}
	return NULL;
}

static void install(int signal, int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | flags};

	CHECK(sigaction(signal, &action, NULL) == 0);
}

static void set_timer(long microseconds)
{
	struct itimerval timer = {{0, microseconds}, {0, microseconds}};

	CHECK(setitimer(ITIMER_PROF, &timer, NULL) == 0);
}

static void block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void storm(void)
{
	for (uintptr_t i = 0; i < options.threads; i++)
		CHECK(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
	/* This thread's records would have no thread number. */
	block(SIG_BLOCK);
	set_timer(1000);
	while (stress_running_now()) {
		for (unsigned int i = 0; i < options.threads; i++) {
			pthread_kill(workers[i], SIGUSR1);
			pthread_kill(workers[i], SIGUSR2);
		}
		usleep(20);
	}
	set_timer(0);
	for (unsigned int i = 0; i < options.threads; i++)
		CHECK(pthread_join(workers[i], NULL) == 0);
}

/* One bit for each record. */
struct seen {
	unsigned char *bits;
	unsigned long next; /* of the thread's own code: in order */
};

static void check_line(struct seen seen[MAX_THREADS][KINDS], const struct log_line *line)
{
	unsigned int thread, kind;
	unsigned long n;
	char last;
	struct seen *s;

	CHECK(sscanf(line->text, "%u %u %lu", &thread, &kind, &n) == 3);
	last = line->text[strlen(line->text) - 1];
	CHECK_THAT(last == '|', "torn: %s", line->text);
	CHECK(thread < options.threads && kind < KINDS && n < logged[thread][kind]);
	s = &seen[thread][kind];
	CHECK_THAT(!(s->bits[n / 8] & 1u << n % 8), "twice: %s", line->text);
	s->bits[n / 8] |= (unsigned char)(1u << n % 8);
	CHECK_THAT(kind == 1 || n == s->next, "out of order: %s", line->text);
	s->next++;
}

static unsigned long check_all(struct log_text *log)
{
	struct seen seen[MAX_THREADS][KINDS];
	struct log_line line;
	unsigned long total = 0;

	for (unsigned int i = 0; i < options.threads; i++) {
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			seen[i][kind].bits = calloc(1, logged[i][kind] / 8 + 1);
			seen[i][kind].next = 0;
			CHECK(seen[i][kind].bits);
		}
	}
	while (log_next(log, &line))
		check_line(seen, &line);
	for (unsigned int i = 0; i < options.threads; i++) {
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			CHECK_THAT(seen[i][kind].next == logged[i][kind],
				   "thread %u, kind %u: %lu of %lu", i, kind, seen[i][kind].next,
				   logged[i][kind]);
			free(seen[i][kind].bits);
			total += logged[i][kind];
		}
	}
	return total;
}

/* What --mix says. */
static bool mix_is(const char *name)
{
	return options.mix && strcmp(options.mix, name) == 0;
}

static void start_helpers(size_t batch)
{
	block(SIG_BLOCK);
	if (mix_is("aligned"))
		CHECK(pthread_create(&reader, NULL, read_pipe, NULL) == 0);
	if (batch == SIGLOG_NEVER)
		CHECK(pthread_create(&drainer, NULL, drain, NULL) == 0);
	block(SIG_UNBLOCK);
}

static void finish(int fd, size_t batch, struct log_text *log)
{
	stopped = true;
	if (batch == SIGLOG_NEVER)
		CHECK(pthread_join(drainer, NULL) == 0);
	CHECK(siglog_flush(20000) == 0);
	CHECK(siglog_dropped() == 0 && siglog_error() == 0);
	CHECK(siglog_close() == 0);
	if (!mix_is("aligned")) {
		log_read(log, fd);
		return;
	}
	close(pipe_fd[1]);
	CHECK(pthread_join(reader, NULL) == 0);
	log_take(log, piped, piped_bytes);
}

int main(int argc, char **argv)
{
	struct siglog_options how = {SIGLOG_INFO, 0, 0, 1};
	struct log_text log;
	unsigned long handled = 0;
	int fd;

	stress_parse(&options, argc, argv);
	stress_watchdog(options.seconds + 60);
	CHECK(options.threads >= 1 && options.threads <= MAX_THREADS);
	if (mix_is("small"))
		how.batch = 64;
	if (mix_is("realloc"))
		how.batch = SIGLOG_NEVER;
	CHECK(pipe(pipe_fd) == 0);
	fd = mix_is("aligned") ? pipe_fd[1] : log_file();
	CHECK(siglog_open_fd(fd, &how) == 0);
	start_helpers(how.batch);
	install(SIGPROF, 0);
	install(SIGUSR1, SA_NODEFER);
	install(SIGUSR2, 0);
	storm();
	finish(fd, how.batch, &log);
	for (unsigned int i = 0; i < options.threads; i++)
		handled += logged[i][1];
	printf("%lu records, %lu of them by handlers\n", check_all(&log), handled);
	CHECK(handled > 100);
	log_free(&log);
	return 0;
}
