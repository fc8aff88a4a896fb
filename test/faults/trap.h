/*
 * System calls of the preloaded library that fail, in the real library and on the real kernel: a seccomp
 * filter turns the calls about memory into SIGSYS, and the handler makes them or refuses them. Calls of
 * the C library itself are always made. A process that has installed the filter keeps it.
 */
#ifndef USLUB_FAULTS_TRAP_H
#define USLUB_FAULTS_TRAP_H

#include <stdbool.h>
#include <stdint.h>

enum trap_call {
	TRAP_MMAP,
	TRAP_MUNMAP,
	TRAP_MREMAP,
	TRAP_MPROTECT,
	TRAP_MADVISE,
	TRAP_ANY,
	NR_TRAP_CALLS,
};

struct trap {
	/* Refuse the library's calls of this kind with numbers in [fail_from, fail_until), from 1 on. */
	enum trap_call fail;
	uint32_t fail_from, fail_until;
	_Atomic uint32_t refused;
	_Atomic uint32_t calls[NR_TRAP_CALLS];
};

extern struct trap trap;

const char *trap_name(enum trap_call call);
enum trap_call trap_by_name(const char *name);

/* Finds the library. Skips the test where the kernel, or an emulator of it, has no filters. */
void trap_init(char **argv);
/* From now on the calls of this process, and its threads, are trapped. */
void trap_install(void);

#endif
