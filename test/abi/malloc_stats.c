/* malloc_stats writes figures to stderr, nothing to stdout, and they are true. */
#include <ctype.h>
#include <malloc.h>

#include "proc.h"

static char text[1 << 16];

/* What malloc_stats writes to one of the standard descriptors. */
static size_t capture(int fd)
{
	int ends[2];
	int saved = dup(fd);
	ssize_t n;
	size_t len = 0;

	CHECK(saved >= 0 && pipe(ends) == 0);
	CHECK(dup2(ends[1], fd) == fd);
	close(ends[1]);
	malloc_stats();
	fflush(stderr);
	fflush(stdout);
	CHECK(dup2(saved, fd) == fd);
	close(saved);
	while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(ends[0]);
	text[len] = '\0';
	return len;
}

static bool has_number_between(size_t low, size_t high)
{
	for (char *at = text; *at; at++) {
		if (!isdigit((unsigned char)*at))
			continue;
		size_t value = strtoul(at, &at, 10);

		if (value >= low && value <= high)
			return true;
		if (!*at)
			break;
	}
	return false;
}

int main(void)
{
	size_t live = 777 * 100 * 1000;
	static void *p[777];

	for (int i = 0; i < 777; i++)
		CHECK((p[i] = malloc(100 * 1000)));
	CHECK(capture(STDOUT_FILENO) == 0);
	CHECK(capture(STDERR_FILENO) > 0);
	CHECK_THAT(has_number_between(live, live + live / 7) ||
			   has_number_between(live / 1024, (live + live / 7) / 1024),
		   "no total of %zu bytes, nor its KiB, in:\n%.800s", live, text);
	for (int i = 0; i < 777; i++)
		free(p[i]);
	puts("malloc_stats: ok");
	return 0;
}
