/*
 * siglog: a log that any context may write to.
 *
 * A record is formatted into memory from malloc, queued by one compare-and-swap, and written by whichever
 * thread drains the queue, in order, many records to a write. No call takes a lock, and none waits for
 * another thread; siglog_flush() and siglog_crash() wait as long as they are told to, and for a reader only.
 *
 * The promise rests on malloc: it holds where malloc is uslub's, preloaded or linked. Under a malloc that
 * is not async-signal-safe a handler may log no more than it may call malloc. After siglog_crash() no
 * malloc is called at all.
 *
 * Contexts. "Any": threads, children of fork, vfork and _Fork, and signal handlers that interrupted any
 * instruction of any call, this library's included, nested to any depth. "Thread": no signal handler.
 * Results. 0, or a negative errno value such as -ENOBUFS. errno itself is never changed.
 * Units. Bytes, milliseconds, records.
 *
 * A record is one line of at most SIGLOG_LINE_MAX bytes, newline included:
 *
 *     2026-11-20T10:09:36.123456Z 1234/1240 #57 INFO text
 *
 * UTC, process/thread, number, level. Records of a process are numbered from 1 as their calls begin; those that
 * are dropped have numbers too. Control characters of the text but the tab are escaped (\n, \r, \x1b), so that
 * no text can look like a record; one newline at its end is left out. A text that is too long is cut, and
 * ends in "...".
 *
 * Order. Lines stand in the order in which the records were queued, which is a single total order: when a call
 * has returned before another began, in whatever threads, its line stands first. What a handler logs
 * while it interrupts siglog_printf() stands before that record or behind it.
 *
 * Once and whole. Every record that is not dropped is written once, and by one write(2). The exceptions:
 *  - What has been queued when a process ends by _exit() or a signal, and nobody flushed, is lost.
 *  - A frame in the middle of write(2) may be gone for good: siglongjmp() out of a handler, siglog_crash() in
 *    one, a thread that is killed, or stopped for seconds (in a crash: for 200 ms). Whether its write took
 *    place can't be known then, so those lines are written again, under the same numbers: twice rather
 *    than never.
 *  - The file system or a socket may take part of a line (a full disk); the rest follows when it can.
 * The child of a fork begins with an empty queue: what the parent had queued, the parent writes.
 */
#ifndef USLUB_SIGLOG_H
#define USLUB_SIGLOG_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As syslog(3) orders them: a lower one is more urgent. */
enum siglog_level {
	SIGLOG_FATAL,
	SIGLOG_ERROR,
	SIGLOG_WARNING,
	SIGLOG_NOTICE,
	SIGLOG_INFO,
	SIGLOG_DEBUG,
};

/* PIPE_BUF: what a pipe takes whole. */
#define SIGLOG_LINE_MAX 4096

struct siglog_options {
	/* The least urgent level that is logged. */
	enum siglog_level level;
	/*
	 * How many records may be queued, and how many bytes of memory they may have; 0: no such bound.
	 * siglog_set_bound() says what becomes of the others.
	 */
	size_t max_records;
	size_t max_bytes;
	/*
	 * siglog_printf() drains the queue when so many records are in it. 0 and 1: each call does, and what is
	 * logged is in the file when the call returns, unless another thread is just draining.
	 * SIGLOG_NEVER: siglog_printf() makes no system call but for its thread's id; a thread of the
	 * program calls siglog_flush() now and then.
	 */
	size_t batch;
};

#define SIGLOG_NEVER ((size_t)-1)

/* Level INFO, at most 16 MiB, no bound of records, every call drains. */
#define SIGLOG_OPTIONS_DEFAULT                      \
	{                                           \
		SIGLOG_INFO, 0, (size_t)16 << 20, 1 \
	}

#define SIGLOG_PRINTF(format, first) __attribute__((__format__(__printf__, format, first)))

/*
 * Opens the process's log: the file at path, created with mode 0666 less umask, appended to, closed on
 * exec. NULL options are the default ones. Fails with what open(2) says, -EBUSY where a log is open,
 * -ENOMEM, -EINVAL. A normal exit() flushes the log, for a second at most. Context: thread.
 */
