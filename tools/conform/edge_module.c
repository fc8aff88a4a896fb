/*
 * Modules: the C library calls malloc by itself where a thread first touches a module's TLS; and the end
 * of the process, in which modules have destructors. Layer: tools; listed in edge.c.
 *
 * The module lies beside the program, or where an installation puts it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge.h"
#include "module/edge_tls.h"
#include "storm_table.h"

#define THREADS 60UL
#define NR 6
#define PROCESSES 20UL

typedef char *touch_function(void);

static touch_function *touch;
static void (**at_end)(void);

static void load(const char *directory, const char *further)
{
	char path[4096];
	void *module, *symbol;

	if (touch || snprintf(path, sizeof(path), "%s/%s%s", directory, further, EDGE_TLS_FILE) >=
			     (int)sizeof(path))
		return;
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return;
	symbol = dlsym(module, "edge_tls_touch");
	memcpy(&touch, &symbol, sizeof(touch));
	at_end = dlsym(module, "edge_tls_at_end");
}

static void load_module(void)
{
	char directory[2048];
	ssize_t n = readlink("/proc/self/exe", directory, sizeof(directory) - 1);
	char *slash;

	directory[n > 0 ? n : 0] = '\0';
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
	load(directory, "");
	load(directory, "../" USLUB_CONFORM_LIBDIR "/");
	if (!touch || !at_end)
		conform_end(CONFORM_UNABLE, EDGE_TLS_FILE " is missing beside the program:", 0);
}

struct toucher {
	struct step step;
	unsigned long at;
	struct conform_object kept;
};

static void calls(void *arg)
{
	void *raw[NR];

	(void)arg;
	for (int i = 0; i < NR; i++)
		raw[i] = malloc(EDGE_TLS_SIZE);
	for (int i = 0; i < NR; i++)
		free(raw[i]);
}

static void fill_area(void)
{
	char *area = touch();

	for (size_t i = 0; i < EDGE_TLS_SIZE; i++) {
		if (area[i] != 0)
			conform_end(CONFORM_CORRUPT, "a module's new TLS isn't zero at", i);
	}
	memset(area, 0x5a, EDGE_TLS_SIZE);
}

static void hook(void *arg, unsigned long at)
{
	struct toucher *t = arg;

	if (at < t->at)
		return;
	t->step.leave = true;
	fill_area();
	object_make(&t->kept, BY_MALLOC, EDGE_TLS_SIZE);
}

static void *live(void *arg)
{
	struct toucher *t = arg;
	char *area;

	t->step = (struct step){.call = calls, .arg = t, .hook = hook, .hook_arg = t};
	step_call(&t->step);
	if (!t->kept.p)
		return NULL;
	object_free(&t->kept);
	area = touch();
	for (size_t i = 0; i < EDGE_TLS_SIZE; i++) {
		if (area[i] != 0x5a)
			conform_end(CONFORM_CORRUPT, "a module's TLS changed at", i);
	}
	return NULL;
}

void edge_tls(const struct conform_options *options)
{
	struct toucher t = {.at = ~0UL};
	unsigned long nr = THREADS * options->effort, length;

	load_module();
	pthread_join(freeze_thread(live, &t), NULL);
	length = t.step.instructions;
	for (unsigned long i = 0; i < nr; i++) {
		t.at = 1 + i * length / nr;
		pthread_join(freeze_thread(live, &t), NULL);
	}
	conform_note("instructions", length);
	conform_note("threads", nr);
}

enum { KEPT = 100 };

static struct conform_object kept[KEPT];
static struct conform_random ending;
static bool is_ending;
static unsigned int ends;

static void use_at_the_end(void)
{
	if (!is_ending)
		return;
	ends++;
	for (int i = 0; i < KEPT; i++)
		object_check(&kept[i]);
	edge_use_the_heap(&ending);
}

/* The last of all: the module's destructor has run by then, or runs now, at the program's own. */
static void use_at_the_very_end(void)
{
	use_at_the_end();
	for (int i = 0; i < KEPT; i++)
		object_free(&kept[i]);
	for (int i = 0; i < KEPT; i++)
		object_make(&kept[i], BY_CALLOC, 200);
	/* Three handlers, this program's destructor, and the module's. */
	if (ends != 5)
		conform_end(CONFORM_FAIL, "of five ends of the process there were", ends);
}

__attribute__((destructor)) static void end_of_program(void)
{
	use_at_the_end();
}

static _Noreturn void end_the_process(unsigned long stream)
{
	freeze_in_child();
	conform_random_seed(&ending, stream, 33);
	for (int i = 0; i < KEPT; i++)
		table_make(&kept[i], &ending);
	is_ending = true;
	*at_end = use_at_the_very_end;
	for (int i = 0; i < 3; i++) {
		if (atexit(use_at_the_end) != 0)
			conform_end(CONFORM_UNABLE, "atexit() fails:", 0);
	}
	exit(0);
}

void edge_exit(const struct conform_options *options)
{
	unsigned long nr = PROCESSES * options->effort;

	load_module();
	for (unsigned long i = 0; i < nr; i++) {
		pid_t child = fork();

		if (child == 0)
			end_the_process(options->seed + i);
		freeze_reap(child);
	}
	conform_note("processes", nr);
}
