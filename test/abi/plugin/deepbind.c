/*
 * A plugin loaded with RTLD_DEEPBIND, as php loads its extensions: what it allocates the program
 * frees, and what the program allocates it frees.
 *   deepbind PLUGIN
 */
#include <malloc.h>

#include "../check.h"

static char *(*plugin_strdup)(const char *);
static void *(*plugin_malloc)(size_t);
static void *(*plugin_realloc)(void *, size_t);
static void (*plugin_free)(void *);

static void load(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

	CHECK_THAT(plugin, "%s", dlerror());
	LOOKUP(plugin_strdup, plugin, "plugin_strdup");
	LOOKUP(plugin_malloc, plugin, "plugin_malloc");
	LOOKUP(plugin_realloc, plugin, "plugin_realloc");
	LOOKUP(plugin_free, plugin, "plugin_free");
	CHECK(plugin_strdup && plugin_malloc && plugin_realloc && plugin_free);
}

static void theirs_freed_here(size_t n)
{
	char *text = plugin_strdup("from the plugin");
	unsigned char *p = plugin_malloc(n);

	CHECK(text && p && strcmp(text, "from the plugin") == 0);
	free(text);
	memset(p, 0x66, n);
	CHECK(malloc_usable_size(p) >= n);
	p = realloc(p, n * 2 + 100);
	CHECK(p && all_bytes(p, 0x66, n));
	free(p);
}

static void ours_freed_there(size_t n)
{
	unsigned char *p = malloc(n);
	char *text = strdup("from the program");

	CHECK(p && text);
	memset(p, 0x77, n);
	p = plugin_realloc(p, n * 2 + 100);
	CHECK(p && all_bytes(p, 0x77, n));
	plugin_free(p);
	plugin_free(text);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {1, 24, 100, 1000, 10000, 100000, 1 << 20, 50 << 20};

	CHECK_THAT(argc == 2, "usage: deepbind PLUGIN");
	load(argv[1]);
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			if (sizes[i] > 100000 && round > 3)
				continue;
			theirs_freed_here(sizes[i]);
			ours_freed_there(sizes[i]);
		}
	}
	puts("deepbind: ok");
	return 0;
}
