/*
 * The log's data model: records, the page of what a process shares, who may change what.
 *
 * The queue. A record is queued by one CAS of page->head, and points to the one queued before it: that CAS
 * is the order of the log. Nothing is ever taken off at the head. page->done is the newest record that
 * is written; what lies between it and the head is to be written. The drainer links those forwards
 * (`newer`), writes them, moves `done`, and frees what is older than it. So everything can be found
 * from the page at any instant, whatever became of the drainer.
 *
 *      reap --newer-->  ...  --newer--> done --newer--> first ...  <--older-- head
 *      written, to be freed             written         to be written
 *
 * Who writes. Whoever changes page->token from 0 is the drainer, and looks at the queue again after he gave it
 * back: who finds it taken leaves his record to him. The gate is BUSY while the drainer writes a batch.
 *
 * Direct. SIGLOG_DIRECT in the gate, once set, stays: the page's drainer begins no further batch, and nothing
 * of the page is freed any more, so that its records may be read without the token. siglog_crash() sets
 * it, and so does look_at_drainer() where that one seems gone. That is a guess: soundness doesn't rest on it. What is
 * pending is then written by the rescuer, and the process goes on with a new page. What was queued
 * on the old one is never freed: that is the price, once for each frame that is gone.
 * Many may rescue one page: who waits too long for another takes the writing over, while that one may be about
 * to write. So each thread has an iovec of its own, and nobody else stores to it. A handler's frame uses that
 * of the frame below, which doesn't go on before it ends, and then finds it empty. A thread that jumps out keeps
 * its own; where there is none left, one writes line by line, from an iovec on the stack (and a fork by a handler
 * between the last look at the page and that write has one line twice).
 *
 * Fork. The page is MADV_WIPEONFORK: in the child the queue is empty, the token free and the drainer's iovec
 * empty at the instant of the fork, even for a frame that was just about to write. epoch 0 says so, and the
 * child takes a new page; frames that the fork interrupted go on with the wiped one, in which NULL stands
 * where the stub stood.
 */
#ifndef SIGLOG_INTERNAL_H
#define SIGLOG_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "format.h"
#include "uslub/siglog.h"

enum {
	SIGLOG_BATCH = 64, /* lines of one write */
	SIGLOG_BATCH_BYTES =
		65536, /* of a file; a pipe gets PIPE_BUF at most, which it takes whole */
	SIGLOG_SLOTS = 16,
	SIGLOG_RESCUERS = 48,  /* threads at one time that have an iovec to rescue with */
	SIGLOG_TID_BITS = 22,  /* the kernel's limit; leaves 42 for a stack address */
	SIGLOG_PATIENCE = 200, /* ms for another thread's write, where it is in the way */
};

/* The gate. */
#define SIGLOG_BUSY 1U
#define SIGLOG_DIRECT 2U
#define SIGLOG_GONE 4U /* with DIRECT: there is no use in waiting for the drainer */

struct siglog_record {
	_Atomic(struct siglog_record *) older; /* const once queued */
	_Atomic(struct siglog_record *) newer; /* NULL until linked; all who link store the same */
	_Atomic(uint32_t) written;	       /* bytes; whoever writes */
	uint32_t length;		       /* const */
	uint32_t size;			       /* const; memory, as reserved */
					       /* The line follows. */
};

static inline char *siglog_line(struct siglog_record *record)
{
	return (char *)(record + 1);
}

/* Counts of a process. */
struct siglog_counters {
	_Atomic(uint64_t) number;     /* of the last record */
	_Atomic(uint64_t) dropped;    /* all */
	_Atomic(uint64_t) unreported; /* those of which no record tells yet */
};

struct siglog_rescuer {
	_Atomic(pid_t) tid;		/* 0: free; CAS by anyone */
	struct iovec iov[SIGLOG_BATCH]; /* tid */
};

struct siglog_page {
	_Atomic(uint32_t) epoch; /* unlike that of any other page of the process; 0: wiped */
	_Atomic(pid_t) pid;	 /* const; the process's */
	_Atomic(uint32_t) gate;
	_Atomic(struct siglog_record *) head;	/* CAS by anyone */
	_Atomic(struct siglog_record *) done;	/* CAS by drainer and rescuer */
	_Atomic(struct siglog_record *) oldest; /* the first after done, where that is NULL */
	_Atomic(struct siglog_record *) reap;	/* drainer; NULL: at oldest */
	_Atomic(uint64_t) reserved;		/* records << 40 | bytes; CAS by anyone */
	_Atomic(uint64_t) token;		/* drainer: his frame and thread; 0: none */
	_Atomic(uint64_t) rescuer;		/* tid << 32 | serial; 0: none */
	_Atomic(uint32_t) serial;
	_Atomic(uint32_t) beat;	   /* drainer; counts batches */
	_Atomic(uint64_t) suspect; /* token and beat that were seen at suspect_time: a hint */
	_Atomic(uint64_t) suspect_beat;
	_Atomic(int64_t) suspect_time;
	_Atomic(struct siglog_counters *) counters; /* NULL: own_counters */
	struct siglog_counters own_counters;
	struct siglog_record stub; /* queued and written before all others */
	struct iovec drain_iov[SIGLOG_BATCH];
	struct siglog_rescuer rescuers[SIGLOG_RESCUERS]; /* touched by those who rescue alone */
};

