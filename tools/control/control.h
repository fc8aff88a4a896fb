/*
 * The commands over the control files. Layer: tools. Called by uslub.c.
 */
#ifndef USLUB_TOOLS_CONTROL_H
#define USLUB_TOOLS_CONTROL_H

#include <stdbool.h>

int ls_main(int argc, char **argv);
int get_main(int argc, char **argv);
int set_main(int argc, char **argv);
int node_main(int argc, char **argv);
int run_main(int argc, char **argv);
int mount_main(int argc, char **argv);

/* Which process: the word of the command line, and the directory that was given or found. */
struct control_peer {
	const char *dir;
	const char *pid;
};

/*
 * Takes options of a command that has --dir and --help, and one more letter, whose flag is set; argv[optind] is the
 * first word behind them. Ends the program where that is all, or where it is wrong.
 */
void control_options(int argc, char **argv, const char *usage, char letter, bool *flag,
		     struct control_peer *peer);
/* The word is a process's number, and its directory is known from here on. False: it has said why. */
bool control_find_peer(const char *command, const char *word, struct control_peer *peer);
/* Says on stderr what went wrong; 1. */
int control_failed(const char *command, const char *what, int error);

/* What must be known of a program before it is run. */
bool program_find(const char *name, char *path);
/* Why nothing can be preloaded into it; NULL: it can be. */
const char *program_refuses_preload(const char *path);

/* The file of that name that was installed or built with this program: beside it, or at `from_here`. */
bool find_companion(const char *from_here, const char *installed, char *path);

#endif
