/*
 * `uslub ls`, `get` and `set`: the control files without FUSE. Layer: tools. Called by uslub.c.
 */
#include "control.h"
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ls_usage[] =
	"Usage: uslub ls [OPTION]... [PID [PATH]]\n"
	"Lists a directory of a process's control files; without PATH the uppermost, without PID the\n"
	"processes that have some.\n"
	"  -l           with types and modes\n"
	"  --dir DIR    where the process has its socket, instead of what its environment says\n";

static const char get_usage[] =
	"Usage: uslub get [--dir DIR] PID PATH...\n"
	"Prints control files of a process, which was started with USLUB=control:DIR or `uslub run`.\n";

static const char set_usage[] =
	"Usage: uslub set [--dir DIR] PID PATH [VALUE]\n"
	"Writes VALUE, or what stdin brings, to a control file of a process.\n";

void control_options(int argc, char **argv, const char *usage, char letter, bool *flag,
		     struct control_peer *peer)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, 'D'},
		{"help", no_argument, NULL, 'h'},
		{"watch", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	char letters[] = {'+', 'h', letter, '\0'};
	int c;

	*peer = (struct control_peer){NULL, NULL};
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (c == 'D') {
			peer->dir = optarg;
		} else if (c == letter && letter) {
			*flag = true;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
}

int control_failed(const char *command, const char *what, int error)
{
	fprintf(stderr, "uslub %s: %s: %s\n", command, what, strerror(error));
	return 1;
}

bool control_find_peer(const char *command, const char *word, struct control_peer *peer)
{
	if (!client_is_pid(word)) {
		fprintf(stderr, "uslub %s: '%s' is no process's number\n", command, word);
		return false;
	}
	peer->pid = word;
	if (!peer->dir)
		peer->dir = client_dir_of(word);
	if (!peer->dir)
		peer->dir = client_default_dir();
	if (client_is_there(peer->dir, word))
		return true;
	fprintf(stderr, "uslub %s: process %s has no control files in %s\n", command, word,
		peer->dir);
	return false;
}

static int list_processes(const char *dir)
{
	DIR *entries = opendir(dir);
	const struct dirent *entry;

	if (!entries)
		return errno == ENOENT ? 0 : control_failed("ls", dir, errno);
	while ((entry = readdir(entries))) {
		if (client_is_pid(entry->d_name) && client_is_there(dir, entry->d_name))
			puts(entry->d_name);
	}
	closedir(entries);
	return 0;
}

static void print_entries(const struct client_text *answer, bool is_long)
{
	const char *at = answer->data;
	struct client_entry entry;

	while (client_next_entry(&at, &entry)) {
		if (is_long)
			printf("%c %04o ", entry.type, entry.mode);
		puts(entry.name);
	}
}

/* A file is listed as what it is called. */
static int list_path(const struct control_peer *peer, const char *path, bool is_long)
{
	struct client_text answer;
	int error = client_ask(peer->dir, peer->pid, USLUB_CONTROL_LIST, path, NULL, &answer);

	if (!error) {
		print_entries(&answer, is_long);
	} else if (error == ENOTDIR) {
		error = client_ask(peer->dir, peer->pid, USLUB_CONTROL_STAT, path, NULL, &answer);
		if (!error)
			printf("%.*s%s%s\n", is_long ? 6 : 0, answer.data, is_long ? " " : "",
			       path);
	}
	if (error)
		return control_failed("ls", path, error);
	free(answer.data);
	return 0;
}

int ls_main(int argc, char **argv)
{
	struct control_peer peer;
	bool is_long = false;

	control_options(argc, argv, ls_usage, 'l', &is_long, &peer);
	if (argc - optind > 2) {
		fputs(ls_usage, stderr);
		return 2;
	}
	if (argc == optind)
		return list_processes(peer.dir ? peer.dir : client_default_dir());
	if (!control_find_peer("ls", argv[optind], &peer))
		return 1;
	return list_path(&peer, argc - optind > 1 ? argv[optind + 1] : "", is_long);
}

static int get_one(const struct control_peer *peer, const char *path)
{
	struct client_text answer;
	int error = client_ask(peer->dir, peer->pid, USLUB_CONTROL_READ, path, NULL, &answer);

	if (error)
		return control_failed("get", path, error);
	fwrite(answer.data, 1, answer.len, stdout);
	free(answer.data);
	return 0;
}

int get_main(int argc, char **argv)
{
	struct control_peer peer;
	int status = 0;

	control_options(argc, argv, get_usage, '\0', NULL, &peer);
	if (argc - optind < 2) {
		fputs(get_usage, stderr);
		return 2;
	}
	if (!control_find_peer("get", argv[optind], &peer))
		return 1;
	for (int i = optind + 1; i < argc; i++)
		status |= get_one(&peer, argv[i]);
	return fflush(stdout) ? control_failed("get", "stdout", errno) : status;
}

/* As echo writes it, or as it comes; as much as one write takes. */
static bool take_value(const char *value, char *buf, struct client_text *data)
{
	data->data = buf;
	if (!value) {
		data->len = fread(buf, 1, USLUB_CONTROL_MAX_DATA, stdin);
		return !ferror(stdin);
	}
	data->len = strlen(value) + 1;
	if (data->len > USLUB_CONTROL_MAX_DATA)
		data->len = USLUB_CONTROL_MAX_DATA;
	memcpy(buf, value, data->len);
	buf[data->len - 1] = '\n';
	return true;
}

int set_main(int argc, char **argv)
{
	static char buf[USLUB_CONTROL_MAX_DATA];
	struct client_text data, answer;
	struct control_peer peer;
	const char *path;
	int error;

	control_options(argc, argv, set_usage, '\0', NULL, &peer);
	if (argc - optind < 2 || argc - optind > 3) {
		fputs(set_usage, stderr);
		return 2;
	}
	if (!control_find_peer("set", argv[optind], &peer))
		return 1;
	path = argv[optind + 1];
	if (!take_value(argv[optind + 2], buf, &data))
		return control_failed("set", "stdin", errno);
	error = client_ask(peer.dir, peer.pid, USLUB_CONTROL_WRITE, path, &data, &answer);
	if (error)
		return control_failed("set", path, error);
	free(answer.data);
	return 0;
}
