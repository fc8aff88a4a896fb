/*
 * The program that the tests in QEMU look at, in the guest: obeys orders on stdin, a line each, and answers each with
 * a line that begins with the order's word. Run by nodes.py, mostly under the preloaded library.
 *
 *   fresh THREADS BYTES      threads, pinned to the cpus in turn, allocate that much each, and say which share of the
 *                            pages of their objects is on the node that they run on
 *   map NODE BYTES           memory that the kernel is told to take of the node, to see that `where` is right
 *   hold NODE SIZE COUNT     objects, of uslub_malloc_node(), or for NODE -1 of malloc()
 *   where, check, drop       the pages of what is held, whether the contents are intact, and an end of them
 *   spoil, mend              changes a bit of what is held, and back, to see that `check` is right
 *   work THREADS NODE        load, until `rest`; `census` are its pages, `state` its operations and errors, `locality`
 *                            the pages that are where the threads are which asked for them, and no other node
 */
#include "objects.h"
#include "workers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_HELD 65536U
#define MPOL_BIND 2

static struct held {
	struct object *object;
	uint32_t size;
	bool mapped;
} held[MAX_HELD];
static unsigned int nr_held;

struct object *object_alloc(size_t size, int node)
{
	static void *(*malloc_node)(size_t size, int node);

	if (node == NO_NODE)
		return malloc(size);
	if (!malloc_node) {
		void *symbol = dlsym(RTLD_DEFAULT, "uslub_malloc_node");

		memcpy(&malloc_node, &symbol, sizeof(malloc_node));
	}
	return malloc_node ? malloc_node(size, node) : NULL;
}

static void keep(struct object *o, uint32_t size, bool mapped)
{
	object_fill(o, size, nr_held);
	held[nr_held++] = (struct held){o, size, mapped};
}

static void hold(int node, uint32_t size, unsigned int count)
{
	unsigned int i = 0;

	for (; i < count && nr_held < MAX_HELD; i++) {
		struct object *o = object_alloc(size, node);

		if (!o)
			break;
		keep(o, size, false);
	}
	printf("hold %u\n", i);
}

static void map(unsigned int node, uint32_t size)
{
	unsigned long mask = 1UL << node;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || nr_held == MAX_HELD ||
	    syscall(SYS_mbind, memory, size, MPOL_BIND, &mask, sizeof(mask) * 8, 0)) {
		perror("map");
		abort();
	}
	keep(memory, size, true);
	printf("map %u\n", size);
}

static void where(void)
{
	struct placement p = {0};
	struct page_batch batch = {.to = &p};

	for (unsigned int i = 0; i < nr_held; i++)
		pages_count(&batch, held[i].object, held[i].size);
	pages_end(&batch);
	placement_print("where", &p);
}

static void check(void)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i < nr_held; i++)
		bad += !object_intact(held[i].object, held[i].size, i);
	printf("check %u %u\n", bad, nr_held);
}

/* Done twice it is undone. */
static void spoil(const char *word)
{
	held[nr_held - 1].object->pattern[0] ^= 1;
	printf("%s %u\n", word, nr_held);
}

static void drop(void)
{
	unsigned int n = nr_held;

	while (nr_held) {
		struct held *h = &held[--nr_held];

		if (h->mapped)
			munmap(h->object, h->size);
		else
			free(h->object);
	}
	printf("drop %u\n", n);
}

/* All threads have what they want; until then none gives anything back. */
static pthread_barrier_t all_have;

/* One thread that allocates. */
struct allocator {
	pthread_t thread;
	unsigned int index, node;
	size_t bytes;
	struct placement placement;
	unsigned long objects;
};

