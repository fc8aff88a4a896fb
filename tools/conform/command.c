/*
 * `uslub conform`: what was asked for, which cases those are, and the exit status. Layer: tools. Called
 * by uslub.c.
 */
#include <fnmatch.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"
#include "step_engine.h"

#define MAX_CASES 256u
#define MAX_GLOBS 64u
/* A step of the tracer costs some ten of the trap flag's. */
#define TRACER_PATIENCE 10u
/* CTest's word for a test that could not be made. */
#define EXIT_SKIPPED 77

static const char usage_text[] =
	"Usage: uslub conform [OPTION]... [LIBRARY]\n"
	"Judges a malloc: may it be called from any context? Each case runs in a process of its own with\n"
	"LIBRARY preloaded and ends as one word: pass, hang (killed at its time limit), crash (a signal),\n"
	"corrupt (an object was handed out twice, or changed), fail (no memory where there is some, errno\n"
	"changed, memory left behind), unable (this machine can't run the case), not offered (the library\n"
	"lacks the calls).\n"
	"LIBRARY is the path of a shared library, a name that the loader finds, or one of: glibc (also\n"
	"without LIBRARY: the C library's own malloc), uslub, jemalloc, mimalloc, tcmalloc.\n"
	"\n"
	"  --case GLOB     only the cases whose name matches (may be repeated): 'step.*'\n"
	"  --list          names the cases, and runs none\n"
	"  --effort N      1: some seconds for each case (the default); 10: for a soak by hand\n"
	"  --seconds N     how long cases that run by time go on, instead of what effort says\n"
	"  --seed N        repeats a run's random choices (the seed is printed)\n"
	"  --json FILE     writes the results there too\n"
	"  --jobs N        so many cases at once (1)\n"
	"  --patience N    multiplies the time limits: for slow machines (1)\n"
	"  --stepper WORD  ptrace: steps by a tracer also where the processor's trap flag would do it\n"
	"  --emulator CMD  runs the cases' processes under qemu-user with these words\n"
	"Exit status: 0 all pass, 1 some don't, 2 not as above, 77 none is bad but some are unable.\n";

struct progress {
	struct result *results;
	size_t nr_results;
	size_t counts[NR_WORDS];
};

static _Noreturn void refuse(const char *what, const char *word)
{
	fprintf(stderr, "uslub conform: %s%s\nTry: uslub conform --help\n", what, word);
	exit(2);
}

static unsigned long long number(const char *option, const char *text, unsigned long long most)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > most) {
		fprintf(stderr, "uslub conform: %s wants a number up to %llu, not '%s'\n", option,
			most, text);
		exit(2);
	}
	return value;
}

static const char *well_known(const char *word)
{
	static const char *const names[][2] = {
		{"glibc", ""},
		{"uslub", "libuslub.so.0"},
		{"jemalloc", "libjemalloc.so.2"},
		{"mimalloc", "libmimalloc.so.2"},
		{"tcmalloc", "libtcmalloc_minimal.so.4"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i][0]) == 0)
			return names[i][1];
	}
	return NULL;
}

/* LD_PRELOAD knows no spaces in a path, and takes a colon for a separator too. */
static const char *find_library(const char *word)
{
	static char path[PATH_MAX];
	const char *known = well_known(word);

	if (known)
		return known;
	if (!*word)
		refuse("the LIBRARY's name is empty", "");
	if (access(word, R_OK) == 0 && realpath(word, path))
		word = path;
	else if (strchr(word, '/'))
		refuse("there is no such library: ", word);
	if (strpbrk(word, " :"))
		refuse("the loader can't preload from a path with a space or a colon: ", word);
	return word;
}

static bool is_wanted(const struct request *request, const struct conform_case *c)
{
	for (size_t i = 0; i < request->nr_globs; i++) {
		if (fnmatch(request->globs[i], c->name, 0) == 0)
			return true;
	}
	return request->nr_globs == 0;
}

static void check_globs(const struct request *request)
{
	for (size_t i = 0; i < request->nr_globs; i++) {
		const struct conform_case *c;
		size_t at = 0;

		while ((c = conform_case_at(at)) && fnmatch(request->globs[i], c->name, 0) != 0)
			at++;
		if (!c)
			refuse("no case is named so (see --list): ", request->globs[i]);
	}
}

static size_t choose(const struct request *request, const struct conform_case **cases)
{
	const struct conform_case *c;
	size_t n = 0;

	check_globs(request);
	for (size_t at = 0; (c = conform_case_at(at)) != NULL; at++) {
		if (is_wanted(request, c) && n < MAX_CASES)
			cases[n++] = c;
	}
	return n;
}

