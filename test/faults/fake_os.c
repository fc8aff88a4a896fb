/* Wrapped system calls; see fake_os.h. */
#include "fake_os.h"

#include <sys/mman.h>

#include "check.h"
#include "ledger.h"

#define FRAME ((size_t)65536)

struct fake_os fake_os = {
	.fail = OS_ANY,
	.address_limit = SIZE_MAX,
	.charge_limit = SIZE_MAX,
	.clock_ms = 1000,
};

static struct ledger mapped, charged, stuck;

static const char *const names[] = {
	[OS_RESERVE] = "reserve", [OS_RESERVE_AT] = "reserve_at",
	[OS_MAP] = "map",	  [OS_UNMAP] = "unmap",
	[OS_COMMIT] = "commit",	  [OS_UNCOMMIT] = "uncommit",
	[OS_PURGE] = "purge",	  [OS_RESIZE] = "resize",
	[OS_MOVE] = "move",	  [OS_WIPE_ON_FORK] = "wipe_on_fork",
	[OS_ANY] = "any",	  [OS_AT_THREAD_EXIT] = "at_thread_exit",
};

/* The linker's names. */
void *__real_os_reserve(size_t size);
bool __real_os_reserve_at(void *addr, size_t size);
void *__real_os_map(size_t size);
bool __real_os_unmap(void *addr, size_t size);
bool __real_os_commit(void *addr, size_t size);
bool __real_os_uncommit(void *addr, size_t size);
bool __real_os_purge(void *addr, size_t size);
bool __real_os_resize(void *addr, size_t old_size, size_t new_size);
bool __real_os_move(void *from, size_t old_size, void *to, size_t new_size);
bool __real_os_wipe_on_fork(void *addr, size_t size);
bool __real_os_at_thread_exit(void (*fn)(void *), void *arg);
size_t __real_os_page_size(void);

void *__wrap_os_reserve(size_t size);
bool __wrap_os_reserve_at(void *addr, size_t size);
void *__wrap_os_map(size_t size);
bool __wrap_os_unmap(void *addr, size_t size);
bool __wrap_os_commit(void *addr, size_t size);
bool __wrap_os_uncommit(void *addr, size_t size);
bool __wrap_os_purge(void *addr, size_t size);
bool __wrap_os_resize(void *addr, size_t old_size, size_t new_size);
bool __wrap_os_move(void *from, size_t old_size, void *to, size_t new_size);
bool __wrap_os_wipe_on_fork(void *addr, size_t size);
bool __wrap_os_at_thread_exit(void (*fn)(void *), void *arg);
size_t __wrap_os_page_size(void);
size_t __wrap_os_address_limit(void);
uint64_t __wrap_os_clock_ms(void);

const char *os_call_name(enum os_call call)
{
	return names[call];
}

enum os_call os_call_by_name(const char *name)
{
	enum os_call call = 0;

	while (call < NR_OS_CALLS && strcmp(names[call], name) != 0)
		call++;
	return call;
}

void fake_os_recover(void)
{
	fake_os.fail_from = fake_os.fail_until = 0;
	fake_os.charge_limit = SIZE_MAX;
}

void fake_os_refuse(enum os_call call)
{
	fake_os.fail = call;
	fake_os.fail_from = 0;
	fake_os.fail_until = UINT32_MAX;
}

size_t fake_os_mapped(void)
{
	return ledger_bytes(&mapped);
}

size_t fake_os_charged(void)
{
	return ledger_bytes(&charged);
}

size_t fake_os_stuck(bool (*is_kept)(const void *addr))
{
	size_t page = __real_os_page_size(), bytes = 0;
	unsigned char resident;

	for (size_t i = 0; i < stuck.count; i++) {
		for (uintptr_t at = stuck.ranges[i].start; at < stuck.ranges[i].end; at += page) {
			if (is_kept((void *)at))
				continue;
			/* Emulators say no of memory that is not accessible: there is none. */
			if (!mincore((void *)at, page, &resident) && resident & 1)
				bytes += page;
		}
	}
	return bytes;
}

