/*
 * Uevents by netlink. Layer: os; see os_uevent.h.
 *
 * A machine has many that are not meant here, of each disk, interface and control group: a filter in the kernel keeps
 * them from the socket, so that they wake nobody. What comes is taken for a reason to look, and nothing more: only the
 * kernel and root of this network namespace can send it.
 */
#include "os_uevent.h"
#include "os_file.h"
#include "os_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <sys/socket.h>

/* The kernel's own group; the other is udev's. */
#define KERNEL_GROUP 1
/* The initial user namespace's, on every machine. */
#define INITIAL_USER_NAMESPACE 0xEFFFFFFDU
/* The longest that a kernel makes. */
#define EVENT_SIZE 2048
/* More than are ever queued: events that come faster than they are read end the reading. */
#define MAX_EVENTS 4096

/*
 * Uevents go to network namespaces that belong to the initial user namespace, whoever is in them. That of the first
 * thread is the calling one's as well when this is asked; a look at the thread's own directory in /proc would cost its
 * end ten milliseconds.
 */
static bool is_told_of_events(void)
{
	static const char path[] = "/proc/self/ns/net";
	int net = (int)os_syscall6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	int owner = -1;
	bool is_initial;

	if (net < 0)
		return false;
	owner = (int)os_syscall3(SYS_ioctl, net, NS_GET_USERNS, 0);
	is_initial = owner >= 0 && os_file_id(owner, NULL).inode == INITIAL_USER_NAMESPACE;
	if (owner >= 0)
		os_close(owner);
	os_close(net);
	return is_initial;
}

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define UNLESS(word, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, 0, skip)
#define IF(word, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, skip, 0)
#define TAKE BPF_STMT(BPF_RET | BPF_K, EVENT_SIZE)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)
#define WORD(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* An event of `/devices/system/node/...` or `/devices/system/memory/...` behind an action of n letters and an '@'. */
#define BEHIND(n)                                                          \
	LOAD((n) + 1), UNLESS(WORD('/', 'd', 'e', 'v'), 8), LOAD((n) + 9), \
		UNLESS(WORD('/', 's', 'y', 's'), 6), LOAD((n) + 13),       \
		UNLESS(WORD('t', 'e', 'm', '/'), 4), LOAD((n) + 17),       \
		IF(WORD('n', 'o', 'd', 'e'), 1), UNLESS(WORD('m', 'e', 'm', 'o'), 1), TAKE

/* add@; remove@, online@, change@; offline@. No event is so short that a load goes beyond it. */
static bool attach_filter(int fd)
{
	static struct sock_filter steps[] = {BEHIND(3), BEHIND(6), BEHIND(7), DROP};
	struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};

	return !os_is_error(os_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER,
					(long)&program, sizeof(program), 0));
}

int os_uevent_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	long ret;
	int fd;

	if (!is_told_of_events())
		return -EPERM;
	fd = (int)os_syscall3(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return fd;
	ret = attach_filter(fd) ? os_syscall3(SYS_bind, fd, (long)&address, sizeof(address))
				: -EPERM;
	if (!os_is_error(ret))
		return fd;
	os_close(fd);
	return (int)ret;
}

enum os_uevent os_uevent_take(int fd)
{
	enum os_uevent seen = UEVENT_NONE;
	char event[EVENT_SIZE];
	long n;

	for (uint32_t i = 0; i < MAX_EVENTS; i++) {
		n = os_receive(fd, event, sizeof(event));
		if (n == -EAGAIN)
			return seen;
		/* Where some were lost, the kernel says so once. */
		if (n < 0 && n != -EINTR && n != -ENOBUFS)
			return UEVENT_LOST;
		seen = UEVENT_SEEN;
	}
	return seen;
}
