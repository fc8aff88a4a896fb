// SPDX-License-Identifier: MIT
/* What nodes are worth and cost. Run by bench/numa-placement, which explains the figures. */
#include "numa.h"

#include <dlfcn.h>
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>

struct place places[MAX_PLACES];
unsigned int nr_places;
void *(*malloc_node)(size_t size, int node);
int (*node_of)(const void *p);
bool is_real;

void stand_at(const struct place *place)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)place->cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		die("no thread may run on processor %d\n", place->cpu);
}

int page_node(const void *p)
{
	void *page = (void *)((uintptr_t)p & ~(uintptr_t)4095);
	int status = -1;

	/* Without nodes it moves nothing, and says where the page is. */
	if (numa_move_pages(0, 1, &page, NULL, &status, 0) != 0)
		die("move_pages: %s\n", strerror(errno));
	return status;
}

uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void find_calls(void)
{
	*(void **)&malloc_node = dlsym(RTLD_DEFAULT, "uslub_malloc_node");
	*(void **)&node_of = dlsym(RTLD_DEFAULT, "uslub_node_of");
	if (!malloc_node || !node_of)
		die("numa: this malloc knows no nodes\n");
}

static void parse_place(const char *text)
{
	struct place *place = &places[nr_places++];

	if (nr_places > MAX_PLACES || sscanf(text, "%d:%d", &place->cpu, &place->node) != 2 ||
	    place->cpu < 0 || place->cpu >= CPU_SETSIZE || place->node < 0)
		die("numa: %s is no CPU:NODE\n", text);
}

static void usage(void)
{
	die("usage: numa place OBJECTS CPU:NODE...\n"
	    "       numa cost SIZE CPU:NODE\n"
	    "       numa remote SIZE CPU:NODE CPU:NODE\n"
	    "       numa leave MIB DIRECTORY CPU:NODE...\n");
}

int main(int argc, char **argv)
{
	int first = 3;

	if (argc < 4)
		usage();
	if (strcmp(argv[1], "leave") == 0)
		first = 4;
	for (int i = first; i < argc; i++)
		parse_place(argv[i]);
	if (nr_places == 0)
		usage();
	is_real = numa_available() == 0 && numa_num_configured_nodes() > 1;
	if (strcmp(argv[1], "cost") != 0)
		find_calls();
	meet_malloc();
	say("nodes %s\n", is_real ? "real" : "simulated");
	stand_at(&places[0]);
	if (strcmp(argv[1], "place") == 0)
		numa_place(number(argv[2], "OBJECTS"));
	else if (strcmp(argv[1], "cost") == 0)
		numa_cost(number(argv[2], "SIZE"));
	else if (strcmp(argv[1], "remote") == 0 && nr_places == 2)
		numa_remote(number(argv[2], "SIZE"));
	else if (first == 4 && nr_places > 1)
		numa_leave(number(argv[2], "MIB"), argv[3]);
	else
		usage();
	return 0;
}