static bool over_limit(size_t more)
{
	return more > fake_os.charge_limit || fake_os_charged() > fake_os.charge_limit - more;
}

static bool refused(enum os_call call)
{
	unsigned int n;

	fake_os.calls[call]++;
	fake_os.calls[OS_ANY] += call < OS_ANY;
	if (fake_os.fail != call && (fake_os.fail != OS_ANY || call > OS_ANY))
		return false;
	n = fake_os.calls[fake_os.fail];
	if (n < fake_os.fail_from || n >= fake_os.fail_until)
		return false;
	fake_os.refused++;
	return true;
}

size_t __wrap_os_page_size(void)
{
	return fake_os.page_size ? fake_os.page_size : __real_os_page_size();
}

static size_t to_pages(size_t size)
{
	size_t page = __wrap_os_page_size();

	return (size + page - 1) & ~(page - 1);
}

static void need_page(const char *what, const void *addr)
{
	CHECK_THAT(is_aligned(addr, __wrap_os_page_size()), "%s: %p is not the start of a page",
		   what, addr);
}

/*
 * Memory at the start of a page, and of no frame where pages are smaller: the core must not count on
 * more than the kernel promises.
 */
static void *map_pages(size_t size, void *(*map)(size_t))
{
	size_t slack = 2 * FRAME;
	char *start = map(size + slack), *at;

	if (!start)
		return NULL;
	at = (char *)(((uintptr_t)start + FRAME - 1) & ~(FRAME - 1));
	if (fake_os.page_size < FRAME)
		at += fake_os.page_size;
	if (at != start)
		__real_os_unmap(start, (size_t)(at - start));
	__real_os_unmap(at + size, (size_t)(start + slack - at));
	return at;
}

static void *map_by(enum os_call call, size_t size, void *(*map)(size_t))
{
	void *p;

	if (refused(call))
		return NULL;
	p = fake_os.page_size ? map_pages(size, map) : map(size);
	if (p)
		ledger_add(&mapped, names[call], p, size);
	return p;
}

static void *reserve_where_told(size_t size)
{
	void *at = fake_os.reserve_next;

	fake_os.reserve_next = NULL;
	return at && __real_os_reserve_at(at, size) ? at : __real_os_reserve(size);
}

void *__wrap_os_reserve(size_t size)
{
	return map_by(OS_RESERVE, to_pages(size),
		      fake_os.reserve_next ? reserve_where_told : __real_os_reserve);
}

void *__wrap_os_map(size_t size)
{
	void *p;

	size = to_pages(size);
	p = over_limit(size) ? NULL : map_by(OS_MAP, size, __real_os_map);
	if (p)
		ledger_add(&charged, "map", p, size);
	return p;
}

bool __wrap_os_reserve_at(void *addr, size_t size)
{
	need_page("reserve_at", addr);
	size = to_pages(size);
	if (refused(OS_RESERVE_AT) || !__real_os_reserve_at(addr, size))
		return false;
	ledger_add(&mapped, "reserve_at", addr, size);
	return true;
}

static void unmap(const char *what, void *addr, size_t size)
{
	ledger_remove(&mapped, what, addr, size);
	ledger_clear(&charged, addr, size);
	ledger_clear(&stuck, addr, size);
	CHECK(__real_os_unmap(addr, size));
}

bool __wrap_os_unmap(void *addr, size_t size)
{
	need_page("unmap", addr);
	size = to_pages(size);
	ledger_need(&mapped, "unmap", addr, size);
	if (refused(OS_UNMAP)) {
		fake_os.unmap_refused = true;
		ledger_fill(&stuck, addr, size);
		return false;
	}
	unmap("unmap", addr, size);
	return true;
}

