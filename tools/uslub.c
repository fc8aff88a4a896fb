/*
 * `uslub`, the command line tool: finds the subcommand. Layer: tools.
 */
#include <stdio.h>
#include <string.h>

#include "conform/conform.h"
#include "conform/runner.h"
#include "control/control.h"

static const char usage_text[] =
	"Usage: uslub COMMAND [OPTION]...\n"
	"  run PROGRAM          runs a program under the library\n"
	"  ls [PID [PATH]]      lists control files of a process, or the processes that have some\n"
	"  get PID PATH...      prints them\n"
	"  set PID PATH VALUE   writes to one\n"
	"  mount MOUNTPOINT     makes real files of them, of all processes\n"
	"  node PID             draws the nodes of a process\n"
	"  conform [LIBRARY]    judges a malloc: may it be called from any context?\n"
	"  --help               this text; after a command, the command's\n"
	"  --version\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", run_main},	   {"ls", ls_main},
	{"get", get_main},	   {"set", set_main},
	{"mount", mount_main},	   {"node", node_main},
	{"conform", conform_main}, {CASE_SUBCOMMAND, conform_case_main},
};

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(usage_text, stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("uslub %s\n", USLUB_VERSION);
		return 0;
	}
	fprintf(stderr, "uslub: '%s' is not a command\n%s", argv[1], usage_text);
	return 2;
}