static void add_result(const struct result *result, void *arg)
{
	struct progress *progress = arg;

	progress->results[progress->nr_results++] = *result;
	progress->counts[result->word]++;
	report_line(result);
}

static int exit_status(const size_t *counts)
{
	if (counts[WORD_HANG] + counts[WORD_CRASH] + counts[WORD_CORRUPT] + counts[WORD_FAIL] != 0)
		return 1;
	return counts[WORD_UNABLE] != 0 || counts[WORD_PASS] == 0 ? EXIT_SKIPPED : 0;
}

static int run(struct request *request, const struct conform_case *const *cases, size_t n)
{
	struct progress progress = {0};
	struct timespec start, end;
	int status;

	if (!runner_find_malloc(request))
		return 2;
	printf("malloc of %s; effort %u, seed %llu\n", request->malloc_path,
	       request->options.effort, (unsigned long long)request->options.seed);
	progress.results = calloc(n + 1, sizeof(*progress.results));
	if (!progress.results)
		refuse("no memory", "");
	clock_gettime(CLOCK_MONOTONIC, &start);
	runner_run(request, cases, n, add_result, &progress);
	clock_gettime(CLOCK_MONOTONIC, &end);
	report_total(progress.counts, (double)(end.tv_sec - start.tv_sec) +
					      (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	status = exit_status(progress.counts);
	if (request->json && !report_json(request, progress.results, n))
		status = 2;
	free(progress.results);
	return status;
}

static int list(const struct conform_case *const *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%-28s %s\n", cases[i]->name, cases[i]->what);
	return 0;
}

enum {
	OPT_CASE = 1,
	OPT_LIST,
	OPT_EFFORT,
	OPT_SECONDS,
	OPT_SEED,
	OPT_JSON,
	OPT_JOBS,
	OPT_PATIENCE,
	OPT_STEPPER,
	OPT_EMULATOR,
	OPT_HELP
};

static const struct option long_options[] = {
	{"case", required_argument, NULL, OPT_CASE},
	{"list", no_argument, NULL, OPT_LIST},
	{"effort", required_argument, NULL, OPT_EFFORT},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"json", required_argument, NULL, OPT_JSON},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"patience", required_argument, NULL, OPT_PATIENCE},
	{"stepper", required_argument, NULL, OPT_STEPPER},
	{"emulator", required_argument, NULL, OPT_EMULATOR},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static unsigned int at_least_one(const char *option, const char *text)
{
	unsigned int value = (unsigned int)number(option, text, 1000000);

	if (value == 0)
		refuse(option, " must be 1 or more");
	return value;
}

/* True where it was one that takes a value; the rest is main's. */
static bool set_option(struct request *request, int option)
{
	static const char *globs[MAX_GLOBS];

	switch (option) {
	case OPT_CASE:
		request->globs = globs;
		if (request->nr_globs == MAX_GLOBS)
			refuse("too many --case", "");
		globs[request->nr_globs++] = optarg;
		return true;
	case OPT_EFFORT:
		request->options.effort = at_least_one("--effort", optarg);
		return true;
	case OPT_SECONDS:
		request->options.seconds = (unsigned int)number("--seconds", optarg, 1000000);
		return true;
	case OPT_SEED:
		request->options.seed = number("--seed", optarg, UINT64_MAX);
		return true;
	case OPT_JSON:
		request->json = optarg;
		return true;
	case OPT_JOBS:
		request->jobs = at_least_one("--jobs", optarg);
		return true;
	case OPT_PATIENCE:
		request->patience = at_least_one("--patience", optarg);
		return true;
	case OPT_STEPPER:
		if (strcmp(optarg, "ptrace") != 0)
			refuse("--stepper knows ptrace only, not ", optarg);
		request->options.tracer = true;
		return true;
	case OPT_EMULATOR:
		request->emulator = *optarg ? optarg : NULL;
		return true;
	default:
		return false;
	}
}

int conform_main(int argc, char **argv)
{
	struct request request = {.library = "", .jobs = 1, .patience = 1};
	const struct conform_case *cases[MAX_CASES];
	bool only_list = false;
	int option;

	request.options.effort = 1;
	request.options.seed = (uint64_t)time(NULL);
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			fputs(usage_text, stdout);
			return 0;
		}
		if (option == OPT_LIST)
			only_list = true;
		else if (!set_option(&request, option))
			refuse("not an option", "");
	}
	if (argc - optind > 1)
		refuse("one LIBRARY only, but there is also: ", argv[optind + 1]);
	if (request.options.tracer || !STEP_HAS_TRAP_FLAG)
		request.patience *= TRACER_PATIENCE;
	size_t n = choose(&request, cases);
	if (only_list)
		return list(cases, n);
	if (optind < argc)
		request.library = find_library(argv[optind]);
	return run(&request, cases, n);
}
