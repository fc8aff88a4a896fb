/*
 * Requests over the control socket. Layer: tools; see client.h.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A process may be stopped, or send its answer byte by byte. */
#define PATIENCE_S 5
/* A server with too many peers hangs up on those that say nothing for too long. */
#define TRIES 4

static void set_patience(int fd)
{
	struct timeval time = {PATIENCE_S, 0};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

/* By way of the directory's descriptor: a socket's address has no room for every path. */
static int connect_in(int dir, const char *pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -errno;
	set_patience(fd);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir, pid);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* Another user's sockets, be it where this one's are looked for, answer what that user likes. Root looks at all. */
static int open_sockets(const char *path)
{
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat is;

	if (dir < 0)
		return -errno;
	if (geteuid() == 0 || (fstat(dir, &is) == 0 && is.st_uid == geteuid()))
		return dir;
	close(dir);
	return -EACCES;
}

static int connect_to(const char *dir_path, const char *pid)
{
	int dir = open_sockets(dir_path), fd;

	if (dir < 0)
		return dir;
	fd = connect_in(dir, pid);
	close(dir);
	return fd;
}

/* A peer that hangs up, or takes too long, has given no answer. */
static int failed(ssize_t n)
{
	if (n == 0)
		return EPIPE;
	return errno == EAGAIN ? ETIMEDOUT : errno;
}

static int send_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(n);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int receive_all(int fd, void *data, size_t len, time_t end)
{
	char *at = data;

	while (len) {
		ssize_t n = recv(fd, at, len, 0);

		if (seconds() > end)
			return ETIMEDOUT;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(n);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_answer(int fd, struct client_text *answer)
{
	time_t end = seconds() + (time_t)2 * PATIENCE_S;
	struct uslub_control_answer head;
	int error = receive_all(fd, &head, sizeof(head), end);

	if (error)
		return error;
	if (head.magic != USLUB_CONTROL_MAGIC || head.data_len > USLUB_CONTROL_MAX_ANSWER)
		return EPROTO;
	answer->len = head.data_len;
	answer->data = calloc(1, answer->len + 1);
	if (!answer->data)
		return ENOMEM;
	error = receive_all(fd, answer->data, answer->len, end);
	return error ? error : (int)head.error;
}

static int exchange(int fd, enum uslub_control_op op, const char *path,
		    const struct client_text *data, struct client_text *answer)
{
	struct uslub_control_request head = {
		.magic = USLUB_CONTROL_MAGIC,
		.op = (uint16_t)op,
		.path_len = (uint16_t)strlen(path),
		.data_len = data ? (uint32_t)data->len : 0,
	};
	int error = send_all(fd, &head, sizeof(head));

	if (!error)
		error = send_all(fd, path, head.path_len);
	if (!error && data)
		error = send_all(fd, data->data, data->len);
	/* It may have answered before it hung up. */
	if (error && error != EPIPE && error != ECONNRESET)
		return error;
	return receive_answer(fd, answer);
}

int client_ask(const char *dir, const char *pid, enum uslub_control_op op, const char *path,
	       const struct client_text *data, struct client_text *answer)
{
	int error = ECONNRESET;

	*answer = (struct client_text){NULL, 0};
	if (strlen(path) > USLUB_CONTROL_MAX_PATH)
		return ENAMETOOLONG;
	if (data && data->len > USLUB_CONTROL_MAX_DATA)
		return E2BIG;
	for (int i = 0; i < TRIES && (error == ECONNRESET || error == EPIPE); i++) {
		int fd = connect_to(dir, pid);

		if (fd < 0)
			return fd == -ECONNREFUSED ? ESRCH : fd == -EAGAIN ? ETIMEDOUT : -fd;
		error = exchange(fd, op, path, data, answer);
		close(fd);
		if (error) {
			free(answer->data);
			*answer = (struct client_text){NULL, 0};
		}
	}
	return error;
}

/* One that can be an entry of a directory, and does nothing to a terminal. */
static bool is_name(const char *name)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++) {
		if ((unsigned char)*name < ' ' || *name == '\177')
			return false;
	}
	return true;
}

/* A type, a mode, and perhaps a name, in a line of `len` bytes. */
static bool parse_entry(const char *line, size_t len, struct client_entry *entry)
{
	size_t n = len > 7 ? len - 7 : 0;
	char *rest;

	if (len < 6 || !strchr("dl-", line[0]) || line[1] != ' ' || n >= sizeof(entry->name))
		return false;
	entry->type = line[0];
	entry->mode = (unsigned int)strtoul(line + 2, &rest, 8);
	memcpy(entry->name, line + len - n, n);
	entry->name[n] = '\0';
	return rest == line + 6 && entry->mode <= 0777 && (!n || line[6] == ' ') &&
	       (n ? is_name(entry->name) : entry->type != 'l');
}

bool client_stat_entry(const struct client_text *answer, struct client_entry *entry)
{
	return answer->len && parse_entry(answer->data, strcspn(answer->data, "\n"), entry);
}

bool client_next_entry(const char **at, struct client_entry *entry)
{
	const char *end = strchr(*at, '\n');

	if (!end || !parse_entry(*at, (size_t)(end - *at), entry) || !*entry->name)
		return false;
	*at = end + 1;
	return true;
}

const char *client_default_dir(void)
{
	static char path[PATH_MAX];
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		return "/run/uslub";
	if (run && *run == '/' && access(run, W_OK) == 0)
		snprintf(path, sizeof(path), "%s/uslub", run);
	else
		snprintf(path, sizeof(path), "/tmp/uslub-%u", (unsigned int)geteuid());
	return path;
}

/* Of USLUB's text, the value of `control`. */
static const char *find_control(char *text)
{
	const char *dir = NULL;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (strncmp(word, "control:", 8) == 0)
			dir = word + 8;
	}
	return dir;
}

const char *client_dir_of(const char *pid)
{
	static char *line;
	static size_t size;
	char path[64];
	const char *dir = NULL;
	FILE *environment;

	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	environment = fopen(path, "re");
	if (!environment)
		return NULL;
	while (!dir && getdelim(&line, &size, '\0', environment) > 0) {
		if (strncmp(line, "USLUB=", 6) == 0)
			dir = find_control(line + 6);
	}
	fclose(environment);
	return dir;
}

bool client_is_pid(const char *name)
{
	return *name >= '1' && *name <= '9' && strspn(name, "0123456789") == strlen(name) &&
	       strlen(name) < 11;
}

bool client_is_there(const char *dir_path, const char *pid)
{
	int dir = open_sockets(dir_path), fd;
	struct stat is;

	if (dir < 0)
		return false;
	fd = connect_in(dir, pid);
	/* One of a process that is there may be about to listen. */
	if (fd == -ECONNREFUSED && kill((pid_t)strtol(pid, NULL, 10), 0) != 0 && errno == ESRCH &&
	    fstatat(dir, pid, &is, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(is.st_mode))
		unlinkat(dir, pid, 0);
	close(dir);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