bool __wrap_os_commit(void *addr, size_t size)
{
	need_page("commit", addr);
	size = to_pages(size);
	ledger_need(&mapped, "commit", addr, size);
	if (refused(OS_COMMIT) || over_limit(size - ledger_overlap(&charged, addr, size)) ||
	    !__real_os_commit(addr, size))
		return false;
	ledger_fill(&charged, addr, size);
	if (fake_os.commit_done)
		fake_os.commit_done(addr, size);
	return true;
}

bool __wrap_os_uncommit(void *addr, size_t size)
{
	need_page("uncommit", addr);
	size = to_pages(size);
	ledger_need(&mapped, "uncommit", addr, size);
	if (refused(OS_UNCOMMIT) || !__real_os_uncommit(addr, size))
		return false;
	ledger_clear(&charged, addr, size);
	return true;
}

bool __wrap_os_purge(void *addr, size_t size)
{
	need_page("purge", addr);
	size = to_pages(size);
	ledger_need(&mapped, "purge", addr, size);
	if (!refused(OS_PURGE))
		return __real_os_purge(addr, size);
	fake_os.purge_refused = true;
	return false;
}

bool __wrap_os_resize(void *addr, size_t old_size, size_t new_size)
{
	char *end = addr;

	need_page("resize", addr);
	old_size = to_pages(old_size);
	new_size = to_pages(new_size);
	ledger_need(&charged, "resize", addr, old_size);
	if (refused(OS_RESIZE) || (new_size > old_size && over_limit(new_size - old_size)) ||
	    !__real_os_resize(addr, old_size, new_size))
		return false;
	if (new_size > old_size) {
		ledger_add(&mapped, "resize", end + old_size, new_size - old_size);
		ledger_add(&charged, "resize", end + old_size, new_size - old_size);
	}
	if (new_size < old_size) {
		ledger_remove(&mapped, "resize", end + new_size, old_size - new_size);
		ledger_remove(&charged, "resize", end + new_size, old_size - new_size);
	}
	return true;
}

/* The limit is looked at when the target, and what it was charged, is gone. */
static bool move_over_limit(size_t old_size, const void *to, size_t new_size)
{
	size_t back = ledger_overlap(&charged, to, new_size);

	return new_size > old_size + back && over_limit(new_size - old_size - back);
}

/*
 * A refusal leaves everything as it was. The limit on memory does not: kernels before 6.17 unmap the
 * target and look at the limits then, and in the hole somebody else's mapping may land at once.
 */
bool __wrap_os_move(void *from, size_t old_size, void *to, size_t new_size)
{
	need_page("move", from);
	need_page("move", to);
	old_size = to_pages(old_size);
	new_size = to_pages(new_size);
	ledger_need(&charged, "move", from, old_size);
	ledger_need(&mapped, "move", to, new_size);
	if (refused(OS_MOVE))
		return false;
	if (move_over_limit(old_size, to, new_size)) {
		unmap("move", to, new_size);
		if (fake_os.target_open)
			fake_os.target_open(to, new_size);
		return false;
	}
	/* Pages that the kernel has in several mappings can't be moved at once. */
	if (!__real_os_move(from, old_size, to, new_size))
		return false;
	ledger_remove(&mapped, "move", from, old_size);
	ledger_remove(&charged, "move", from, old_size);
	ledger_fill(&charged, to, new_size);
	if (fake_os.hole_open)
		fake_os.hole_open(from, old_size);
	return true;
}

bool __wrap_os_wipe_on_fork(void *addr, size_t size)
{
	need_page("wipe_on_fork", addr);
	ledger_need(&mapped, "wipe_on_fork", addr, size);
	return !refused(OS_WIPE_ON_FORK) && __real_os_wipe_on_fork(addr, size);
}

bool __wrap_os_at_thread_exit(void (*fn)(void *), void *arg)
{
	return !refused(OS_AT_THREAD_EXIT) && __real_os_at_thread_exit(fn, arg);
}

size_t __wrap_os_address_limit(void)
{
	return fake_os.address_limit;
}

uint64_t __wrap_os_clock_ms(void)
{
	return fake_os.clock_ms;
}
