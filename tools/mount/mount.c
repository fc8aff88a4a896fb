/*
 * `uslub-mount DIR MOUNTPOINT [-f]`: the control files of all processes whose sockets are in DIR as real files,
 * MOUNTPOINT/PID/... Layer: tools. Run by `uslub mount`; the one program here that is linked with libfuse3.
 *
 * Nothing is kept but what an open file has read: each call asks the process. What sysfs refuses is refused here,
 * in the same way, also for root: the kernel leaves modes to us, for the file system asks it to check none.
 */
#define FUSE_USE_VERSION 31

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/client.h"

/* Of any file, as sysfs says: how long it is, nobody knows before it is read. */
#define SHOWN_SIZE 4096

static char sockets[PATH_MAX];

/* An open file. */
struct handle {
	pthread_mutex_t lock;
	struct client_text text; /* under lock; what was read at its beginning */
};

/* A path of the mount: the process's number, and the path in its tree. */
struct place {
	char pid[16];
	const char *path;
};

/* False: the path is no process's. */
static bool find_place(const char *path, struct place *place)
{
	size_t n = strcspn(path + 1, "/");

	if (n == 0 || n >= sizeof(place->pid))
		return false;
	memcpy(place->pid, path + 1, n);
	place->pid[n] = '\0';
	place->path = path + 1 + n;
	return client_is_pid(place->pid);
}

/* What a file system says where a socket says something else. A process that is gone took its files with it. */
static int file_error(int error, int gone)
{
	switch (error) {
	case ENOENT:
	case ESRCH:
		return -gone;
	case EPIPE:
	case ECONNRESET:
	case EPROTO:
		return -EIO;
	default:
		return -error;
	}
}

/* Type, mode, and of a link where it leads. */
static int look(const char *path, struct client_entry *entry)
{
	struct client_text answer;
	struct place place;
	int error;

	*entry = (struct client_entry){.type = 'd', .mode = 0555};
	if (strcmp(path, "/") == 0)
		return 0;
	if (!find_place(path, &place))
		return -ENOENT;
	if (!*place.path)
		return client_is_there(sockets, place.pid) ? 0 : -ENOENT;
	error = client_ask(sockets, place.pid, USLUB_CONTROL_STAT, place.path, NULL, &answer);
	if (error)
		return file_error(error, ENOENT);
	if (!client_stat_entry(&answer, entry))
		error = EIO;
	free(answer.data);
	return -error;
}

static int mount_getattr(const char *path, struct stat *is, struct fuse_file_info *file)
{
	struct client_entry entry;
	int error = look(path, &entry);

	(void)file;
	if (error)
		return error;
	*is = (struct stat){.st_uid = getuid(), .st_gid = getgid(), .st_nlink = 1};
	is->st_atime = is->st_mtime = is->st_ctime = time(NULL);
	is->st_mode = entry.mode | (mode_t)(entry.type == 'd'	? S_IFDIR
					    : entry.type == 'l' ? S_IFLNK
								: S_IFREG);
	is->st_size = entry.type == '-' ? SHOWN_SIZE : 0;
	return 0;
}

static int mount_readlink(const char *path, char *target, size_t size)
{
	struct client_entry entry;
	int error = look(path, &entry);

	if (error)
		return error;
	if (entry.type != 'l')
		return -EINVAL;
	snprintf(target, size, "%s", entry.name);
	return 0;
}

static int list_processes(void *list, fuse_fill_dir_t fill)
{
	DIR *entries = opendir(sockets);
	const struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		if (client_is_pid(entry->d_name) && client_is_there(sockets, entry->d_name))
			fill(list, entry->d_name, NULL, 0, (enum fuse_fill_dir_flags)0);
	}
	if (entries)
		closedir(entries);
	return 0;
}

