/*
 * The log's calls are stepped through one instruction at a time by the trap flag, and at each instruction
 * the handler does what --mix says:
 *   all       logs by itself, at each of some hundred instructions in a row, the window moving on
 *   small     leaves by siglongjmp(): the log goes on, and nothing but the abandoned record may be missing
 *   realloc   forks by _Fork(): the parent's records are there once, and so are the child's
 *   aligned   in a process of its own, is a crash handler: all that was queued is there before its line
 * --count is by how much the instruction moves on from one try to the next, where each needs a new one.
 * x86-64 only.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "logfile.h"

enum { TRAP_FLAG = 0x100, WINDOW = 40, QUEUED = 3 };

static struct stress_options options = {.seconds = 60, .threads = 1, .count = 1};
static const struct siglog_options never = {SIGLOG_INFO, 0, 0, SIGLOG_NEVER};
static volatile long step, first_action, last_action;
static volatile unsigned long acted;
static void (*volatile action)(void);
static sigjmp_buf escape;
static volatile bool stopping;
static unsigned long total_steps;

/* The kernel's clock repeats its reading when a tick came between: with a fork at each step, for ever. */
static bool in_clock(greg_t pc)
{
	unsigned long start = getauxval(AT_SYSINFO_EHDR);

	return start && (unsigned long)pc >= start && (unsigned long)pc < start + 8192;
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;
	int saved = errno;

	(void)signal;
	(void)info;
	if (in_clock(interrupted->uc_mcontext.gregs[REG_RIP]))
		return;
	if (!stopping && step >= first_action && step < last_action) {
		acted++;
		action();
	}
	if (stopping) {
		interrupted->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	}
	step++;
	errno = saved;
}

/* Below the red zone of the frame that this is inlined into. */
static inline void trap_on(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp"
			 :
			 :
			 : "memory", "cc");
}

/* Runs call() by steps; acts at steps from..to-1. False where the call was over before. */
__attribute__((noinline)) static bool stepped(void (*call)(void), void (*act)(void), long from,
					      long to)
{
	step = 0;
	first_action = from;
	last_action = to;
	action = act;
	stopping = false;
	trap_on();
	call();
	stopping = true;
	/* The flag goes with the next trap. */
	__asm__ volatile("nop" : : : "memory");
	total_steps += (unsigned long)step;
	return step > from;
}

static volatile long round_number, offset;

/* The instruction that this round acts on. */
static long at_step(void)
{
	return offset + round_number * (long)options.count;
}

static void print_record(void)
{
	siglog_printf(SIGLOG_INFO, "m %ld 0", round_number);
}

static void print_float(void)
{
	siglog_printf(SIGLOG_INFO, "m %ld 0 %.3f %x", round_number, 2.0 / 3, 48879u);
}

static void flush_records(void)
{
	siglog_flush(0);
}

static void queue_records(void)
{
	for (int i = 0; i < QUEUED; i++)
		CHECK(siglog_printf(SIGLOG_INFO, "q %ld %d", round_number, i) == 0);
}

static void act_log(void)
{
	CHECK(siglog_printf(SIGLOG_INFO, "h %lu 0", acted) == 0);
}

/* How often each text of the file is there, by its letter and two numbers. */
static unsigned int *counts_of(int fd, char letter, unsigned long first, unsigned long second)
{
	unsigned int *count = calloc(first * second, sizeof(*count));
	struct log_text log;
	struct log_line line;

	CHECK(count);
	log_read(&log, fd);
	while (log_next(&log, &line)) {
		unsigned long a, b;

		if (line.text[0] != letter)
			continue;
		CHECK(sscanf(line.text + 1, "%lu %lu", &a, &b) == 2 && a < first && b < second);
		count[a * second + b]++;
	}
	log_free(&log);
	return count;
}

static void check_counts(int fd, char letter, unsigned long first, unsigned long second,
			 unsigned int least, unsigned int most)
{
	unsigned int *count = counts_of(fd, letter, first, second);

	for (unsigned long i = 0; i < first * second; i++)
		CHECK_THAT(count[i] >= least && count[i] <= most, "%c %lu %lu: %u times", letter,
			   i / second, i % second, count[i]);
	free(count);
}

/* Logs at every instruction of a call that prints or flushes. */
static void test_log(void (*call)(void), const struct siglog_options *how)
{
	int fd = log_open(how);
	bool more = true;

	acted = 0;
	for (round_number = 0; more; round_number++) {
		long from = (offset + round_number * (long)options.count) * WINDOW;

		if (how)
			queue_records();
		more = stepped(call, act_log, from, from + WINDOW);
	}
	CHECK(siglog_close() == 0 && siglog_dropped() == 0);
	printf("%ld rounds, %lu records by handlers\n", round_number, acted);
	if (how)
		check_counts(fd, 'q', (unsigned long)round_number, QUEUED, 1, 1);
	else
		check_counts(fd, 'm', (unsigned long)round_number, 1, 1, 1);
	check_counts(fd, 'h', acted + 1, 1, 0, 1);
	CHECK(log_count(fd) == acted + (unsigned long)round_number * (how ? QUEUED : 1));
	close(fd);
}

static void act_jump(void)
{
	siglongjmp(escape, 1);
}

/* The number makes two lines of one record known as such. */
static unsigned long check_doubles(int fd, char letter, unsigned long first, unsigned long second)
{
	unsigned long *number = calloc(first * second, sizeof(*number));
	unsigned long doubles = 0;
	struct log_text log;
	struct log_line line;

	CHECK(number);
	log_read(&log, fd);
	while (log_next(&log, &line)) {
		unsigned long a, b, *known;

		if (line.text[0] != letter)
			continue;
		CHECK(sscanf(line.text + 1, "%lu %lu", &a, &b) == 2 && a < first && b < second);
		known = &number[a * second + b];
		CHECK_THAT(!*known || *known == line.number, "other number: %s", line.text);
		doubles += *known != 0;
		*known = line.number;
	}
	log_free(&log);
	free(number);
	return doubles;
}

