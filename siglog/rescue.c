/*
 * Writing what is pending without the token, on a page that is direct: in a crash, or where the drainer
 * is gone. Layer: siglog. Called by siglog.c and drain.c.
 */
#include "internal.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	siglog_wipe(page->drain_iov, SIGLOG_BATCH);
}

/*
 * A rescuer below this frame doesn't go on before this one ends, and then finds nothing to write. Another is left to it
 * for as long as it goes on.
 */
static bool take_over(struct siglog_page *page, uint64_t mine, pid_t tid, int patience,
		      int64_t deadline)
{
	int64_t until = siglog_now() + patience;
	uint32_t beat = page->beat;
	uint64_t now = 0;

	while (!atomic_compare_exchange_strong(&page->rescuer, &now, mine)) {
		pid_t other = (pid_t)(now >> 32);

		if (now == 0 || other == tid)
			continue;
		if (patience && page->beat != beat) {
			beat = page->beat;
			until = siglog_now() + patience;
		}
		if (patience ? siglog_now() >= until : siglog_is_stuck(page, now, other))
			continue;
		if (!patience || siglog_now() >= deadline)
			return false;
		siglog_sleep();
		now = 0;
	}
	return true;
}

/* The iovec of this thread; *claimed where a frame below, or one that is gone, hasn't got it already. NULL: there is none. */
static struct siglog_rescuer *claim(struct siglog_page *page, pid_t tid, bool *claimed)
{
	struct siglog_rescuer *end = page->rescuers + SIGLOG_RESCUERS;

	*claimed = false;
	for (struct siglog_rescuer *rescuer = page->rescuers; rescuer < end; rescuer++) {
		if (rescuer->tid == tid)
			return rescuer;
	}
	*claimed = true;
	for (struct siglog_rescuer *rescuer = page->rescuers; rescuer < end; rescuer++) {
		pid_t none = 0;

		if (atomic_compare_exchange_strong(&rescuer->tid, &none, tid))
			return rescuer;
	}
	return NULL;
}

static int write_pending(struct siglog_page *page, const struct siglog_writer *writer)
{
	int result = 1;

	while (result == 1 && siglog_pending(page)) {
		atomic_fetch_add(&page->beat, 1);
		result = siglog_write_batch(page, writer);
	}
	siglog_wipe(writer->iov, writer->room);
	return result;
}

/* With an iovec: 1 where the writing stayed with this frame to the end of it, and nothing failed. */
static int rescue_by(struct siglog_page *page, struct siglog_writer *writer, pid_t tid,
		     int patience)
{
	int result;

	writer->mine = new_token(page, tid);
	/* He looks again after he is done. */
	if (!take_over(page, writer->mine, tid, patience, writer->deadline))
		return 0;
	stop_drainer(page, tid);
	result = write_pending(page, writer);
	if (!atomic_compare_exchange_strong(&page->rescuer, &writer->mine, 0))
		return result < 0 ? result : 0;
	return result < 0 ? result : 1;
}

int siglog_rescue(struct siglog_page *page, int patience, int64_t deadline)
{
	/* Not the cached one, which a child of vfork() may have left: two threads must not share an iovec. */
	pid_t tid = (pid_t)syscall(SYS_gettid);
	bool claimed;
	struct siglog_rescuer *rescuer = claim(page, tid, &claimed);
	struct iovec one = {NULL, 0};
	struct siglog_writer writer = {
		.owner = &page->rescuer,
		.iov = rescuer ? rescuer->iov : &one,
		.room = rescuer ? SIGLOG_BATCH : 1,
		.deadline = deadline,
	};
	int result = 1;

	/* The drainer below this frame doesn't go on: nobody need wait for it. */
	if (siglog_drainer(page->token) == tid)
		atomic_fetch_or(&page->gate, SIGLOG_GONE);
	while (result == 1 && siglog_pending(page))
		result = rescue_by(page, &writer, tid, patience);
	if (rescuer && claimed)
		atomic_compare_exchange_strong(&rescuer->tid, &tid, 0);
	return result < 0 ? result : 0;
}
