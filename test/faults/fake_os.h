/*
 * The os contract of the core (core/os.h), put between the core and the kernel by the linker's --wrap:
 * counts the calls, refuses those that a test names or that exceed a limit on memory, keeps the books,
 * and can make the page size and the address limit others than they are. The clock stands still unless a
 * test moves it.
 */
#ifndef USLUB_FAULTS_FAKE_OS_H
#define USLUB_FAULTS_FAKE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../os_call.h"

struct fake_os {
	/* Refuse the calls of this kind with numbers in [fail_from, fail_until), from 1 on. */
	enum os_call fail;
	unsigned int fail_from, fail_until;
	unsigned int refused;
	bool unmap_refused; /* so the heap may have lost address space */
	bool purge_refused; /* and memory there */
	unsigned int calls[NR_OS_CALLS];

	size_t page_size;     /* 0: the machine's */
	size_t address_limit; /* what RLIMIT_AS seems to be; nothing is refused for it */
	size_t charge_limit;  /* of what is readable and writable, as RLIMIT_DATA */
	uint64_t clock_ms;

	/* The next os_reserve() lands here. */
	void *reserve_next;
	/* Called when memory has become accessible, and the core has not been told. */
	void (*commit_done)(void *addr, size_t size);
	/* Called when pages have moved away and the hole behind them is open. */
	void (*hole_open)(void *addr, size_t size);
	/* Called when a move failed after its target had been unmapped. */
	void (*target_open)(void *addr, size_t size);
};

extern struct fake_os fake_os;

const char *os_call_name(enum os_call call);
/* NR_OS_CALLS where there is none of that name. */
enum os_call os_call_by_name(const char *name);

/* From now on no call is refused. */
void fake_os_recover(void);
/* Refuses every call of that kind from now on. */
void fake_os_refuse(enum os_call call);

/* What the heap has mapped, and what of it is charged, in bytes. */
size_t fake_os_mapped(void);
size_t fake_os_charged(void);
/* Bytes that are resident where the kernel would not unmap and the heap has kept nothing. */
size_t fake_os_stuck(bool (*is_kept)(const void *addr));

#endif
