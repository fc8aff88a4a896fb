/*
 * How much processor time a case has had, for telling one that hangs from one that the machine starves.
 * Layer: tools. Called by runner.c.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

/* The clock ticks of one process of that group, its ended children included; 0 for any other. */
static unsigned long ticks_of(const char *pid, pid_t group)
{
	char path[64], text[1024], *fields;
	unsigned long user, system;
	long children_user, children_system;
	int of;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	/* The name in parentheses may have spaces: the fields begin behind it. */
	fields = strrchr(text, ')');
	if (!fields ||
	    sscanf(fields + 1, " %*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &of,
		   &user, &system, &children_user, &children_system) != 5)
		return 0;
	return of == group ? user + system + (unsigned long)(children_user + children_system) : 0;
}

double usage_of_group(pid_t group)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned long ticks = 0;

	if (!proc)
		return 0;
	while ((entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			ticks += ticks_of(entry->d_name, group);
	}
	closedir(proc);
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}
