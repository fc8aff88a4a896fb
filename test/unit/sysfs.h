/* A directory that looks like a part of sysfs, for the tests of nodes. Names are below /sys/devices/system. */
#ifndef USLUB_UNIT_SYSFS_H
#define USLUB_UNIT_SYSFS_H

#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

/* In memory, where that can be: there are thousands of files. */
static char root[64];
static char sysfs[80]; /* of nodes */

static inline int remove_entry(const char *path, const struct stat *is, int type, struct FTW *where)
{
	(void)is;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void make_directories(char *path)
{
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

static inline void put_bytes(const char *name, const void *bytes, size_t size)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, flags, 0600);
	if (fd < 0) {
		make_directories(path);
		fd = open(path, flags, 0600);
	}
	must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static inline void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static inline void drop(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	must(!remove(path));
}

/* NULL: there is no such file. */
static inline void put_node(uint32_t node, const char *cpus, const char *distances, uint64_t kib)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "node/node%u/cpulist", node);
	if (cpus)
		put(name, cpus);
	snprintf(name, sizeof(name), "node/node%u/distance", node);
	if (distances)
		put(name, distances);
	snprintf(name, sizeof(name), "node/node%u/meminfo", node);
	snprintf(text, sizeof(text),
		 "Node %u MemTotal:       %lu kB\nNode %u MemFree:        1 kB\n", node,
		 (unsigned long)kib, node);
	put(name, text);
}

static inline void put_sets(const char *possible, const char *online, const char *memory)
{
	put("node/possible", possible);
	put("node/online", online);
	put("node/has_memory", memory);
	put("node/has_normal_memory", memory);
	put("node/has_cpu", online);
	put("cpu/online", "0-7\n");
}

static inline void make_root(void)
{
	strcpy(root, "/dev/shm/uslub-sysfs-XXXXXX");
	if (!mkdtemp(root))
		must(mkdtemp(strcpy(root, "/tmp/uslub-sysfs-XXXXXX")));
	snprintf(sysfs, sizeof(sysfs), "%s/node", root);
}

static inline void remove_root(void)
{
	must(!nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS));
}

#endif
