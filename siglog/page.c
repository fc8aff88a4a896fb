/*
 * The page of what a process shares: made at open, after a fork, and where a drainer is gone.
 * Layer: siglog. Called at the start of every call that logs.
 */
#include "internal.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct siglog_state siglog_state = {.fd = -1, .level = SIGLOG_INFO};

/* A thread asks the kernel for its ids once in each page. */
static _Thread_local struct {
	pid_t pid, tid;
	uint32_t epoch; /* stored last */
} ids;

enum { NO_ADVICE = 0x7eed };

static bool wiped_by_handler;

/* Where nothing is wiped (before Linux 4.14, and in emulators): serves fork(), not _Fork(). */
static void wipe(void)
{
	struct siglog_page *page = siglog_state.page;

	if (page)
		memset(page, 0, sizeof(*page));
}

/* Emulators that let any advice pass wipe nothing. */
static bool takes_any_advice(struct siglog_page *page)
{
	return madvise(page, sizeof(*page), NO_ADVICE) == 0;
}

static bool wipe_on_fork(struct siglog_page *page)
{
	if (madvise(page, sizeof(*page), MADV_WIPEONFORK) == 0 && !takes_any_advice(page))
		return true;
	/* Here at open only: a page that follows finds it done. */
	if (!wiped_by_handler && pthread_atfork(NULL, NULL, wipe) != 0)
		return false;
	wiped_by_handler = true;
	return true;
}

struct siglog_page *siglog_page_create(struct siglog_counters *counters)
{
	struct siglog_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (!wipe_on_fork(page)) {
		munmap(page, sizeof(*page));
		return NULL;
	}
	page->head = page->done = page->reap = &page->stub;
	page->counters = counters;
	page->pid = (pid_t)syscall(SYS_getpid);
	page->epoch = atomic_fetch_add(&siglog_state.epochs, 1) + 1;
	return page;
}

void siglog_page_destroy(struct siglog_page *page)
{
	munmap(page, sizeof(*page));
}

struct siglog_counters *siglog_counters(struct siglog_page *page)
{
	struct siglog_counters *counters = page->counters;

	return counters ? counters : &page->own_counters;
}

/* Wiped by a fork, or given up and all of it written. */
static bool is_over(struct siglog_page *page)
{
	if (page->epoch == 0)
		return true;
	return (page->gate & SIGLOG_DIRECT) && !siglog_state.crashed && !siglog_pending(page);
}

struct siglog_page *siglog_page_current(void)
{
	struct siglog_page *page = siglog_state.page;

	while (is_over(page)) {
		bool forked = page->epoch == 0;
		struct siglog_page *next =
			siglog_page_create(forked ? NULL : siglog_counters(page));

		/* The old one does, if more slowly. */
		if (!next)
			break;
		if (atomic_compare_exchange_strong(&siglog_state.page, &page, next))
			return next;
		siglog_page_destroy(next);
	}
	return page;
}

pid_t siglog_tid(const struct siglog_page *page, pid_t *pid)
{
	uint32_t epoch = page->epoch;

	if (ids.epoch != epoch || epoch == 0) {
		ids.pid = (pid_t)syscall(SYS_getpid);
		ids.tid = (pid_t)syscall(SYS_gettid);
		/* A handler in between fills in the same; after a fork in between the page is wiped. */
		atomic_signal_fence(memory_order_seq_cst);
		/* A child of vfork() has its parent's memory, and its own ids. */
		ids.epoch = ids.pid == page->pid ? epoch : 0;
	}
	if (pid)
		*pid = ids.pid;
	return ids.tid;
}
