/*
 * The os contract on Linux. Layer: os. Called by everything above it; see os.h.
 */
#include "os.h"
#include "os_syscall.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static void *os_mmap(void *addr, size_t size, int prot, int flags)
{
	long ret = os_syscall6(SYS_mmap, (long)addr, (long)size, prot,
			       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return os_is_error(ret) ? NULL : (void *)ret;
}

void *os_reserve(size_t size)
{
	return os_mmap(NULL, size, PROT_NONE, MAP_NORESERVE);
}

bool os_reserve_at(void *addr, size_t size)
{
	void *map = os_mmap(addr, size, PROT_NONE, MAP_NORESERVE | MAP_FIXED_NOREPLACE);

	if (map == addr)
		return true;
	/* A kernel before 4.17 takes the address for a hint. */
	if (map)
		os_unmap(map, size);
	return false;
}

void *os_map(size_t size)
{
	return os_mmap(NULL, size, PROT_READ | PROT_WRITE, 0);
}

bool os_unmap(void *addr, size_t size)
{
	return !os_is_error(os_syscall3(SYS_munmap, (long)addr, (long)size, 0));
}

bool os_commit(void *addr, size_t size)
{
	return !os_is_error(
		os_syscall3(SYS_mprotect, (long)addr, (long)size, PROT_READ | PROT_WRITE));
}

bool os_uncommit(void *addr, size_t size)
{
	return os_mmap(addr, size, PROT_NONE, MAP_NORESERVE | MAP_FIXED) != NULL;
}

bool os_purge(void *addr, size_t size)
{
	return !os_is_error(os_syscall3(SYS_madvise, (long)addr, (long)size, MADV_DONTNEED));
}

void os_huge_pages(void *addr, size_t size, bool wanted)
{
	os_syscall3(SYS_madvise, (long)addr, (long)size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

bool os_populate(void *addr, size_t size)
{
	return !os_is_error(os_syscall3(SYS_madvise, (long)addr, (long)size, MADV_POPULATE_WRITE));
}

uint64_t os_thread_ns(void)
{
	struct timespec now = {0, 0};

	os_syscall3(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&now, 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool os_is_resident(const void *page)
{
	unsigned char resident = 0;

	return os_is_error(os_syscall3(SYS_mincore, (long)page, 1, (long)&resident)) ||
	       resident & 1;
}

size_t os_resident(const void *addr, size_t size)
{
	size_t page = os_page_size(), n = 0;
	unsigned char resident[64] = {0};

	if (size / page > sizeof(resident) ||
	    os_is_error(os_syscall3(SYS_mincore, (long)addr, (long)size, (long)resident)))
		return 0;
	for (size_t i = 0; i < size / page; i++)
		n += resident[i] & 1;
	return n * page;
}

bool os_resize(void *addr, size_t old_size, size_t new_size)
{
	return !os_is_error(
		os_syscall6(SYS_mremap, (long)addr, (long)old_size, (long)new_size, 0, 0, 0));
}

bool os_move(void *from, size_t old_size, void *to, size_t new_size)
{
	return !os_is_error(os_syscall6(SYS_mremap, (long)from, (long)old_size, (long)new_size,
					MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0));
}

bool os_wipe_on_fork(void *addr, size_t size)
{
	return !os_is_error(os_syscall3(SYS_madvise, (long)addr, (long)size, MADV_WIPEONFORK));
}

/* The kernel reads the new mask before it looks at `how`, which is none that it knows: nothing changes. */
bool os_is_readable(const void *addr)
{
	return addr && os_syscall6(SYS_rt_sigprocmask, -1, (long)addr, 0, 8, 0, 0) != -EFAULT;
}

static _Thread_local char stack_local __attribute__((tls_model("initial-exec")));
static early_data const char *first_local;

void os_thread_stack_init(void)
{
	first_local = &stack_local;
}

/*
 * The C library keeps a thread's local storage at the top of its stack, but for the first thread, at whose top
 * the kernel has put 16 random bytes. 0: not known.
 */
static uintptr_t thread_stack_top(void)
{
	if (!first_local)
		return 0;
	return first_local == &stack_local ? getauxval(AT_RANDOM) : (uintptr_t)&stack_local;
}

static bool uses_signal_stack(uintptr_t low, uintptr_t at)
{
	stack_t stack = {.ss_flags = 0};

	if (os_is_error(os_syscall3(SYS_sigaltstack, 0, (long)&stack, 0)))
		return true;
	return stack.ss_flags & SS_ONSTACK || low - (uintptr_t)stack.ss_sp < stack.ss_size ||
	       at - (uintptr_t)stack.ss_sp < stack.ss_size;
}

#define STACK_MAX ((size_t)64 << 20)

bool os_on_thread_stack(uintptr_t low, uintptr_t at)
{
	uintptr_t top = thread_stack_top(), page = os_page_size();

	if (low > at || at >= top || top - low > STACK_MAX || uses_signal_stack(low, at))
		return false;
	for (low &= ~(page - 1); low < top; low += page) {
		if (!os_is_readable((void *)low))
			return false;
	}
	return true;
}

size_t os_page_size(void)
{
	static _Atomic size_t known;
	size_t size = atomic_load_explicit(&known, memory_order_relaxed);

	if (!size) {
		size = getauxval(AT_PAGESZ);
		atomic_store_explicit(&known, size, memory_order_relaxed);
	}
	return size;
}

size_t os_address_limit(void)
{
	struct rlimit limit = {0, 0};
	long ret = os_syscall6(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0);

	if (os_is_error(ret) || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur;
}

uint64_t os_clock_ms(void)
{
	struct timespec now;

	/* Served by the vdso; it can't fail for this clock, and so leaves errno alone. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * One pthread key. Whoever needs it first makes it; of two who do so at once, one gives its key back.
 * 0 is "none yet": keys are stored plus one.
 */
static early_data _Atomic unsigned int exit_key;

/* What runs at the end, with its argument; the key's value is the argument. */
static early_data void (*_Atomic exit_fn)(void *);

/* glibc runs destructors in rounds while values are set: wait for the second, the program's have run. */
static void exit_second_round(void *arg)
{
	static _Thread_local bool again __attribute__((tls_model("initial-exec")));

	if (!again && !pthread_setspecific(exit_key - 1, arg)) {
		again = true;
		return;
	}
	atomic_load (&exit_fn)(arg);
}

bool os_thread_exit_init(void)
{
	unsigned int none = 0;
	pthread_key_t key;

	if (atomic_load(&exit_key))
		return true;
	if (pthread_key_create(&key, exit_second_round))
		return false;
	if (!atomic_compare_exchange_strong(&exit_key, &none, key + 1))
		pthread_key_delete(key);
	return true;
}

bool os_at_thread_exit(void (*fn)(void *), void *arg)
{
	atomic_store(&exit_fn, fn);
	return os_thread_exit_init() && !pthread_setspecific(atomic_load(&exit_key) - 1, arg);
}

int os_getpid(void)
{
	return (int)os_syscall3(SYS_getpid, 0, 0, 0);
}

int os_gettid(void)
{
	return (int)os_syscall3(SYS_gettid, 0, 0, 0);
}

void os_sleep_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	os_syscall3(SYS_nanosleep, (long)&time, 0, 0);
}

void os_write(int fd, const char *text, size_t len)
{
	while (len) {
		long n = os_syscall3(SYS_write, fd, (long)text, (long)len);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}
