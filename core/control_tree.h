/*
 * The tree of control files: one table of attributes, and what is done with a path. Layer: control. Called by the
 * server, and by unit tests.
 */
#ifndef USLUB_CONTROL_TREE_H
#define USLUB_CONTROL_TREE_H

#include "control_out.h"

/* What a path's variable components are. */
struct control_target {
	uint32_t node;
	struct kmem_cache *cache;
};

/*
 * As the kernel's: a file's path, its mode, what it shows and what it stores, each 0 or an errno. In the path, node#
 * stands for every node and @ for every cache. Without a function the answer is EACCES.
 */
struct attribute {
	const char *path;
	uint16_t mode;
	int (*show)(const struct attribute *a, const struct control_target *target,
		    struct control_out *out);
	int (*store)(const struct attribute *a, const struct control_target *target,
		     const char *text, size_t len);
	uint32_t which; /* for functions that serve several files */
};

/* Ends with a path of NULL. Files of a directory stand together. */
extern const struct attribute control_attributes[] __attribute__((visibility("hidden")));

#define CONTROL_NAME 48U
/* The name under which the tree has the cache; false: it is destroyed. */
bool control_cache_name(const struct kmem_cache *s, char name[CONTROL_NAME]);

/* 0, or an errno. Paths need no slash at the front and bear one at the end. */
int control_list(const char *path, size_t len, struct control_out *out);
int control_stat(const char *path, size_t len, struct control_out *out);
int control_show(const char *path, size_t len, struct control_out *out);
int control_store(const char *path, size_t len, const char *text, size_t text_len);

/* A decimal number, perhaps with an end of line: 0, EINVAL or ERANGE, as kstrtoul(). */
int control_parse(const char *text, size_t len, uint64_t *value);
/* Is the text the word, perhaps with an end of line? As sysfs_streq(). */
bool control_is_word(const char *text, size_t len, const char *word);

#endif