int siglog_open(const char *path, const struct siglog_options *options);

/*
 * The same with a descriptor, which the log duplicates. A file that other processes write to should have
 * O_APPEND. Pipes, sockets and terminals are asked by poll(2) before each write, so that siglog_printf()
 * never waits for a reader: what he doesn't take stays queued until a later call. A closed pipe raises
 * no SIGPIPE. Fails with -EBADF, -EMFILE and as above. Context: thread.
 */
int siglog_open_fd(int fd, const struct siglog_options *options);

/*
 * Flushes for at most a second and closes. No other call may be under way. Returns what siglog_flush()
 * said; what is still queued then is dropped, and counted. Context: thread.
 */
int siglog_close(void);

/*
 * Logs a record; formats are those of siglog_snprintf(). A level that isn't logged costs a comparison. Returns
 * 0 when the record is queued or written (or its level is not logged), -EBADF where no log is open, -ENOBUFS
 * where the record was dropped: the bound was reached, or there is no memory and a reserve of 16
 * records is used up. Context: any.
 */
int siglog_printf(enum siglog_level level, const char *format, ...) SIGLOG_PRINTF(2, 3);
int siglog_vprintf(enum siglog_level level, const char *format, va_list args) SIGLOG_PRINTF(2, 0);

/*
 * Writes until the queue is empty, for at most timeout_ms: 0 tries once, -1 has no end. Returns -ETIMEDOUT
 * where a reader, or another thread that is just draining, took longer; -EDEADLK where the drain is
 * the business of a frame that this handler interrupted; else what the last write failed with.
 * Context: any, and it waits as told.
 */
int siglog_flush(int timeout_ms);

/*
 * For a handler of SIGSEGV and the like, as the first call: writes all that is queued, whoever was draining,
 * and makes every further record of the process be written before siglog_printf() returns, without
 * malloc and from static memory. It can't be undone but by siglog_close(). Waits for a thread that is just
 * writing, as long as none of its writes takes 200 ms, and for 1 s for a reader. Returns as siglog_flush() does.
 * Context: any.
 */
int siglog_crash(void);

/* Sets the least urgent level that is logged; returns the one before. Context: any. */
enum siglog_level siglog_set_level(enum siglog_level level);

/*
 * Sets how many records and bytes of memory may be queued; 0: no bound. Beyond it records are dropped, and
 * counted; the next record that is queued stands behind one that says "N records dropped, M in all", and
 * so does the end of the queue when it was written. Such a record may exceed the bound. Context: any.
 */
void siglog_set_bound(size_t max_records, size_t max_bytes);

/* Records that this process has dropped, since it opened its log or was forked. Context: any. */
unsigned long siglog_dropped(void);

/* Records in the queue, and how much memory they have. Context: any. */
size_t siglog_queued(size_t *bytes);

/* What the last write failed with, a positive errno value; 0 where it did not fail. Context: any. */
int siglog_error(void);

/*
 * As snprintf(3), but always in the C locale, without malloc, and in less than 2 KiB of stack.
 *  - Conversions d i u o x X b B c s p m n e E f F g G a A C S and %; flags - + space # 0; width and precision,
 *    also by *; lengths hh h l ll z j t L q. The flags ' and I are without effect, as in the C locale.
 *  - Floating point is exact for double, rounded to nearest, ties to even. A long double is
 *    rounded to double first.
 *  - Wide characters and strings become UTF-8. %m is the text of errno, in English; %#m its name.
 *  - %n stores nothing. From a conversion that isn't known, such as %1$d, the format is copied as it stands.
 * Returns the length of the whole text, or INT_MAX where that is more. Context: any.
 */
int siglog_snprintf(char *text, size_t size, const char *format, ...) SIGLOG_PRINTF(3, 4);
int siglog_vsnprintf(char *text, size_t size, const char *format, va_list args) SIGLOG_PRINTF(3, 0);

#ifdef __cplusplus
}
#endif

#endif
