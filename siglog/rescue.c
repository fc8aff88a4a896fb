/*
 * Writing what is pending without the token, on a page that is direct: in a crash, or where the drainer
 * is gone. Layer: siglog. Called by siglog.c and drain.c.
 */
#include "internal.h"

#include <errno.h>

/* Unlike that of a rescuer whom this one interrupted. */
static uint64_t new_token(struct siglog_page *page, pid_t tid)
{
	uint32_t serial = atomic_fetch_add(&page->serial, 1);

	return (uint64_t)(uint32_t)tid << 32 | serial;
}

/* Another thread may just be in its write; what is below this frame, or gone, will not go on. */
static void stop_drainer(struct siglog_page *page, pid_t tid)
{
	int64_t deadline = siglog_now() + SIGLOG_PATIENCE;

	while (page->gate & SIGLOG_BUSY && !(page->gate & SIGLOG_GONE) &&
	       siglog_drainer(page->token) != tid && siglog_now() < deadline)
		siglog_sleep();
	if (!(page->gate & SIGLOG_BUSY))
		return;
	/* In this order: one that is still filling its iovec sees it, one that is about to write finds less. */
	atomic_fetch_and(&page->gate, ~SIGLOG_BUSY);
	siglog_wipe(page->drain_iov);
}

/* A rescuer below this frame doesn't go on before this one ends, and then finds nothing to write. */
static bool take_over(struct siglog_page *page, uint64_t mine, pid_t tid, int patience)
{
	int64_t deadline = siglog_now() + patience;
	uint64_t now = 0;

	while (!atomic_compare_exchange_strong(&page->rescuer, &now, mine)) {
		pid_t other = (pid_t)(now >> 32);

		if (now == 0 || other == tid)
			continue;
		if (patience ? siglog_now() >= deadline : siglog_is_stuck(page, now, other))
			continue;
		if (!patience)
			return false;
		siglog_sleep();
		now = 0;
	}
	return true;
}

static int write_pending(struct siglog_page *page, uint64_t mine, int64_t deadline)
{
	/* Not that of the one before, who may be about to write. */
	struct iovec *iov = page->rescue_iov[mine % 2];
	int result = 1;

	while (result == 1 && siglog_pending(page)) {
		atomic_fetch_add(&page->beat, 1);
		result = siglog_write_batch(page, iov, &page->rescuer, mine, deadline);
		siglog_wipe(iov);
	}
	return result;
}

int siglog_rescue(struct siglog_page *page, int patience, int64_t deadline)
{
	pid_t tid = siglog_tid(page, NULL);
	int result = 0;

	while (siglog_pending(page) && result >= 0) {
		uint64_t mine = new_token(page, tid);

		/* He looks again after he is done. */
		if (!take_over(page, mine, tid, patience))
			return 0;
		stop_drainer(page, tid);
		result = write_pending(page, mine, deadline);
		if (!atomic_compare_exchange_strong(&page->rescuer, &mine, 0))
			return result < 0 ? result : 0;
	}
	return result < 0 ? result : 0;
}
