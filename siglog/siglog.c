/*
 * The interface: include/uslub/siglog.h says what each call promises.
 * Layer: siglog. Called by programs.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum {
	CRASH_WAIT = 1000, /* for a reader */
	CLOSE_WAIT = 1000,
};

static void set_options(const struct siglog_options *options)
{
	siglog_state.level = (int)options->level;
	siglog_state.batch = options->batch;
	siglog_set_bound(options->max_records, options->max_bytes);
}

/* Takes the descriptor. */
static int open_log(int fd, const struct siglog_options *options)
{
	static const struct siglog_options defaults = SIGLOG_OPTIONS_DEFAULT;
	struct siglog_page *old = siglog_state.page;
	struct siglog_page *page = siglog_page_create(NULL);
	struct stat status;

	if (!page || fstat(fd, &status) != 0) {
		if (page)
			siglog_page_destroy(page);
		close(fd);
		return -ENOMEM;
	}
	set_options(options ? options : &defaults);
	siglog_state.error = 0;
	siglog_state.slots = 0;
	siglog_state.crashed = false;
	siglog_state.stream = !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode);
	siglog_state.page = page;
	siglog_state.fd = fd;
	if (old)
		siglog_page_destroy(old);
	return 0;
}

EXPORT int siglog_open(const char *path, const struct siglog_options *options)
{
	int saved = errno;
	int fd, result;

	if (!path)
		return -EINVAL;
	if (siglog_state.fd >= 0)
		return -EBUSY;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	result = fd < 0 ? -errno : open_log(fd, options);
	errno = saved;
	return result;
}

EXPORT int siglog_open_fd(int fd, const struct siglog_options *options)
{
	int saved = errno;
	int copy, result;

	if (siglog_state.fd >= 0)
		return -EBUSY;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	result = copy < 0 ? -errno : open_log(copy, options);
	errno = saved;
	return result;
}

/* What was never written is counted; the records of a page that is direct stay. */
static void drop_pending(struct siglog_page *page)
{
	struct siglog_record *record = page->head;
	uint64_t count = 0;

	for (; record && record != page->done; record = record->older)
		count++;
	siglog_drop(page, count);
	record = page->head;
	while (!(page->gate & SIGLOG_DIRECT) && record && record != &page->stub) {
		struct siglog_record *older = record == page->reap ? NULL : record->older;

		siglog_record_free(record);
		record = older;
	}
	page->head = page->done = page->reap = &page->stub;
	page->reserved = 0;
}

EXPORT int siglog_close(void)
{
	int saved = errno;
	int fd = siglog_state.fd;
	int result;

	if (fd < 0)
		return -EBADF;
	result = siglog_flush(CLOSE_WAIT);
	siglog_state.fd = -1;
	drop_pending(siglog_page_current());
	siglog_state.crashed = false;
	close(fd);
	errno = saved;
	return result;
}

/*
 * Another in the same crash may take the writing over: it is over only when nothing is pending. A reader may be too slow
 * for that; a file is waited for while there is more and more in it.
 */
static int rescue_all(struct siglog_page *page, int64_t deadline)
{
	struct siglog_record *done = page->done;
	int result = 0;

	while (siglog_pending(page) && result >= 0 && siglog_now() < deadline) {
		result = siglog_rescue(page, SIGLOG_PATIENCE, deadline);
		if (!siglog_state.stream && page->done != done) {
			done = page->done;
			deadline = siglog_now() + CRASH_WAIT;
		}
	}
	return result == 0 && siglog_pending(page) ? -ETIMEDOUT : result;
}

/* The line without malloc and queue: at once, behind all that was queued. */
__attribute__((noinline)) static int write_direct(struct siglog_page *page,
						  const struct siglog_call *call)
{
	int64_t deadline = siglog_now() + CRASH_WAIT;
	struct siglog_record *slot = siglog_slot_take();
	char small[128];
	char *line = slot ? siglog_line(slot) : small;
	size_t room = slot ? SIGLOG_LINE_MAX : sizeof(small);
	size_t length = siglog_make_line(line, room, call);
	struct iovec iov = {line, length < room ? length : room};
	ssize_t n = 0;

	atomic_fetch_or(&page->gate, SIGLOG_DIRECT);
	rescue_all(page, deadline);
	while (iov.iov_len > 0 && n >= 0) {
		n = siglog_write(&iov, 1, deadline);
		if (n > 0) {
			iov.iov_base = (char *)iov.iov_base + n;
			iov.iov_len -= (size_t)n;
		}
	}
	if (slot)
		siglog_record_free(slot);
	if (n >= 0)
		return 0;
	siglog_drop(page, 1);
	return -ENOBUFS;
}

static int drop(struct siglog_page *page, struct siglog_record *record)
{
	if (record)
		siglog_record_free(record);
	siglog_drop(page, 1);
	return -ENOBUFS;
}

