/*
 * Files and sockets on Linux. Layer: os; see os_file.h.
 */
#include "os_file.h"
#include "os.h"
#include "os_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

static long os_open(const char *path, int flags)
{
	return os_syscall6(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0, 0);
}

static uint32_t own_user(void)
{
	return (uint32_t)os_syscall3(SYS_geteuid, 0, 0, 0);
}

static bool is_own_directory(int fd)
{
	struct stat is = {.st_mode = 0};

	return !os_is_error(os_syscall3(SYS_fstat, fd, (long)&is, 0)) && S_ISDIR(is.st_mode) &&
	       is.st_uid == own_user() && !(is.st_mode & (S_IWGRP | S_IWOTH));
}

int os_open_own_directory(const char *path)
{
	int fd = (int)os_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (fd < 0 || is_own_directory(fd))
		return fd;
	os_close(fd);
	return -EPERM;
}

bool os_make_directory(const char *path)
{
	return !os_is_error(os_syscall3(SYS_mkdirat, AT_FDCWD, (long)path, 0700));
}

void os_close(int fd)
{
	os_syscall3(SYS_close, fd, 0, 0);
}

int os_duplicate(int fd)
{
	return (int)os_syscall3(SYS_dup, fd, 0, 0);
}

bool os_change_directory(int fd)
{
	return !os_is_error(os_syscall3(SYS_fchdir, fd, 0, 0));
}

static bool stat_at(int fd, const char *name, struct stat *is)
{
	return !os_is_error(os_syscall6(SYS_newfstatat, fd, (long)name, (long)is,
					*name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH, 0, 0));
}

struct os_file_id os_file_id(int fd, const char *name)
{
	struct stat is = {.st_mode = 0};

	if (!stat_at(fd, name ? name : "", &is))
		return (struct os_file_id){0, 0};
	return (struct os_file_id){is.st_dev, is.st_ino};
}

bool os_remove_at(int fd, const char *name)
{
	return !os_is_error(os_syscall3(SYS_unlinkat, fd, (long)name, 0));
}

/* As the kernel writes it. */
struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

void os_each_entry(int fd, void (*fn)(const char *name))
{
	_Alignas(struct directory_entry) char buf[2048];
	long n;

	while ((n = os_syscall3(SYS_getdents64, fd, (long)buf, sizeof(buf))) > 0) {
		const struct directory_entry *entry;

		for (long at = 0; at < n; at += entry->size) {
			entry = (const struct directory_entry *)(buf + at);
			fn(entry->name);
		}
	}
}

long os_read_file(const char *path, char *buf, size_t size)
{
	long fd = os_open(path, O_RDONLY), n, len = 0;

	if (fd < 0)
		return fd;
	do {
		n = os_syscall3(SYS_read, fd, (long)(buf + len), (long)size - len);
		if (n > 0)
			len += n;
	} while (n == -EINTR || (n > 0 && len < (long)size));
	os_close((int)fd);
	return n < 0 ? n : len;
}

