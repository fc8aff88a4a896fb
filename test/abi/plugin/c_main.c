/*
 * A C program, without libstdc++, loads a C++ plugin out of everybody's sight (RTLD_LOCAL).
 *   c_main PLUGIN [static]
 */
#include <link.h>

#include "../check.h"

static int is_libstdcxx(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	if (strstr(info->dlpi_name, "libstdc++"))
		*(bool *)found = true;
	return 0;
}

static bool libstdcxx_is_loaded(void)
{
	bool found = false;

	dl_iterate_phdr(is_libstdcxx, &found);
	return found;
}

static void *load(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	CHECK_THAT(plugin, "%s", dlerror());
	return plugin;
}

int main(int argc, char **argv)
{
	void *(*plugin_new)(size_t);
	void (*plugin_delete)(void *);
	int (*plugin_run)(void);
	void *plugin, *here, *there;
	bool is_static = argc == 3;

	CHECK_THAT(argc >= 2, "usage: c_main PLUGIN [static]");
	CHECK_THAT(!libstdcxx_is_loaded(), "libstdc++ is here before the plugin");
	plugin = load(argv[1]);
	CHECK(is_static || libstdcxx_is_loaded());
	LOOKUP(plugin_run, plugin, "plugin_run");
	LOOKUP(plugin_new, plugin, "plugin_new");
	LOOKUP(plugin_delete, plugin, "plugin_delete");
	CHECK(plugin_run && plugin_new && plugin_delete);
	for (int i = 0; i < 3; i++) {
		int step = plugin_run();

		CHECK_THAT(step == 0, "step %d of the plugin failed", step);
	}
	here = malloc(100);
	there = plugin_new(100);
	CHECK(here && there);
	plugin_delete(here);
	free(there);
	CHECK(dlclose(plugin) == 0);
	/* And once more, in case something was remembered of the plugin that went. */
	plugin = load(argv[1]);
	LOOKUP(plugin_run, plugin, "plugin_run");
	CHECK(plugin_run && plugin_run() == 0);
	puts("c_main: ok");
	return 0;
}
