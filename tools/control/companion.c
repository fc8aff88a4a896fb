/*
 * What was built or installed with this program. Layer: tools. Called by run.c and mount.c.
 */
#include "control.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool find_companion(const char *from_here, const char *installed, char *path)
{
	const char *const places[] = {from_here, installed};
	char here[PATH_MAX], name[2 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
	char *slash;

	if (n < 0)
		return false;
	here[n] = '\0';
	slash = strrchr(here, '/');
	if (!slash)
		return false;
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", here, places[i]);
		if (access(name, R_OK) == 0 && realpath(name, path))
			return true;
	}
	return false;
}