static int unix_socket(void)
{
	return (int)os_syscall3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void unix_address(struct sockaddr_un *address, const char *name)
{
	size_t n = __builtin_strlen(name);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (n < sizeof(address->sun_path))
		__builtin_memcpy(address->sun_path, name, n);
}

int os_listen(const char *name, int backlog)
{
	struct sockaddr_un address;
	int fd = unix_socket();
	long mask, ret;

	if (fd < 0)
		return fd;
	unix_address(&address, name);
	/* The thread's own, where it has its own working directory. */
	mask = os_syscall3(SYS_umask, 0177, 0, 0);
	ret = os_syscall3(SYS_bind, fd, (long)&address, sizeof(address));
	os_syscall3(SYS_umask, mask, 0, 0);
	if (!os_is_error(ret))
		ret = os_syscall3(SYS_listen, fd, backlog, 0);
	if (!os_is_error(ret))
		return fd;
	os_close(fd);
	return (int)ret;
}

bool os_remove_stale_socket(const char *name)
{
	struct sockaddr_un address;
	struct stat is = {.st_mode = 0};
	long ret;
	int fd;

	if (!stat_at(AT_FDCWD, name, &is))
		return true;
	if (!S_ISSOCK(is.st_mode) || is.st_uid != own_user())
		return false;
	fd = unix_socket();
	unix_address(&address, name);
	ret = os_syscall3(SYS_connect, fd, (long)&address, sizeof(address));
	os_close(fd);
	return ret == -ECONNREFUSED && os_remove_at(AT_FDCWD, name);
}

int os_accept(int fd)
{
	return (int)os_syscall6(SYS_accept4, fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0);
}

bool os_peer_may(int fd)
{
	struct ucred peer = {0, (uid_t)-1, 0};
	socklen_t len = sizeof(peer);

	return !os_is_error(os_syscall6(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, (long)&peer,
					(long)&len, 0)) &&
	       (peer.uid == own_user() || peer.uid == 0);
}

long os_receive(int fd, void *buf, size_t size)
{
	return os_syscall6(SYS_recvfrom, fd, (long)buf, (long)size, MSG_DONTWAIT, 0, 0);
}

long os_send(int fd, const void *buf, size_t size)
{
	return os_syscall6(SYS_sendto, fd, (long)buf, (long)size, MSG_DONTWAIT | MSG_NOSIGNAL, 0,
			   0);
}

/* A program may forbid itself to poll: by a filter, or with a limit of fewer descriptors than are open. */
static bool sleep_instead(struct os_poll *polls, uint32_t n)
{
	struct timespec time = {0, 100000000L};
	long ret = os_syscall3(SYS_nanosleep, (long)&time, 0, 0);

	for (uint32_t i = 0; i < n; i++)
		polls[i].ready = polls[i].fd >= 0;
	return !os_is_error(ret) || ret == -EINTR;
}

bool os_poll(struct os_poll *polls, uint32_t n, int32_t ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
	struct pollfd fds[OS_POLL_MAX];
	uint32_t used = 0;
	long ret;

	/* More than the limit of descriptors are refused, be they left out. */
	for (uint32_t i = 0; i < n; i++) {
		if (polls[i].fd >= 0)
			fds[used++] = (struct pollfd){polls[i].fd,
						      (short)((polls[i].to_read ? POLLIN : 0) |
							      (polls[i].to_write ? POLLOUT : 0)),
						      0};
	}
	ret = os_syscall6(SYS_ppoll, (long)fds, used, ms < 0 ? 0 : (long)&time, 0, 8, 0);
	if (os_is_error(ret) && ret != -EINTR)
		return sleep_instead(polls, n);
	used = 0;
	for (uint32_t i = 0; i < n; i++)
		polls[i].ready = polls[i].fd >= 0 && fds[used++].revents != 0;
	return true;
}

void os_wait_word(_Atomic uint32_t *word, uint32_t value, long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	os_syscall6(SYS_futex, (long)word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, (long)&time, 0,
		    0);
}

void os_wake_word(_Atomic uint32_t *word)
{
	os_syscall3(SYS_futex, (long)word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

bool os_process_exists(int pid)
{
	return os_syscall3(SYS_kill, pid, 0, 0) != -ESRCH;
}

void os_name_thread(const char *name)
{
	os_syscall3(SYS_prctl, PR_SET_NAME, (long)name, 0);
}

bool os_copy_memory(void *to, const void *from, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)from, size};

	return os_syscall6(SYS_process_vm_readv, os_getpid(), (long)&local, 1, (long)&remote, 1,
			   0) == (long)size;
}

uint64_t os_memory_size(void)
{
	struct sysinfo info = {0};

	os_syscall3(SYS_sysinfo, (long)&info, 0, 0);
	return (uint64_t)info.totalram * info.mem_unit;
}