_Static_assert(offsetof(struct siglog_page, rescuers[2]) <= 4096, "what a page costs");

/* What the children of a fork have too. */
struct siglog_state {
	_Atomic(struct siglog_page *) page;
	_Atomic(int) fd;      /* -1: no log is open */
	_Atomic(bool) stream; /* its reader may be slow, and a write of PIPE_BUF is whole */
	_Atomic(bool) crashed;
	_Atomic(int) level;
	_Atomic(int) error;
	_Atomic(size_t) max_records, max_bytes, batch;
	_Atomic(uint32_t) epochs;
	_Atomic(uint32_t) slots; /* bits of those in use */
};

/* A record to be made. */
struct siglog_call {
	int level;
	const char *format;
	va_list *args;
	int error;
	struct siglog_page *page;
	uint64_t number;
};

extern siglog_hidden struct siglog_state siglog_state;

/* page.c */
siglog_hidden struct siglog_page *siglog_page_create(struct siglog_counters *counters);
siglog_hidden void siglog_page_destroy(struct siglog_page *page);
/* The page to queue on. */
siglog_hidden struct siglog_page *siglog_page_current(void);
siglog_hidden struct siglog_counters *siglog_counters(struct siglog_page *page);
siglog_hidden pid_t siglog_tid(const struct siglog_page *page, pid_t *pid);

/* record.c */
/* The line, at most room bytes; returns how many it would have. */
siglog_hidden size_t siglog_make_line(char *line, size_t room, const struct siglog_call *call);
/* NULL: no memory and no slot. */
siglog_hidden struct siglog_record *siglog_record_create(const struct siglog_call *call);
siglog_hidden void siglog_record_free(struct siglog_record *record);
/* Memory of SIGLOG_LINE_MAX bytes that needs no malloc, or NULL. */
siglog_hidden struct siglog_record *siglog_slot_take(void);

/* output.c */
siglog_hidden int64_t siglog_now(void); /* milliseconds, monotonic */
siglog_hidden void siglog_sleep(void);	/* one of them */
/* Bytes written, or negative errno: -EAGAIN where the reader was not ready before the deadline. */
siglog_hidden ssize_t siglog_write(const struct iovec *iov, unsigned int count, int64_t deadline);
siglog_hidden bool siglog_ready(void); /* a write would not wait */

/* queue.c */
siglog_hidden bool siglog_pending(struct siglog_page *page);
siglog_hidden bool siglog_reserve(struct siglog_page *page, size_t size, bool bounded);
siglog_hidden void siglog_push(struct siglog_page *page, struct siglog_record *record);
siglog_hidden void siglog_drop(struct siglog_page *page, uint64_t count);
/* Queues a record about what was dropped; false where there is nothing to tell, or no memory. */
siglog_hidden bool siglog_push_notice(struct siglog_page *page);
/* Who writes: while *owner is mine, by way of iov. */
struct siglog_writer {
	_Atomic(uint64_t) *owner;
	uint64_t mine;
	struct iovec *iov;
	unsigned int room;
	int64_t deadline;
};
/* One batch; 1: go on, 0: no longer his, else negative errno. */
siglog_hidden int siglog_write_batch(struct siglog_page *page, const struct siglog_writer *writer);
siglog_hidden void siglog_reap(struct siglog_page *page);
/* Empties an iovec that another thread may just be about to write: it then writes its first lines, or none. */
siglog_hidden void siglog_wipe(struct iovec *iov, unsigned int room);

/* drain.c */
/* The thread of a token. */
siglog_hidden pid_t siglog_drainer(uint64_t token);
/* Whether the thread that has this token doesn't go on, as far as one can see. */
siglog_hidden bool siglog_is_stuck(struct siglog_page *page, uint64_t token, pid_t tid);
/* 0 when the queue is empty or another drains it; else negative errno. */
siglog_hidden int siglog_drain(struct siglog_page *page, int64_t deadline);

/* rescue.c */
/* Writes what is pending on a page that is direct; waits so many milliseconds for others at it. */
siglog_hidden int siglog_rescue(struct siglog_page *page, int patience, int64_t deadline);

#endif