/* From a few bytes to a few pages, in turn. */
static uint32_t fresh_size(unsigned long i)
{
	static const uint32_t sizes[] = {24, 100, 700, 48, 3000, 250, 9000, 40000};

	return sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* The objects are a list, so that nothing but them is allocated. */
struct link {
	struct link *next;
	uint32_t size;
};

static void *allocate(void *arg)
{
	struct allocator *a = arg;
	struct page_batch batch = {.to = &a->placement};
	struct link *first = NULL;

	a->node = pin_to_cpu(a->index);
	for (size_t done = 0; done < a->bytes; a->objects++) {
		uint32_t size = fresh_size(a->objects);
		struct link *l = malloc(size);

		if (!l)
			abort();
		memset(l, 0x5a, size);
		*l = (struct link){first, size};
		first = l;
		done += size;
	}
	pthread_barrier_wait(&all_have);
	for (struct link *l = first; l; l = l->next)
		pages_count(&batch, l, l->size);
	pages_end(&batch);
	while (first) {
		struct link *next = first->next;

		free(first);
		first = next;
	}
	return NULL;
}

static void fresh(unsigned int threads, size_t bytes)
{
	static struct allocator all[MAX_WORKERS];
	unsigned int n = threads < MAX_WORKERS ? threads : MAX_WORKERS;

	if (pthread_barrier_init(&all_have, NULL, n))
		abort();
	for (unsigned int i = 0; i < n; i++) {
		all[i] = (struct allocator){.index = i, .bytes = bytes};
		if (pthread_create(&all[i].thread, NULL, allocate, &all[i]))
			abort();
	}
	printf("fresh");
	for (unsigned int i = 0; i < n; i++) {
		struct allocator *a = &all[i];

		pthread_join(a->thread, NULL);
		printf(" %u:%lu/%lu:%lu:%lu:%lu", a->node, a->placement.on[a->node],
		       placement_total(&a->placement), a->placement.on[0], a->placement.on[1],
		       a->placement.on[2]);
	}
	pthread_barrier_destroy(&all_have);
	printf("\n");
}

static void state(const char *word)
{
	printf("%s operations=%lu errors=%lu\n", word, workers_operations(), workers_errors());
}

static void census(void)
{
	struct census c = {.unasked = 0};

	workers_census(&c);
	placement_print("census", &c.all);
}

static void locality(void)
{
	struct census c = {.unasked = 0};

	workers_census(&c);
	printf("locality local=%lu unasked=%lu\n", c.local, c.unasked);
}

static void rest(void)
{
	workers_stop();
	state("rest");
}

static void obey(const char *line)
{
	unsigned long a = 0, b = 0;
	char word[16] = "";
	long node = 0;

	if (sscanf(line, "hold %ld %lu %lu", &node, &a, &b) == 3)
		hold((int)node, (uint32_t)a, (unsigned int)b);
	else if (sscanf(line, "map %ld %lu", &node, &a) == 2)
		map((unsigned int)node, (uint32_t)a);
	else if (sscanf(line, "fresh %lu %lu", &a, &b) == 2)
		fresh((unsigned int)a, b);
	else if (sscanf(line, "work %lu %ld", &a, &node) == 2 && a <= MAX_WORKERS)
		workers_start((unsigned int)a, (int)node), state("work");
	else if (sscanf(line, "%15s", word) != 1)
		abort();
	else if (strcmp(word, "where") == 0)
		where();
	else if (strcmp(word, "check") == 0)
		check();
	else if (nr_held && (strcmp(word, "spoil") == 0 || strcmp(word, "mend") == 0))
		spoil(word);
	else if (strcmp(word, "drop") == 0)
		drop();
	else if (strcmp(word, "census") == 0)
		census();
	else if (strcmp(word, "locality") == 0)
		locality();
	else if (strcmp(word, "state") == 0)
		state("state");
	else if (strcmp(word, "rest") == 0)
		rest();
	else
		abort();
}

int main(void)
{
	char line[128];

	printf("ready %d\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		obey(line);
		fflush(stdout);
	}
	if (nr_held)
		drop();
	return workers_errors() != 0;
}
