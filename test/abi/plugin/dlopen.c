/*
 * dlopen, which the preload takes over for the sake of RTLD_DEEPBIND, still does for each caller
 * what the loader does by who calls: the caller's RUNPATH, and $ORIGIN in the name.
 *   dlopen OUTER INNER_NAME
 */
#include "../check.h"

static void *(*outer_load)(const char *name, int flags);

static void load_outer(const char *path)
{
	void *outer = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	CHECK_THAT(outer, "%s", dlerror());
	LOOKUP(outer_load, outer, "outer_load");
	CHECK(outer_load);
}

static void check_inner(void *inner)
{
	int (*answer)(void);
	void *(*inner_malloc)(size_t);

	CHECK_THAT(inner, "%s", dlerror());
	LOOKUP(answer, inner, "inner_answer");
	LOOKUP(inner_malloc, inner, "inner_malloc");
	CHECK(answer && answer() == 42 && inner_malloc);
	free(inner_malloc(100));
	CHECK(dlclose(inner) == 0);
}

int main(int argc, char **argv)
{
	char by_origin[256];
	void *self;

	CHECK_THAT(argc == 3, "usage: dlopen OUTER INNER_NAME");
	load_outer(argv[1]);
	/* This program has no RUNPATH that leads there. */
	CHECK(!dlopen(argv[2], RTLD_NOW));
	CHECK_THAT(strstr(dlerror(), argv[2]), "dlerror does not name the file");
	check_inner(outer_load(argv[2], RTLD_NOW));
	check_inner(outer_load(argv[2], RTLD_LAZY | RTLD_GLOBAL));
	check_inner(outer_load(argv[2], RTLD_NOW | RTLD_DEEPBIND));
	snprintf(by_origin, sizeof(by_origin), "$ORIGIN/inner/%s", argv[2]);
	check_inner(outer_load(by_origin, RTLD_NOW));
	self = dlopen(NULL, RTLD_NOW);
	CHECK(self && dlsym(self, "malloc"));
	CHECK(!outer_load("no-such-library.so", RTLD_NOW) && dlerror() && !dlerror());
	puts("dlopen: ok");
	return 0;
}
