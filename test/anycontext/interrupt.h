/*
 * What the programs of test/anycontext share: a timer whose signal interrupts the thread that asked for
 * it, and whether it was malloc that was interrupted. For C and C++; nothing here allocates.
 */
#ifndef USLUB_TEST_INTERRUPT_H
#define USLUB_TEST_INTERRUPT_H

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>

#include "check.h"

/* sys/sigevent of older C libraries has the field, but no name for it. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The code of the object that malloc comes from: the allocator's alone, or all of the C library. */
struct code_range {
	uintptr_t start, end;
};

static struct code_range allocator_code;

static inline int find_code(struct dl_phdr_info *object, size_t size, void *address)
{
	(void)size;
	for (unsigned int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		uintptr_t start = object->dlpi_addr + part->p_vaddr;

		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) ||
		    (uintptr_t)address - start >= part->p_memsz)
			continue;
		allocator_code.start = start;
		allocator_code.end = start + part->p_memsz;
		return 1;
	}
	return 0;
}

static inline void find_allocator(void)
{
	CHECK(dl_iterate_phdr(find_code, dlsym(RTLD_DEFAULT, "malloc")));
}

/* Whether the handler that has this context interrupted the allocator. */
static inline bool in_allocator(const void *context)
{
	const ucontext_t *frame = (const ucontext_t *)context;
#if defined(__x86_64__)
	uintptr_t pc = (uintptr_t)frame->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	uintptr_t pc = frame->uc_mcontext.pc;
#else
#error "no program counter is known for this machine"
#endif

	return pc - allocator_code.start < allocator_code.end - allocator_code.start;
}

static inline void handle_sigprof(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	CHECK(sigaction(SIGPROF, &action, NULL) == 0);
}

static inline void set_timer(timer_t timer, long nanoseconds)
{
	struct itimerspec times;

	memset(&times, 0, sizeof(times));
	times.it_value.tv_nsec = times.it_interval.tv_nsec = nanoseconds;
	CHECK(timer_settime(timer, 0, &times, NULL) == 0);
}

/*
 * SIGPROF to the calling thread, so often. Of the real clock: those of processor time, which profilers
 * take, are as coarse as the kernel's tick.
 */
static inline timer_t interrupt_this_thread(long nanoseconds)
{
	struct sigevent event;
	timer_t timer;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = SIGPROF;
	event.sigev_notify_thread_id = gettid();
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	set_timer(timer, nanoseconds);
	return timer;
}

static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

/* Another one in each process and for each thread. */
static inline uint64_t random_start(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_nsec * 2654435761u ^ (uint64_t)gettid() << 32;
}

/*
 * What main() returns: 0 where the program has shown what it is for, which takes enough handlers that
 * interrupted malloc.
 */
static inline int report(unsigned long handled, unsigned long inside, unsigned long wanted)
{
	if (inside < wanted) {
		fprintf(stderr, "only %lu of %lu handlers interrupted malloc\n", inside, handled);
		return 1;
	}
	printf("right: %lu handlers, %lu of them inside malloc\n", handled, inside);
	return 0;
}

#endif
