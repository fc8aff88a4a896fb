/*
 * `uslub run`: a program under the library. Layer: tools. Called by uslub.c.
 */
#include "control.h"
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"Usage: uslub run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"Runs a program under libuslub.so. What LD_PRELOAD and USLUB hold already stays there.\n"
	"  --control[=DIR]  with control files, to be seen by `uslub ls`, `uslub mount` and others\n"
	"  --nodes N        with N simulated nodes, and of these:\n"
	"  --distance D     their distances: 10/20/40, of nodes 0, 1, 2 apart, or all N * N\n"
	"  --node-size S    their sizes: 1G, or of each one 1G/512M/...; without it they share all\n"
	"  --node-cpus C    their cpus: 0-1/2+4/...; without it they share all\n"
	"  --policy P       where memory comes from: local, preferred:1, bind:0,2 or interleave\n"
	"  --stats          with statistics when it exits\n"
	"  --option K:V     with any option of the variable USLUB (may be repeated)\n"
	"  --library FILE   another libuslub.so than the one that came with this program\n"
	"Exit status: the program's; 125 this command failed, 126 nothing can be preloaded into the\n"
	"program, or it can't be run, 127 there is no such program.\n";

#define EXIT_FAILED 125
#define EXIT_REFUSED 126
#define EXIT_MISSING 127

struct request {
	char options[4096];
	const char *library;
};

static _Noreturn void fail(const char *what, const char *word)
{
	fprintf(stderr, "uslub run: %s%s\n", what, word);
	exit(EXIT_FAILED);
}

/* Appends to a list in `buf`. */
static void append(char *buf, size_t size, const char *separator, const char *word)
{
	size_t n = strlen(buf);
	int more = snprintf(buf + n, size - n, "%s%s", n ? separator : "", word);

	if (more < 0 || (size_t)more >= size - n)
		fail("too many options", "");
}

/* A comma ends it, but among the numbers of a policy. */
static void add_option(struct request *request, const char *key, const char *value)
{
	bool is_policy = strcmp(key, "policy:") == 0 || strncmp(value, "policy:", 7) == 0;
	const char *comma = strchr(value, ',');

	if (comma && !(is_policy && !comma[strspn(comma, ",-0123456789")]))
		fail("an option's value can't have a comma: ", value);
	append(request->options, sizeof(request->options), ",", key);
	append(request->options, sizeof(request->options), "", value);
}

/* The library makes the directory, but not what leads to it; and it wants a full path. */
static void add_control(struct request *request, const char *dir)
{
	char path[PATH_MAX];

	if (!dir)
		dir = client_default_dir();
	if (*dir != '/' && getcwd(path, sizeof(path) - strlen(dir) - 1)) {
		append(path, sizeof(path), "/", dir);
		dir = path;
	}
	add_option(request, "control:", dir);
}

/* Options that are the library's, by other names. */
enum keyed_option {
	OPTION_NODES,
	OPTION_DISTANCE,
	OPTION_NODE_SIZE,
	OPTION_NODE_CPUS,
	OPTION_POLICY,
	NR_KEYED,
};

static const char *const keys[NR_KEYED] = {
	[OPTION_NODES] = "nodes:",	   [OPTION_DISTANCE] = "distance:",
	[OPTION_NODE_SIZE] = "node_size:", [OPTION_NODE_CPUS] = "node_cpus:",
	[OPTION_POLICY] = "policy:",
};

static void parse(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{"control", optional_argument, NULL, 'c'},
		{"nodes", required_argument, NULL, OPTION_NODES},
		{"distance", required_argument, NULL, OPTION_DISTANCE},
		{"node-size", required_argument, NULL, OPTION_NODE_SIZE},
		{"node-cpus", required_argument, NULL, OPTION_NODE_CPUS},
		{"policy", required_argument, NULL, OPTION_POLICY},
		{"stats", no_argument, NULL, 's'},
		{"option", required_argument, NULL, 'o'},
		{"library", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (c == 'c') {
			add_control(request, optarg);
		} else if (c < NR_KEYED) {
			add_option(request, keys[c], optarg);
		} else if (c == 's') {
			add_option(request, "stats:", "1");
		} else if (c == 'o') {
			add_option(request, "", optarg);
		} else if (c == 'l') {
			request->library = optarg;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : EXIT_FAILED);
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		exit(EXIT_FAILED);
	}
}

/* In front of what was there, so that this malloc is found first. */
static void set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	static char preload[3 * PATH_MAX];

	if (strpbrk(library, " :"))
		fail("the loader can't preload from a path with a space or a colon: ", library);
	append(preload, sizeof(preload), ":", library);
	if (old && *old && strcmp(old, library) != 0)
		append(preload, sizeof(preload), ":", old);
	setenv("LD_PRELOAD", preload, 1);
}

/* What was there goes first, for the last word about a key counts. */
static void set_options(const char *options)
{
	const char *old = getenv("USLUB");
	static char all[2 * PATH_MAX];

	if (!*options)
		return;
	if (old)
		append(all, sizeof(all), ",", old);
	append(all, sizeof(all), ",", options);
	setenv("USLUB", all, 1);
}

int run_main(int argc, char **argv)
{
	static char library[PATH_MAX];
	struct request request = {.library = NULL};
	char path[PATH_MAX];
	const char *why;

	parse(argc, argv, &request);
	if (request.library ? !realpath(request.library, library)
			    : !find_companion("../libuslub.so.0", USLUB_LIBRARY, library))
		fail("there is no libuslub.so", request.library ? " there" : " to be found");
	if (!program_find(argv[optind], path)) {
		fprintf(stderr, "uslub run: there is no program '%s'\n", argv[optind]);
		return EXIT_MISSING;
	}
	why = program_refuses_preload(path);
	if (why) {
		fprintf(stderr, "uslub run: no library can be preloaded into %s: %s\n", path, why);
		return EXIT_REFUSED;
	}
	set_preload(library);
	set_options(request.options);
	execv(path, argv + optind);
	control_failed("run", path, errno);
	return EXIT_REFUSED;
}
