/*
 * Stepped: the calls that look at all of the heap, or tidy it up. Layer: tools. In the table of
 * step_cases.c. They are left out where the malloc that is judged doesn't have them.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "step_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const size_t sizes[] = {200};

static int (*trim_function)(size_t pad);
static struct mallinfo2 (*info_function)(void);
static void (*stats_function)(void);
static int (*xml_function)(int options, FILE *file);
static FILE *nowhere;

/* There is something to give back, and something that stays. */
static void leave_some(struct scene *scene)
{
	scene_hold(scene, 400);
	for (size_t i = 0; i < scene->nr_held; i++) {
		if (i % 8 != 0)
			object_free(&scene->held[i]);
	}
}

static void free_the_rest(struct scene *scene)
{
	scene_free_held(scene);
}

static void run(const struct conform_options *options, void (*stepped)(void *scene),
		const char *name, void *function)
{
	void *symbol = conform_require(name);
	const struct scene_call call = {leave_some, stepped, free_the_rest, true, true};

	memcpy(function, &symbol, sizeof(symbol));
	scene_run(scene_new(options, 0), &call, sizes, COUNT(sizes));
}

static void trim(void *scene)
{
	(void)scene;
	trim_function(0);
}

void step_trim(const struct conform_options *options)
{
	run(options, trim, "malloc_trim", &trim_function);
}

static void info(void *scene)
{
	(void)scene;
	if (info_function().uordblks == 0)
		conform_end(CONFORM_FAIL, "mallinfo2() knows of no memory in use", 0);
}

void step_mallinfo2(const struct conform_options *options)
{
	run(options, info, "mallinfo2", &info_function);
}

static void stats(void *scene)
{
	(void)scene;
	stats_function();
}

void step_malloc_stats(const struct conform_options *options)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* They are written to stderr, at each of many calls. */
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		conform_end(CONFORM_UNABLE, "/dev/null can't be opened", 0);
	run(options, stats, "malloc_stats", &stats_function);
}

static void xml(void *scene)
{
	(void)scene;
	xml_function(0, nowhere);
}

void step_malloc_info(const struct conform_options *options)
{
	nowhere = fopen("/dev/null", "w");
	if (!nowhere)
		conform_end(CONFORM_UNABLE, "/dev/null can't be opened", 0);
	run(options, xml, "malloc_info", &xml_function);
}
