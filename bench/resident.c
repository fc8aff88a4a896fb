// SPDX-License-Identifier: MIT
/*
 * A program that allocates once and prints what is resident of it: a malloc's least footprint. Run by
 * bench/compare startup.
 */
#include "process.h"
#include "workload.h"

/* What is read before it is printed must not count what printing takes. */
static char rollup[4096], status[8192];

static void read_all(const char *file, char *text, size_t size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 1;

	while (fd >= 0 && length < size - 1 && got > 0) {
		got = read(fd, text + length, size - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	}
	if (length == 0)
		die("%s cannot be read\n", file);
	close(fd);
}

static void say_line(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	if (!line)
		die("no %s\n", key);
	say("%.*s\n", (int)strcspn(line, "\n"), line);
}

int main(void)
{
	void *p = malloc(100);
	const char *provider;

	if (!p)
		die("no memory\n");
	touch(p);
	free(p);
	read_all("/proc/self/smaps_rollup", rollup, sizeof(rollup));
	read_all("/proc/self/status", status, sizeof(status));
	provider = malloc_provider();
	say("malloc %s\n", provider ? provider : "unknown");
	say_line(rollup, "Rss:");
	say_line(rollup, "Pss:");
	say_line(rollup, "Anonymous:");
	say_line(status, "VmHWM:");
	return 0;
}
