/*
 * What the core wants from the operating system: one contract, implemented once per system (os_linux.c).
 * Layer: os, the lowest. Called by frame, map, large, thread, report.
 *
 * Every call is async-signal-safe, takes no lock, allocates nothing and leaves errno alone: the system
 * calls are made directly. Sizes are bytes. A NULL or false return means that the kernel refused; the
 * caller undoes what it did and reports out of memory.
 */
#ifndef USLUB_OS_H
#define USLUB_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits of a user-space address that the address map covers. */
#if defined(__x86_64__)
#define OS_ADDRESS_BITS 47
#elif defined(__aarch64__)
#define OS_ADDRESS_BITS 48
#else
#error "uslub knows x86-64 and aarch64"
#endif

/*
 * For small variables that every process touches when it starts: among other data, which is touched anyway. Each of
 * them could cost a page in .bss.
 */
#define early_data __attribute__((section(".data")))

/* Address space without access and without a charge against the commit limit. */
void *os_reserve(size_t size);
/* The same at a given address; false where something else is mapped there. */
bool os_reserve_at(void *addr, size_t size);
/* Private zeroed memory, readable and writable, charged against the commit limit. */
void *os_map(size_t size);
/* Can fail in the middle of a mapping, which it splits: false, and nothing has changed. */
bool os_unmap(void *addr, size_t size);
/* Makes reserved address space readable and writable; doing it twice is harmless. */
bool os_commit(void *addr, size_t size);
/* The opposite, with all that was there; false, and nothing has changed. */
bool os_uncommit(void *addr, size_t size);
/* Gives the pages back; the range stays mapped and reads as zero. */
bool os_purge(void *addr, size_t size);
/* Huge pages for the range, from the next touch of what isn't there yet on: a wish, or where not `wanted` none. */
void os_huge_pages(void *addr, size_t size, bool wanted);
/* Has the range in memory, as if all of it had been written to. False: not all of it is. */
bool os_populate(void *addr, size_t size);
/* Processor time of the calling thread; a system call. */
uint64_t os_thread_ns(void);
/* Is the page in memory? It may be out of it and not zero, where there is swap. */
bool os_is_resident(const void *page);
/* Bytes of up to 64 pages that are in memory; 0 where the kernel doesn't tell. */
size_t os_resident(const void *addr, size_t size);
/* Resizes a mapping where it is; the pages that it gains read as zero. */
bool os_resize(void *addr, size_t old_size, size_t new_size);
/* Moves a mapping onto the reserved range [to, to + new_size) and resizes it; `from` is unmapped. */
bool os_move(void *from, size_t old_size, void *to, size_t new_size);
/* The page will read as zero in the child of a fork. */
bool os_wipe_on_fork(void *addr, size_t size);

/* Can the eight bytes at addr be read? */
bool os_is_readable(const void *addr);
/*
 * Do both addresses lie on the calling thread's first stack, and is the thread running on it? `low` is the
 * lower one. A call of its kind for every page from there to the stack's top: a guard or a gap between
 * says no, and so does an alternate signal stack in use. Stacks that a program carved out of a thread's
 * own, for SS_AUTODISARM or for fibres, can't be told from it.
 */
bool os_on_thread_stack(uintptr_t low, uintptr_t at);
/* Called before main by the first thread, whose stack's top is found in another way. */
void os_thread_stack_init(void);
size_t os_page_size(void);
/* RLIMIT_AS; SIZE_MAX where there is none. */
size_t os_address_limit(void);
/* A monotonic clock that may be some milliseconds old, but costs no system call. */
uint64_t os_clock_ms(void);
/* Prepares os_at_thread_exit(), which may otherwise find no key left. */
bool os_thread_exit_init(void);
/*
 * Has fn(arg) called when the calling thread ends, after the program's own thread-specific destructors
 * have run once. Does not allocate while the process has few keys. False: it will not be called.
 */
bool os_at_thread_exit(void (*fn)(void *), void *arg);
/* Less than a second. For the control plane alone: no allocation or free ever sleeps. */
void os_sleep_ms(long ms);
int os_getpid(void);
/* The same as os_getpid() in the first thread: that of main, or the one that forked. */
int os_gettid(void);
void os_write(int fd, const char *text, size_t len);

#endif
