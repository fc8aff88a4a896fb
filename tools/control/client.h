/*
 * The client's side of the control socket. Layer: tools. Called by the commands here, and by uslub-mount.
 *
 * Thread-safe, for uslub-mount's sake: a connection for each request.
 */
#ifndef USLUB_TOOLS_CLIENT_H
#define USLUB_TOOLS_CLIENT_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "uslub/control.h"

/* An answer, or a file's new content; ends with a NUL that `len` doesn't count. */
struct client_text {
	char *data;
	size_t len;
};

/* Asks the process whose socket is dir/pid. 0, or an errno; the answer is the caller's to free. */
int client_ask(const char *dir, const char *pid, enum uslub_control_op op, const char *path,
	       const struct client_text *data, struct client_text *answer);

/* An entry of a listing. */
struct client_entry {
	char type; /* d, l or - */
	unsigned int mode;
	char name[USLUB_CONTROL_MAX_PATH + 1];
};
/* Takes the answer of USLUB_CONTROL_STAT; `name` is a link's target, or empty. False: it is none. */
bool client_stat_entry(const struct client_text *answer, struct client_entry *entry);
/* Takes the next line of a listing, from *at on; false: there is none, or it is none. */
bool client_next_entry(const char **at, struct client_entry *entry);

/* Where `uslub run --control` has its sockets: of this user. */
const char *client_default_dir(void);
/* The directory that the process's environment names; NULL: none, or it can't be read. */
const char *client_dir_of(const char *pid);

/* Is the name a process's number? */
bool client_is_pid(const char *name);
/* Does the process serve? A socket that it left behind goes, where this user may remove it. */
bool client_is_there(const char *dir, const char *pid);

#endif
