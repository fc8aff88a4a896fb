/*
 * The queue: reserve, push, link, write a batch, free. internal.h has the model.
 * Layer: siglog. Called by siglog.c, drain.c, rescue.c.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define BYTES_BITS 40
#define ONE_RECORD (UINT64_C(1) << BYTES_BITS)

bool siglog_pending(struct siglog_page *page)
{
	return page->head != page->done;
}

bool siglog_reserve(struct siglog_page *page, size_t size, bool bounded)
{
	uint64_t now = page->reserved;

	do {
		if (bounded && siglog_state.max_records &&
		    now >> BYTES_BITS >= siglog_state.max_records)
			return false;
		if (bounded && siglog_state.max_bytes &&
		    (now & (ONE_RECORD - 1)) + size > siglog_state.max_bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&page->reserved, &now, now + ONE_RECORD + size));
	return true;
}

void siglog_push(struct siglog_page *page, struct siglog_record *record)
{
	struct siglog_record *head = page->head;

	/* The head is never looked into, so it may be freed and be another record by now. */
	do
		record->older = head;
	while (!atomic_compare_exchange_weak(&page->head, &head, record));
}

void siglog_drop(struct siglog_page *page, uint64_t count)
{
	struct siglog_counters *counters = siglog_counters(page);

	atomic_fetch_add(&counters->dropped, count);
	atomic_fetch_add(&counters->unreported, count);
}

static struct siglog_record *make_notice(const struct siglog_call *about, const char *format, ...)
{
	struct siglog_call call = *about;
	struct siglog_record *record;
	va_list args;

	va_start(args, format);
	call.format = format;
	call.args = &args;
	record = siglog_record_create(&call);
	va_end(args);
	return record;
}

bool siglog_push_notice(struct siglog_page *page)
{
	struct siglog_counters *counters = siglog_counters(page);
	struct siglog_call call = {.level = SIGLOG_WARNING, .page = page};
	struct siglog_record *record;
	uint64_t count = atomic_exchange(&counters->unreported, 0);

	if (!count)
		return false;
	call.number = atomic_fetch_add(&counters->number, 1) + 1;
	record = make_notice(&call, "%ju records dropped, %ju in all", (uintmax_t)count,
			     (uintmax_t)counters->dropped);
	if (!record) {
		atomic_fetch_add(&counters->unreported, count);
		return false;
	}
	siglog_reserve(page, record->size, false);
	siglog_push(page, record);
	return true;
}

/* Links what is pending forwards; returns the oldest of it, or NULL. Everyone who does stores the same. */
static struct siglog_record *link_pending(struct siglog_page *page, struct siglog_record *done)
{
	struct siglog_record *record = page->head;
	struct siglog_record *older;

	if (!record || record == done)
		return NULL;
	while ((older = record->older) && older != done) {
		older->newer = record;
		record = older;
	}
	if (done)
		done->newer = record;
	else
		page->oldest = record;
	return record;
}

static struct siglog_record *first_pending(struct siglog_page *page, struct siglog_record *done)
{
	struct siglog_record *first = done ? done->newer : page->oldest;

	return first ? first : link_pending(page, done);
}

/* From `record` on, of which so many bytes are written already. */
static unsigned int fill(const struct siglog_writer *writer, struct siglog_record *record,
			 uint32_t written)
{
	size_t limit = siglog_state.stream ? SIGLOG_LINE_MAX : SIGLOG_BATCH_BYTES;
	size_t bytes = 0;
	unsigned int n = 0;

	for (; record && n < writer->room; record = record->newer) {
		size_t length = record->length - written;

		/* Another may just have written a part of what he had as his first: so it must be here. */
		if (n > 0 && (bytes + length > limit || record->written))
			break;
		writer->iov[n].iov_base = siglog_line(record) + written;
		writer->iov[n].iov_len = length;
		bytes += length;
		written = 0;
		n++;
	}
	return n;
}

/* The last record that is written whole, where `bytes` are written from there on. */
static struct siglog_record *account(struct siglog_record *record, uint32_t written, size_t bytes)
{
	struct siglog_record *last = NULL;

	while (record && bytes >= record->length - written) {
		bytes -= record->length - written;
		written = 0;
		last = record;
		record = record->newer;
		if (bytes == 0)
			break;
	}
	/* Where another has written of it too, the first to say so stands: a few bytes may come twice. */
	if (bytes > 0 && record)
		atomic_compare_exchange_strong(&record->written, &written,
					       written + (uint32_t)bytes);
	return last;
}

int siglog_write_batch(struct siglog_page *page, const struct siglog_writer *writer)
{
	struct siglog_record *done = page->done;
	struct siglog_record *first = first_pending(page, done);
	struct siglog_record *last;
	uint32_t before;
	unsigned int n;
	ssize_t written;

	if (!first)
		return *writer->owner == writer->mine ? 1 : 0;
	before = first->written;
	n = fill(writer, first, before);
	/* A frame that a fork took along must not go on; behind this line its iovec is wiped. */
	if (*writer->owner != writer->mine ||
	    (writer->iov == page->drain_iov && !(page->gate & SIGLOG_BUSY)))
		return 0;
	written = siglog_write(writer->iov, n, writer->deadline);
	/* Nothing at all: another has emptied the iovec, or a fork has. */
	if (written <= 0)
		return (int)written;
	if (*writer->owner != writer->mine)
		return 0;
	last = account(first, before, (size_t)written);
	if (last && !atomic_compare_exchange_strong(&page->done, &done, last))
		return 0;
	return 1;
}

/* From the end: the kernel reads it from the start, so what it finds is the beginning, as account() takes it. */
void siglog_wipe(struct iovec *iov, unsigned int room)
{
	while (room-- > 0)
		*(volatile size_t *)&iov[room].iov_len = 0;
}

static void unreserve(struct siglog_page *page, const struct siglog_record *record)
{
	uint64_t now = page->reserved;
	uint64_t size = ONE_RECORD + record->size;

	while (!atomic_compare_exchange_weak(&page->reserved, &now, now > size ? now - size : 0))
		;
}

/* By the drainer. `reap` moves on before a record is freed: one that never comes back loses one. */
void siglog_reap(struct siglog_page *page)
{
	for (;;) {
		struct siglog_record *record = page->reap;
		struct siglog_record *done = page->done;

		if (!record)
			record = page->oldest;
		/* Looked at each time: who sets it reads `done` afterwards, and that is never freed. */
		if (!done || !record || record == done || page->gate & SIGLOG_DIRECT)
			return;
		page->reap = record->newer;
		if (record == &page->stub)
			continue;
		unreserve(page, record);
		siglog_record_free(record);
	}
}