static int queue_record(struct siglog_page *page, const struct siglog_call *call)
{
	struct siglog_record *record = siglog_record_create(call);
	size_t batch = siglog_state.batch;

	if (!record)
		return drop(page, NULL);
	if (!siglog_reserve(page, record->size, true)) {
		if (batch != SIGLOG_NEVER)
			siglog_drain(page, 0);
		if (!siglog_reserve(page, record->size, true))
			return drop(page, record);
	}
	siglog_push_notice(page);
	siglog_push(page, record);
	/* Now, or siglog_crash() finds it pending: the process may end as soon as this call has. */
	if (siglog_state.crashed) {
		rescue_all(page, siglog_now() + CRASH_WAIT);
		return 0;
	}
	if (page->gate & SIGLOG_DIRECT ||
	    (batch != SIGLOG_NEVER && (batch <= 1 || siglog_queued(NULL) >= batch)))
		siglog_drain(page, 0);
	return 0;
}

EXPORT int siglog_vprintf(enum siglog_level level, const char *format, va_list args)
{
	struct siglog_call call = {.level = (int)level, .format = format, .error = errno};
	va_list copy;
	int result;

	if ((int)level > siglog_state.level)
		return 0;
	if (siglog_state.fd < 0)
		return -EBADF;
	va_copy(copy, args);
	call.args = &copy;
	call.page = siglog_page_current();
	call.number = atomic_fetch_add(&siglog_counters(call.page)->number, 1) + 1;
	if (siglog_state.crashed)
		result = write_direct(call.page, &call);
	else
		result = queue_record(call.page, &call);
	va_end(copy);
	errno = call.error;
	return result;
}

EXPORT int siglog_printf(enum siglog_level level, const char *format, ...)
{
	va_list args;
	int result;

	va_start(args, format);
	result = siglog_vprintf(level, format, args);
	va_end(args);
	return result;
}

/* Nobody drains, or a frame below this one does, or another thread. */
static int flush_state(struct siglog_page *page)
{
	uint64_t token = page->token;

	if (!siglog_pending(page))
		return 0;
	if (token && siglog_drainer(token) == siglog_tid(page, NULL))
		return -EDEADLK;
	return -ETIMEDOUT;
}

static int flush(int timeout_ms)
{
	int64_t deadline = timeout_ms < 0 ? INT64_MAX : siglog_now() + timeout_ms;
	int64_t wait = timeout_ms ? deadline : 0;

	for (;;) {
		struct siglog_page *page = siglog_page_current();
		int result;

		if (page->gate & SIGLOG_DIRECT)
			result = siglog_rescue(page, timeout_ms ? SIGLOG_PATIENCE : 0, wait);
		else
			result = siglog_drain(page, wait);
		if (result < 0)
			return result == -EAGAIN ? -ETIMEDOUT : result;
		result = flush_state(page);
		if (result != -ETIMEDOUT || !timeout_ms || siglog_now() >= deadline)
			return result;
		siglog_sleep();
	}
}

EXPORT int siglog_flush(int timeout_ms)
{
	int saved = errno;
	int result = siglog_state.fd < 0 ? -EBADF : flush(timeout_ms);

	errno = saved;
	return result;
}

EXPORT int siglog_crash(void)
{
	int saved = errno;
	struct siglog_page *page;
	int result;

	if (siglog_state.fd < 0)
		return -EBADF;
	siglog_state.crashed = true;
	page = siglog_page_current();
	atomic_fetch_or(&page->gate, SIGLOG_DIRECT);
	result = rescue_all(page, siglog_now() + CRASH_WAIT);
	errno = saved;
	return result == -EAGAIN ? -ETIMEDOUT : result;
}

EXPORT enum siglog_level siglog_set_level(enum siglog_level level)
{
	return (enum siglog_level)atomic_exchange(&siglog_state.level, (int)level);
}

EXPORT void siglog_set_bound(size_t max_records, size_t max_bytes)
{
	siglog_state.max_records = max_records;
	siglog_state.max_bytes = max_bytes;
}

EXPORT unsigned long siglog_dropped(void)
{
	struct siglog_page *page = siglog_state.page;

	return page ? (unsigned long)siglog_counters(page)->dropped : 0;
}

EXPORT size_t siglog_queued(size_t *bytes)
{
	struct siglog_page *page = siglog_state.page;
	uint64_t reserved = page ? page->reserved : 0;

	if (bytes)
		*bytes = (size_t)(reserved & ((UINT64_C(1) << 40) - 1));
	return (size_t)(reserved >> 40);
}

EXPORT int siglog_error(void)
{
	return siglog_state.error;
}

EXPORT int siglog_vsnprintf(char *text, size_t size, const char *format, va_list args)
{
	struct siglog_sink sink = {.at = text, .room = size ? size - 1 : 0};

	siglog_format(&sink, format, args, errno);
	if (size)
		text[sink.length < sink.room ? sink.length : sink.room] = '\0';
	return sink.length < INT_MAX ? (int)sink.length : INT_MAX;
}

EXPORT int siglog_snprintf(char *text, size_t size, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = siglog_vsnprintf(text, size, format, args);
	va_end(args);
	return length;
}

/* A normal exit loses nothing. */
__attribute__((destructor)) static void flush_at_exit(void)
{
	if (siglog_state.fd >= 0)
		siglog_flush(CLOSE_WAIT);
}