static void test_jump(void (*call)(void), const struct siglog_options *how)
{
	int fd = log_open(how);
	volatile bool more = true;
	unsigned long doubles;
	int closed;

	acted = 0;
	for (round_number = 0; more; round_number++) {
		queue_records();
		if (sigsetjmp(escape, 1) == 0)
			more = stepped(call, act_jump, at_step(), at_step() + 1);
		else
			stopping = true;
		CHECK(siglog_printf(SIGLOG_INFO, "a %ld 0", round_number) == 0);
		if (how)
			siglog_flush(0);
	}
	CHECK(log_count(fd) >= (unsigned long)round_number * (QUEUED + 1));
	closed = siglog_close();
	CHECK_THAT(closed == 0 && siglog_dropped() == 0, "close: %d, %lu dropped", closed,
		   siglog_dropped());
	check_counts(fd, 'a', (unsigned long)round_number, 1, 1, 1);
	check_counts(fd, 'q', (unsigned long)round_number, QUEUED, 1, 2);
	doubles = check_doubles(fd, 'q', (unsigned long)round_number, QUEUED);
	printf("%ld jumps, %lu lines twice\n", round_number, doubles);
	close(fd);
}

static volatile pid_t child;
static volatile bool in_child;
static volatile unsigned long forks;

static void reap_child(void)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK_THAT(status == 0, "fork %lu: status %#x", forks, status);
}

/* The child goes on without, to the end of the interrupted call. */
static void act_fork(void)
{
	if ((step + offset) % (long)options.count != 0)
		return;
	child = _Fork();
	CHECK(child >= 0);
	if (child > 0) {
		reap_child();
		forks++;
		return;
	}
	in_child = stopping = true;
	CHECK(siglog_printf(SIGLOG_INFO, "c %lu 0", forks) == 0);
}

static void test_fork(void (*call)(void), const struct siglog_options *how)
{
	int fd = log_open(how);

	forks = 0;
	queue_records();
	stepped(call, act_fork, 0, LONG_MAX);
	if (in_child) {
		CHECK(siglog_printf(SIGLOG_INFO, "d %lu 0", forks) == 0);
		CHECK(siglog_flush(0) == 0 && siglog_dropped() == 0);
		_exit(0);
	}
	CHECK(siglog_close() == 0);
	CHECK(forks * options.count > 200);
	check_counts(fd, 'c', forks, 1, 1, 1);
	check_counts(fd, 'd', forks, 1, 1, 1);
	check_counts(fd, 'q', 1, QUEUED, 1, 1);
	/* A record that was not queued yet is each process's own. */
	check_counts(fd, 'm', 1, 1, how ? 0 : 1, how ? 0 : (unsigned int)forks);
	printf("%lu forks\n", forks);
	close(fd);
}

static void act_crash(void)
{
	CHECK(siglog_crash() == 0);
	CHECK(siglog_printf(SIGLOG_FATAL, "crash") == 0);
	_exit(1);
}

/* The queue in its order, doubles left out, then the crash as the last. Returns how many doubles. */
static unsigned long check_crash(int fd)
{
	struct log_text log;
	struct log_line line;
	unsigned long lines = 0;
	int next = 0, i;
	bool crashed = false;

	log_read(&log, fd);
	for (; log_next(&log, &line); lines++) {
		CHECK(!crashed);
		crashed = strcmp(line.text, "crash") == 0;
		if (sscanf(line.text, "q %*d %d", &i) != 1)
			continue;
		CHECK_THAT(i <= next, "round %ld: %s, not %d", round_number, line.text, next);
		next = i == next ? next + 1 : next;
	}
	CHECK_THAT(crashed && next == QUEUED, "round %ld: %d, %d", round_number, crashed, next);
	log_free(&log);
	return lines - QUEUED - 1;
}

static void test_crash(void (*call)(void), const struct siglog_options *how)
{
	unsigned long doubles = 0, with_doubles = 0;
	int status = 1;

	for (round_number = 0; status != 0; round_number++) {
		int fd = log_file();

		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			CHECK(siglog_open_fd(fd, how) == 0);
			queue_records();
			stepped(call, act_crash, at_step(), at_step() + 1);
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
		if (status != 0)
			doubles = check_crash(fd);
		with_doubles += doubles > 0 && status != 0;
		close(fd);
	}
	printf("%ld crashes, %lu with a line twice or the call's own\n", round_number,
	       with_doubles);
}

int main(int argc, char **argv)
{
	struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
	const char *mix;

	stress_parse(&options, argc, argv);
	stress_watchdog(90);
	mix = options.mix ? options.mix : "all";
	offset = (long)(options.seed % options.count);
	CHECK(sigaction(SIGTRAP, &trap, NULL) == 0);
	if (strcmp(mix, "all") == 0) {
		test_log(print_float, NULL);
		test_log(flush_records, &never);
	} else if (strcmp(mix, "small") == 0) {
		test_jump(print_record, NULL);
		test_jump(flush_records, &never);
	} else if (strcmp(mix, "realloc") == 0) {
		test_fork(print_record, NULL);
		test_fork(flush_records, &never);
	} else {
		test_crash(print_record, NULL);
		test_crash(flush_records, &never);
	}
	printf("%lu instructions stepped\n", total_steps);
	CHECK(total_steps > 1000 || strcmp(mix, "aligned") == 0);
	return 0;
}