static int mount_readdir(const char *path, void *list, fuse_fill_dir_t fill, off_t offset,
			 struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
	struct client_text answer;
	struct client_entry entry;
	struct place place;
	const char *at;
	int error;

	(void)offset;
	(void)file;
	(void)flags;
	fill(list, ".", NULL, 0, (enum fuse_fill_dir_flags)0);
	fill(list, "..", NULL, 0, (enum fuse_fill_dir_flags)0);
	if (!find_place(path, &place))
		return list_processes(list, fill);
	error = client_ask(sockets, place.pid, USLUB_CONTROL_LIST, place.path, NULL, &answer);
	if (error)
		return file_error(error, ENOENT);
	for (at = answer.data; client_next_entry(&at, &entry);)
		fill(list, entry.name, NULL, 0, (enum fuse_fill_dir_flags)0);
	free(answer.data);
	return 0;
}

static bool may_open(const struct client_entry *entry, int flags)
{
	unsigned int wanted = (flags & O_ACCMODE) == O_RDONLY	? 0444
			      : (flags & O_ACCMODE) == O_WRONLY ? 0222
								: 0666;

	/* Of each kind of right one bit is enough: whose it is has been seen to. */
	return (!(wanted & 0444) || entry->mode & 0444) && (!(wanted & 0222) || entry->mode & 0222);
}

static int mount_open(const char *path, struct fuse_file_info *file)
{
	struct client_entry entry;
	struct handle *handle;
	int error = look(path, &entry);

	if (error)
		return error;
	if (!may_open(&entry, file->flags))
		return -EACCES;
	handle = calloc(1, sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	pthread_mutex_init(&handle->lock, NULL);
	file->fh = (uint64_t)(uintptr_t)handle;
	/* Each read and write is the process's to answer, and the shown size means nothing. */
	file->direct_io = 1;
	return 0;
}

static struct handle *handle_of(const struct fuse_file_info *file)
{
	return (struct handle *)(uintptr_t)file->fh;
}

static int mount_release(const char *path, struct fuse_file_info *file)
{
	struct handle *handle = handle_of(file);

	(void)path;
	free(handle->text.data);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
	return 0;
}

/* The beginning is read anew; what is behind it is of the same reading. */
static int fill_handle(struct handle *handle, const char *path, off_t offset)
{
	struct client_text answer;
	struct place place;
	int error;

	if (offset != 0 && handle->text.data)
		return 0;
	if (!find_place(path, &place))
		return -EIO;
	error = client_ask(sockets, place.pid, USLUB_CONTROL_READ, place.path, NULL, &answer);
	if (error)
		return file_error(error, ENODEV);
	free(handle->text.data);
	handle->text = answer;
	return 0;
}

static int mount_read(const char *path, char *buf, size_t size, off_t offset,
		      struct fuse_file_info *file)
{
	struct handle *handle = handle_of(file);
	int error, n = 0;

	pthread_mutex_lock(&handle->lock);
	error = fill_handle(handle, path, offset);
	if (!error && (size_t)offset < handle->text.len) {
		size_t left = handle->text.len - (size_t)offset;

		n = (int)(size < left ? size : left);
		memcpy(buf, handle->text.data + offset, (size_t)n);
	}
	pthread_mutex_unlock(&handle->lock);
	return error ? error : n;
}

/* As sysfs takes it: up to a page, whatever the offset. */
static int mount_write(const char *path, const char *buf, size_t size, off_t offset,
		       struct fuse_file_info *file)
{
	struct client_text data = {NULL, size}, answer;
	struct place place;
	int error;

	(void)offset;
	(void)file;
	if (data.len > USLUB_CONTROL_MAX_DATA)
		data.len = USLUB_CONTROL_MAX_DATA;
	if (!find_place(path, &place))
		return -EIO;
	data.data = malloc(data.len + 1);
	if (!data.data)
		return -ENOMEM;
	memcpy(data.data, buf, data.len);
	error = client_ask(sockets, place.pid, USLUB_CONTROL_WRITE, place.path, &data, &answer);
	free(data.data);
	free(answer.data);
	return error ? file_error(error, ENODEV) : (int)data.len;
}

/* Nothing is shorter for it, but `>` asks for it. */
static int mount_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
	struct client_entry entry;
	int error = look(path, &entry);

	(void)size;
	(void)file;
	if (error)
		return error;
	return entry.mode & 0222 ? 0 : -EACCES;
}

