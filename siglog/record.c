/*
 * Records: a line of text in memory from malloc, or from a reserve where there is none.
 * Layer: siglog. Called by queue.c and siglog.c.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	GUESS = 256, /* bytes of a record that most lines fit in */
	DAY = 86400,
};

struct slot {
	_Alignas(struct siglog_record) char memory[sizeof(struct siglog_record) + SIGLOG_LINE_MAX];
};

static struct slot slots[SIGLOG_SLOTS];

static struct siglog_record *slot_record(unsigned int i)
{
	return (struct siglog_record *)(void *)slots[i].memory;
}

struct siglog_record *siglog_slot_take(void)
{
	uint32_t used = siglog_state.slots;
	struct siglog_record *record;
	unsigned int i;

	do {
		for (i = 0; i < SIGLOG_SLOTS && used & 1U << i; i++)
			;
		if (i == SIGLOG_SLOTS)
			return NULL;
	} while (!atomic_compare_exchange_weak(&siglog_state.slots, &used, used | 1U << i));
	record = slot_record(i);
	memset(record, 0, sizeof(*record));
	record->size = sizeof(slots[i]);
	return record;
}

void siglog_record_free(struct siglog_record *record)
{
	for (unsigned int i = 0; i < SIGLOG_SLOTS; i++) {
		if (record == slot_record(i)) {
			atomic_fetch_and(&siglog_state.slots, ~(1U << i));
			return;
		}
	}
	free(record);
}

static void put_number(char *text, unsigned int number, unsigned int digits)
{
	for (; digits > 0; digits--, number /= 10)
		text[digits - 1] = (char)('0' + number % 10);
}

static unsigned int days_of_year(unsigned int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
}

static unsigned int days_of_month(unsigned int year, unsigned int month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month] + (month == 1 && days_of_year(year) == 366 ? 1U : 0U);
}

static unsigned int leap_days_before(unsigned int year)
{
	year--;
	return year / 4 - year / 100 + year / 400;
}

/* YYYY-MM-DD of a day since 1970; 400 years have 146097 days. */
static void put_date(char *text, uint64_t day)
{
	unsigned int rest = (unsigned int)(day % 146097);
	unsigned int year = 1970 + rest / 366, month = 0;

	rest -= (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
	for (; rest >= days_of_year(year); year++)
		rest -= days_of_year(year);
	for (; rest >= days_of_month(year, month); month++)
		rest -= days_of_month(year, month);
	put_number(text, year + 400 * (unsigned int)(day / 146097), 4);
	text[4] = text[7] = '-';
	put_number(text + 5, month + 1, 2);
	put_number(text + 8, rest + 1, 2);
}

static void put_time(struct siglog_sink *sink)
{
	char text[] = "0000-00-00T00:00:00.000000Z ";
	struct timespec now = {0, 0};
	unsigned int second;

	clock_gettime(CLOCK_REALTIME, &now);
	second = (unsigned int)(now.tv_sec % DAY);
	put_date(text, (uint64_t)now.tv_sec / DAY);
	put_number(text + 11, second / 3600, 2);
	put_number(text + 14, second / 60 % 60, 2);
	put_number(text + 17, second % 60, 2);
	put_number(text + 20, (unsigned int)(now.tv_nsec / 1000), 6);
	siglog_put(sink, text, sizeof(text) - 1);
}

/* The number, and what stands around it. */
static void put_decimal(struct siglog_sink *sink, const char *before, uint64_t number,
			const char *after)
{
	char text[20];
	size_t digits = 0;

	do
		text[sizeof(text) - ++digits] = (char)('0' + number % 10);
	while (number /= 10);
	siglog_put(sink, before, strlen(before));
	siglog_put(sink, text + sizeof(text) - digits, digits);
	siglog_put(sink, after, strlen(after));
}

static const char *level_name(int level)
{
	static const char *const name[] = {"FATAL ",  "ERROR ", "WARNING ",
					   "NOTICE ", "INFO ",	"DEBUG "};

	return level >= 0 && level <= SIGLOG_DEBUG ? name[level] : "? ";
}

/* Ends a text that didn't fit, at a character's start. */
static void cut(char *line, size_t room)
{
	size_t at = room - 4;

	while (at > 0 && ((unsigned char)line[at] & 0xc0) == 0x80)
		at--;
	memset(line + at, '.', room - 1 - at);
}

size_t siglog_make_line(char *line, size_t room, const struct siglog_call *call)
{
	struct siglog_sink sink = {.at = line, .room = room - 1};
	pid_t pid, tid = siglog_tid(call->page, &pid);

	put_time(&sink);
	put_decimal(&sink, "", (uint64_t)pid, "/");
	put_decimal(&sink, "", (uint64_t)tid, " #");
	put_decimal(&sink, "", call->number, " ");
	siglog_put(&sink, level_name(call->level), strlen(level_name(call->level)));
	sink.escape = true;
	siglog_format(&sink, call->format, *call->args, call->error);
	if (sink.length > sink.room)
		cut(line, room);
	line[sink.length < sink.room ? sink.length : sink.room] = '\n';
	return sink.length + 1;
}

static struct siglog_record *record_alloc(size_t size)
{
	struct siglog_record *record = malloc(size);

	if (!record)
		return siglog_slot_take();
	memset(record, 0, sizeof(*record));
	record->size = (uint32_t)size;
	return record;
}

struct siglog_record *siglog_record_create(const struct siglog_call *call)
{
	size_t size = GUESS;

	for (bool again = false;; again = true) {
		struct siglog_record *record = record_alloc(size);
		size_t room, length;

		if (!record)
			return NULL;
		room = record->size - sizeof(*record);
		length = siglog_make_line(siglog_line(record), room, call);
		record->length = (uint32_t)(length < room ? length : room);
		/* A text that has grown since it was measured is cut. */
		if (length <= room || again || room >= SIGLOG_LINE_MAX)
			return record;
		siglog_record_free(record);
		size = sizeof(*record) + (length < SIGLOG_LINE_MAX ? length : SIGLOG_LINE_MAX);
	}
}
