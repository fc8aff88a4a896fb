/*
 * How deep the log's calls use a handler's stack: on an alternate stack that was painted before. What uslub's
 * malloc uses below them is counted too. The limits are those that docs/siglog.md names.
 */
#include <signal.h>

#include "logfile.h"

enum { STACK = 65536, PAINT = 0xa5, LIMIT = 2048 };

static struct stress_options options = {.seconds = 60, .threads = 1};
static unsigned char stack[STACK];
static void (*volatile call)(void);
static unsigned char *volatile frame;
static char text[3000];

static void on_signal(int signal)
{
	(void)signal;
	frame = __builtin_frame_address(0);
	/* The kernel's frame lies above, so all below is the call's. */
	memset(stack, PAINT, (size_t)(frame - 512 - stack));
	call();
}

static void print_integer(void)
{
	siglog_printf(SIGLOG_INFO, "%d", 42);
}

static void print_double(void)
{
	siglog_printf(SIGLOG_INFO, "%.1100g %.3f", 5e-324, 1e308);
}

static void print_long(void)
{
	siglog_printf(SIGLOG_INFO, "%s", text);
}

static void format_double(void)
{
	siglog_snprintf(text, sizeof(text), "%.1100f", 5e-324);
}

static void flush(void)
{
	siglog_flush(10);
}

static void crash(void)
{
	siglog_crash();
}

static void measure(const char *name, void (*what)(void), size_t limit)
{
	size_t used = 0;

	/* The deepest of a few: the first may set things up, and not all take the slow path. */
	for (int i = 0; i < 300; i++) {
		unsigned char *deepest = stack;

		call = what;
		raise(SIGUSR1);
		while (*deepest == PAINT)
			deepest++;
		if ((size_t)(frame - deepest) > used)
			used = (size_t)(frame - deepest);
	}
	printf("%-24s %5zu bytes of stack\n", name, used);
	CHECK_THAT(used < limit, "%s: %zu bytes of stack, at most %zu are promised", name, used,
		   limit);
}

int main(int argc, char **argv)
{
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	int fd;

	stress_parse(&options, argc, argv);
	stress_watchdog(60);
	memset(text, 'x', sizeof(text) - 1);
	CHECK(sigaltstack(&alternate, NULL) == 0);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	fd = log_open(NULL);
	measure("siglog_printf, integer", print_integer, LIMIT);
	measure("siglog_printf, long text", print_long, LIMIT);
	measure("siglog_printf, doubles", print_double, LIMIT);
	measure("siglog_snprintf, double", format_double, LIMIT);
	measure("siglog_flush", flush, LIMIT);
	measure("siglog_crash", crash, LIMIT);
	memset(text, 'x', sizeof(text) - 1);
	measure("siglog_printf, crashed", print_long, LIMIT);
	measure("the same, doubles", print_double, LIMIT);
	CHECK(siglog_close() == 0);
	close(fd);
	return 0;
}