static int mount_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
	(void)path;
	(void)mode;
	(void)file;
	return -EACCES;
}

static int mount_mknod(const char *path, mode_t mode, dev_t device)
{
	(void)path;
	(void)mode;
	(void)device;
	return -EPERM;
}

static int mount_mkdir(const char *path, mode_t mode)
{
	(void)path;
	(void)mode;
	return -EPERM;
}

static int mount_remove(const char *path)
{
	(void)path;
	return -EPERM;
}

static int mount_rename(const char *from, const char *to, unsigned int flags)
{
	(void)from;
	(void)to;
	(void)flags;
	return -EPERM;
}

static int mount_link(const char *from, const char *to)
{
	(void)from;
	(void)to;
	return -EPERM;
}

static int mount_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
	(void)path;
	(void)mode;
	(void)file;
	return -EPERM;
}

static int mount_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *file)
{
	(void)path;
	(void)user;
	(void)group;
	(void)file;
	return -EPERM;
}

/* What touch(1) asks for. There is no time that could be kept. */
static int mount_utimens(const char *path, const struct timespec times[2],
			 struct fuse_file_info *file)
{
	(void)path;
	(void)times;
	(void)file;
	return 0;
}

/* What was true a moment ago need not be true now. */
static void *mount_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
	connection->want |= connection->capable & FUSE_CAP_ATOMIC_O_TRUNC;
	return NULL;
}

static const struct fuse_operations operations = {
	.getattr = mount_getattr,
	.readlink = mount_readlink,
	.mknod = mount_mknod,
	.mkdir = mount_mkdir,
	.unlink = mount_remove,
	.rmdir = mount_remove,
	.symlink = mount_link,
	.rename = mount_rename,
	.link = mount_link,
	.chmod = mount_chmod,
	.chown = mount_chown,
	.utimens = mount_utimens,
	.truncate = mount_truncate,
	.open = mount_open,
	.read = mount_read,
	.write = mount_write,
	.release = mount_release,
	.readdir = mount_readdir,
	.init = mount_init,
	.create = mount_create,
};

/* In the background it works in the root directory: DIR needs its full path, also where it is not there yet. */
static bool set_sockets(const char *dir)
{
	char here[PATH_MAX];
	int n;

	if (*dir == '/')
		n = snprintf(sockets, sizeof(sockets), "%s", dir);
	else if (getcwd(here, sizeof(here)))
		n = snprintf(sockets, sizeof(sockets), "%s/%s", here, dir);
	else
		return false;
	return n > 0 && (size_t)n < sizeof(sockets);
}

int main(int argc, char **argv)
{
	static char name[] = "uslub-mount", dash_o[] = "-o", dash_f[] = "-f",
		    mount_options[] = "fsname=uslub,subtype=uslub,nosuid,nodev,noexec";
	char *words[] = {name, dash_o, mount_options, NULL, NULL, NULL};

	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], dash_f) != 0) ||
	    !set_sockets(argv[1])) {
		fputs("Usage: uslub-mount DIR MOUNTPOINT [-f]\nRun by `uslub mount`.\n", stderr);
		return 2;
	}
	/* What it stays in the background with would be kept open for nothing. */
	if (argc == 3)
		close_range(STDERR_FILENO + 1, ~0U, 0);
	words[3] = argv[2];
	if (argc == 4)
		words[4] = dash_f;
	return fuse_main(argc == 4 ? 5 : 4, words, &operations, NULL);
}
