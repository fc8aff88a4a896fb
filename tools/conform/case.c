/*
 * One case in a process of its own: the hidden subcommand `uslub conform-case`, and what a case says to
 * the runner. Layer: tools. Called by uslub.c; conform_end() and conform_note() by the cases.
 *
 * A library that the loader didn't preload must never be judged by what the C library's malloc does:
 * before anything else, malloc's own object is compared with the library asked for.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform.h"
#include "runner.h"
#include "step_engine.h"

/* What cases call beyond the C library's interface; looked up once, since dlsym() isn't for handlers. */
static struct {
	const char *name;
	void *symbol;
} offers[] = {
	{"malloc_trim", NULL},
	{"mallinfo2", NULL},
	{"malloc_stats", NULL},
	{"malloc_info", NULL},
	{"_Znwm", NULL},
	{"_ZdlPv", NULL},
	{"_ZnwmSt11align_val_t", NULL},
	{"_ZdlPvSt11align_val_t", NULL},
	{"kmem_cache_create", NULL},
	{"kmem_cache_destroy", NULL},
	{"kmem_cache_alloc", NULL},
	{"kmem_cache_free", NULL},
	{"kmem_cache_shrink", NULL},
	{"uslub_malloc_nolock", NULL},
	{"uslub_free_nolock", NULL},
};

static int report_fd = -1;
/* A case may point stderr elsewhere, while a call under test writes there. */
static int error_fd = STDERR_FILENO;

static size_t append(char *line, size_t size, size_t at, const char *text)
{
	while (*text && at + 1 < size)
		line[at++] = *text++;
	return at;
}

static size_t append_number(char *line, size_t size, size_t at, unsigned long number)
{
	char digits[24];
	size_t n = sizeof(digits) - 1;

	digits[n] = '\0';
	do
		digits[--n] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	return append(line, size, at, digits + n);
}

/* One write, so that lines of several threads don't mix. */
static void say(int fd, const char *text, unsigned long figure)
{
	char line[256];
	size_t at = append(line, sizeof(line) - 32, 0, text);

	at = append(line, sizeof(line), at, " ");
	at = append_number(line, sizeof(line), at, figure);
	at = append(line, sizeof(line), at, "\n");
	if (fd >= 0 && write(fd, line, at) < 0)
		_exit(CONFORM_UNABLE);
}

void conform_end(enum conform_status status, const char *why, unsigned long figure)
{
	if (status != CONFORM_PASS)
		say(error_fd, why, figure);
	_exit((int)status);
}

void conform_note(const char *name, unsigned long figure)
{
	say(report_fd, name, figure);
}

void *conform_symbol(const char *name)
{
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		if (strcmp(offers[i].name, name) == 0)
			return offers[i].symbol;
	}
	return NULL;
}

void *conform_require(const char *name)
{
	void *symbol = conform_symbol(name);

	if (!symbol) {
		say(error_fd, name, 0);
		_exit(CONFORM_ABSENT);
	}
	return symbol;
}

size_t conform_resident(void)
{
	char text[128];
	size_t pages = 0, at = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		conform_end(CONFORM_UNABLE, "/proc/self/statm can't be read:", 0);
	text[n] = '\0';
	while (text[at] && text[at] != ' ')
		at++;
	while (text[at] == ' ')
		at++;
	for (; text[at] >= '0' && text[at] <= '9'; at++)
		pages = pages * 10 + (size_t)(text[at] - '0');
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* "C library" where `library` is empty. Says why not, or prints where malloc comes from. */
static bool malloc_is_of(const char *library, bool show)
{
	void *symbol = dlsym(RTLD_DEFAULT, "malloc");
	const char *wanted = *library ? library : "libc.so.6";
	void *handle = dlopen(wanted, RTLD_LAZY | RTLD_NOLOAD);
	struct link_map *map = NULL;
	Dl_info info;

	if (!symbol || !dladdr(symbol, &info)) {
		fprintf(stderr, "this process has no malloc\n");
		return false;
	}
	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0) {
		fprintf(stderr, "%s was not preloaded: malloc is that of %s\n", wanted,
			info.dli_fname);
		return false;
	}
	if (map->l_addr != (ElfW(Addr))(uintptr_t)info.dli_fbase) {
		fprintf(stderr, "%s has no malloc: that of %s is called\n", wanted, info.dli_fname);
		return false;
	}
	if (show)
		printf("%s\n", info.dli_fname);
	return true;
}

static const struct conform_case *find_case(const char *name)
{
	const struct conform_case *c;

	for (size_t i = 0; (c = conform_case_at(i)) != NULL; i++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

/* What the C library has too counts only where malloc itself is the C library's. */
static void look_up_offers(void)
{
	void *library = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *malloc_of_libc = library ? dlsym(library, "malloc") : NULL;
	bool judged = malloc_of_libc == dlsym(RTLD_DEFAULT, "malloc");

	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		void *symbol = dlsym(RTLD_DEFAULT, offers[i].name);
		void *of_libc = library ? dlsym(library, offers[i].name) : NULL;

		offers[i].symbol = symbol == of_libc && !judged ? NULL : symbol;
	}
}

/* uslub conform-case LIBRARY NAME EFFORT SECONDS SEED STEPPER; NAME "-" only says where malloc is. */
int conform_case_main(int argc, char **argv)
{
	struct conform_options options;
	const struct conform_case *c;

	if (argc != 7)
		return CASE_USAGE;
	if (!malloc_is_of(argv[1], strcmp(argv[2], "-") == 0))
		return CASE_OTHER_MALLOC;
	if (strcmp(argv[2], "-") == 0)
		return CONFORM_PASS;
	c = find_case(argv[2]);
	if (!c)
		return CASE_USAGE;
	options.effort = (unsigned int)strtoul(argv[3], NULL, 10);
	options.seconds = (unsigned int)strtoul(argv[4], NULL, 10);
	options.seed = strtoull(argv[5], NULL, 10);
	options.tracer = strcmp(argv[6], "ptrace") == 0 || !STEP_HAS_TRAP_FLAG;
	look_up_offers();
	error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	/* By hand there is nobody at the other end. */
	report_fd = fcntl(CASE_REPORT_FD, F_GETFD) >= 0 ? CASE_REPORT_FD : STDOUT_FILENO;
	if (options.tracer)
		step_ptrace_start();
	c->run(&options);
	return CONFORM_PASS;
}
