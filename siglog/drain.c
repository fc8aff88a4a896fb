/*
 * The drainer: takes the token, writes what is pending, gives it back and looks again.
 * Layer: siglog. Called by siglog.c.
 */
#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	DEAD_MS = 10,	  /* after which a drainer without progress is asked whether he lives */
	FROZEN_MS = 2000, /* after which he is taken for stopped */
};

/* A handler's frame is always this far from the one that it interrupted. */
#define FRAME_UNIT ((uintptr_t)1 << (SIGLOG_TID_BITS - 16))

static uint64_t make_token(pid_t tid, uintptr_t frame)
{
	return (uint64_t)(frame / FRAME_UNIT) << SIGLOG_TID_BITS | (uint64_t)tid;
}

pid_t siglog_drainer(uint64_t token)
{
	return (pid_t)(token & ((1U << SIGLOG_TID_BITS) - 1));
}

static uintptr_t token_frame(uint64_t token)
{
	return (uintptr_t)(token >> SIGLOG_TID_BITS) * FRAME_UNIT;
}

static bool on_alternate_stack(const stack_t *stack, uintptr_t address)
{
	uintptr_t start = (uintptr_t)stack->ss_sp;

	return !(stack->ss_flags & SS_DISABLE) && address >= start &&
	       address < start + stack->ss_size;
}

/*
 * Whether the drainer was a frame of this thread that has ended, by a jump out of a handler: then a frame of
 * the same stack stands where it stood, or above. Frames of different stacks tell nothing.
 */
static bool frame_is_gone(uintptr_t frame, uintptr_t here)
{
	stack_t stack = {.ss_flags = SS_DISABLE};

	if (here < frame)
		return false;
	syscall(SYS_sigaltstack, NULL, &stack);
	return on_alternate_stack(&stack, here) == on_alternate_stack(&stack, frame);
}

/* The same drainer or rescuer in the same batch, seen twice, so long apart. */
bool siglog_is_stuck(struct siglog_page *page, uint64_t token, pid_t tid)
{
	uint32_t beat = page->beat;
	int64_t now = siglog_now(), since;

	if (page->suspect != token || page->suspect_beat != beat) {
		page->suspect_time = now;
		page->suspect_beat = beat;
		page->suspect = token;
		return false;
	}
	since = now - page->suspect_time;
	if (since < DEAD_MS)
		return false;
	if (syscall(SYS_tgkill, syscall(SYS_getpid), (long)tid, 0) != 0 && errno == ESRCH)
		return true;
	/* One who waits in the kernel for a reader is not stopped. */
	return since >= FROZEN_MS && siglog_ready();
}

/* Gives the page up where its drainer seems gone. */
static void look_at_drainer(struct siglog_page *page, uint64_t token, uintptr_t here)
{
	pid_t tid = siglog_tid(page, NULL);

	if ((siglog_drainer(token) != tid || !frame_is_gone(token_frame(token), here)) &&
	    !siglog_is_stuck(page, token, siglog_drainer(token)))
		return;
	/* Now he has given it back, perhaps: then the page is given up for nothing, which is sound. */
	if (page->token == token)
		atomic_fetch_or(&page->gate, SIGLOG_DIRECT | SIGLOG_GONE);
}

static int drain_batch(struct siglog_page *page, uint64_t mine, int64_t deadline)
{
	const struct siglog_writer writer = {&page->token, mine, page->drain_iov, SIGLOG_BATCH,
					     deadline};
	uint32_t open = 0;
	int result;

	if (!atomic_compare_exchange_strong(&page->gate, &open, SIGLOG_BUSY))
		return 0;
	atomic_fetch_add(&page->beat, 1);
	result = siglog_write_batch(page, &writer);
	atomic_fetch_and(&page->gate, ~SIGLOG_BUSY);
	return result;
}

/* With the token: 1 when nothing is pending. */
static int drain_held(struct siglog_page *page, uint64_t mine, int64_t deadline)
{
	int result = 1;

	while (result == 1 && siglog_pending(page)) {
		result = drain_batch(page, mine, deadline);
		siglog_reap(page);
	}
	return result;
}

__attribute__((noinline)) int siglog_drain(struct siglog_page *page, int64_t deadline)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(FRAME_UNIT - 1);

	for (;;) {
		uint64_t mine = make_token(siglog_tid(page, NULL), here);
		uint64_t token = 0;
		int result;

		if (page->gate & SIGLOG_DIRECT)
			return siglog_rescue(page, 0, deadline);
		if (!atomic_compare_exchange_strong(&page->token, &token, mine)) {
			look_at_drainer(page, token, here);
			if (page->gate & SIGLOG_DIRECT)
				continue;
			return 0;
		}
		result = drain_held(page, mine, deadline);
		/* Pairs with siglog_push(): who found the token taken has pushed before, so it is seen. */
		atomic_compare_exchange_strong(&page->token, &mine, 0);
		if (result < 0)
			return result;
		if (!siglog_pending(page) && !siglog_push_notice(page))
			return 0;
	}
}
