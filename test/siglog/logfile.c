/* See logfile.h. */
#include "logfile.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int log_file(void)
{
	int fd = memfd_create("siglog", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
	return fd;
}

int log_open(const struct siglog_options *options)
{
	int fd = log_file();
	int result = siglog_open_fd(fd, options);

	CHECK_THAT(result == 0, "siglog_open_fd() says %d", result);
	return fd;
}

void log_take(struct log_text *log, char *start, size_t length)
{
	*log = (struct log_text){.start = start, .at = start, .length = length};
}

void log_read(struct log_text *log, int fd)
{
	struct stat status;
	char *start;

	CHECK(fstat(fd, &status) == 0);
	start = malloc((size_t)status.st_size + 1);
	CHECK(start);
	CHECK(pread(fd, start, (size_t)status.st_size, 0) == status.st_size);
	log_take(log, start, (size_t)status.st_size);
}

void log_free(struct log_text *log)
{
	free(log->start);
}

/* 0 stands for a digit, all else for itself. */
static const char *match(const char *at, const char *shape)
{
	for (; *shape; shape++, at++) {
		if (*shape == '0' ? !isdigit((unsigned char)*at) : *at != *shape)
			return NULL;
	}
	return at;
}

static bool parse(struct log_line *line, const char *at)
{
	int end = 0;

	at = match(at, "0000-00-00T00:00:00.000000Z ");
	if (!at || sscanf(at, "%d/%d #%lu %7[A-Z]%n", &line->pid, &line->tid, &line->number,
			  line->level, &end) != 4)
		return false;
	line->text = at + end + 1;
	return at[end] == ' ' && line->pid > 0 && line->tid > 0;
}

bool log_next(struct log_text *log, struct log_line *line)
{
	size_t left = log->length - (size_t)(log->at - log->start);
	char *at = log->at, *end;

	if (left == 0)
		return false;
	end = memchr(at, '\n', left);
	CHECK_THAT(end, "the last line has no end: %.*s", (int)(left < 200 ? left : 200), at);
	*end = '\0';
	CHECK_THAT(parse(line, at), "torn: %.300s", at);
	CHECK(end - at < SIGLOG_LINE_MAX);
	log->at = end + 1;
	return true;
}

void log_expect(int fd, ...)
{
	struct log_text log;
	struct log_line line;
	const char *want;
	va_list args;

	log_read(&log, fd);
	va_start(args, fd);
	while ((want = va_arg(args, const char *))) {
		CHECK_THAT(log_next(&log, &line), "missing: \"%s\"", want);
		CHECK_THAT(strcmp(line.text, want) == 0, "\"%s\" instead of \"%s\"", line.text,
			   want);
	}
	va_end(args);
	CHECK_THAT(!log_next(&log, &line), "a line too many: \"%s\"", line.text);
	log_free(&log);
}

size_t log_count(int fd)
{
	struct log_text log;
	struct log_line line;
	size_t n = 0;

	log_read(&log, fd);
	while (log_next(&log, &line))
		n++;
	log_free(&log);
	return n;
}
