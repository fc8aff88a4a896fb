/*
 * Files and sockets, by system calls. Layer: os. Called by the control files' service thread, and by the node
 * layer for what sysfs says.
 *
 * As in os.h: async-signal-safe, no lock, nothing allocated, errno left alone. Descriptors and counts are below 0
 * on failure: -errno.
 */
#ifndef USLUB_OS_FILE_H
#define USLUB_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A directory that is the process's own user's, no symbolic link, and writable for nobody else; -EPERM otherwise. */
int os_open_own_directory(const char *path);
bool os_make_directory(const char *path);
void os_close(int fd);
/* The lowest number that is free becomes the same file as fd. */
int os_duplicate(int fd);
/* The directory becomes this thread's working directory, if that is its own. */
bool os_change_directory(int fd);
/* The device and inode of a descriptor, or with a name of the entry in that directory; 0: there is none. */
struct os_file_id {
	uint64_t device, inode;
};
struct os_file_id os_file_id(int fd, const char *name);
bool os_remove_at(int fd, const char *name);
/* Calls fn with the name of each entry of the directory. */
void os_each_entry(int fd, void (*fn)(const char *name));
/* The whole file, up to `size` bytes; below 0: it can't be read. */
long os_read_file(const char *path, char *buf, size_t size);

/* A socket that listens under that name in the working directory, mode 0600. */
int os_listen(const char *name, int backlog);
/* Does nobody listen under the name that is there? Removes it where it was a socket of the own user. */
bool os_remove_stale_socket(const char *name);
int os_accept(int fd);
/* False where the peer's user is neither this thread's nor root. */
bool os_peer_may(int fd);
/* -EAGAIN: it would wait. */
long os_receive(int fd, void *buf, size_t size);
long os_send(int fd, const void *buf, size_t size);

struct os_poll {
	int fd; /* below 0: left out */
	bool to_read, to_write;
	bool ready;
};
#define OS_POLL_MAX 32U
/*
 * Waits until one is ready, or so long; below 0: for ever. Where the kernel refuses to poll, all are taken for ready
 * after a while. False: it refuses to let the thread sleep as well.
 */
bool os_poll(struct os_poll *polls, uint32_t n, int32_t ms);

/* Waits while *word is `value`, at most so long. */
void os_wait_word(_Atomic uint32_t *word, uint32_t value, long ms);
void os_wake_word(_Atomic uint32_t *word);

/* Is there a process of that number, be it another user's? */
bool os_process_exists(int pid);
void os_name_thread(const char *name);
/* Copies memory of this process that may not be there. */
bool os_copy_memory(void *to, const void *from, size_t size);
/* The machine's memory, in bytes. */
uint64_t os_memory_size(void);

#endif
