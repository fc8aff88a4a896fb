/*
 * What the kernel tells of memory and nodes that come and go: its uevents. Layer: os. Called by the control files'
 * service thread.
 *
 * As in os.h: async-signal-safe, no lock, nothing allocated, errno left alone.
 */
#ifndef USLUB_OS_UEVENT_H
#define USLUB_OS_UEVENT_H

#include <stdbool.h>

/*
 * A socket that can be read from when a node or a block of memory of the machine's has come, gone, or changed. Below
 * 0: the kernel gives none, or one to which it would tell nothing: in a network namespace of another user namespace
 * than the machine's own.
 */
int os_uevent_open(void);

enum os_uevent {
	UEVENT_NONE,
	UEVENT_SEEN, /* one or more, be they lost: they are read, and gone */
	UEVENT_LOST, /* there will be none any more */
};
enum os_uevent os_uevent_take(int fd);

#endif
