// SPDX-License-Identifier: MIT
/*
 * A node that goes offline with much on it, and comes back. Called by numa.c.
 *
 * The first thread stands on the node and fills it, then sleeps; one on each other place replaces objects of its own and
 * times each malloc, first for a while with nothing going on. The main thread writes to the control file, asks it
 * until the node has left, and times that. Then the first thread wakes, and what its first calls take is timed: it has
 * to give up what it holds of the node. At last all objects are looked through.
 */
#include "numa.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uslub/control.h>

#define LOAD 20000U
#define FIRST 1000U
/* A phase takes as long as another, so that the worst of each is of as many calls: so much for a MiB on the node. */
#define PHASE_NS 2000000u

enum phase { QUIET, LEAVING, COMING, NR_PHASES, END };
static const char *const phase_names[] = {"quiet", "leaving", "coming"};

struct loader {
	pthread_t thread;
	const struct place *stands;
	uint64_t worst[NR_PHASES];   /* by the clock on the wall */
	uint64_t busiest[NR_PHASES]; /* by the thread's CPU time */
	uint64_t calls[NR_PHASES];
} __attribute__((aligned(128)));

static struct loader loaders[MAX_PLACES];
static _Atomic int phase;
static int control = -1;
static uint64_t **objects;
static size_t nr_objects;
static uint64_t phase_ns;
static pthread_barrier_t filled, left, back;

/* One malloc among frees that aren't timed. */
static void replace(struct loader *l, uint64_t *random, void **slot, int now)
{
	size_t size = draw_size(MIX_ALL, random);
	uint64_t begin, worked, took;

	free(*slot);
	begin = now_ns();
	worked = cpu_ns();
	*slot = malloc(size);
	worked = cpu_ns() - worked;
	took = now_ns() - begin;
	touch(*slot);
	l->calls[now]++;
	if (took > l->worst[now])
		l->worst[now] = took;
	if (worked > l->busiest[now])
		l->busiest[now] = worked;
}

static void *load(void *argument)
{
	struct loader *l = argument;
	void **slots = bench_map(LOAD * sizeof(void *));
	uint64_t random = (uint64_t)(l - loaders) * 7919 + 17;
	int now;

	stand_at(l->stands);
	while ((now = atomic_load_explicit(&phase, memory_order_relaxed)) != END)
		replace(l, &random, &slots[random_below(&random, LOAD)], now);
	for (unsigned int i = 0; i < LOAD; i++)
		free(slots[i]);
	return NULL;
}

static void fill(size_t bytes)
{
	uint64_t random = 1;

	objects = bench_map(bytes / 32 * sizeof(*objects));
	for (size_t sum = 0; sum < bytes && nr_objects < bytes / 32; nr_objects++) {
		size_t size = 16 + draw_size(MIX_ALL, &random);

		sum += size;
		objects[nr_objects] = new_object(size);
		objects[nr_objects][0] = nr_objects;
		objects[nr_objects][1] = ~(uint64_t)nr_objects;
	}
}

static void time_first_calls(const char *when)
{
	uint64_t begin = now_ns(), first;
	static void *some[FIRST];

	some[0] = malloc(64);
	first = now_ns() - begin;
	touch(some[0]);
	for (unsigned int i = 1; i < FIRST; i++)
		touch(some[i] = malloc(64));
	say("first %s %llu %llu\n", when, (unsigned long long)first,
	    (unsigned long long)(now_ns() - begin));
	say("node %s %d\n", when, node_of(some[FIRST - 1]));
	for (unsigned int i = 0; i < FIRST; i++)
		free(some[i]);
}

static void *stay(void *argument)
{
	stand_at(&places[0]);
	fill(*(size_t *)argument);
	time_first_calls("before");
	pthread_barrier_wait(&filled);
	pthread_barrier_wait(&left);
	time_first_calls("after");
	pthread_barrier_wait(&left);
	pthread_barrier_wait(&back);
	time_first_calls("again");
	return NULL;
}

static void exchange(void *data, size_t length, bool out)
{
	for (char *at = data; length > 0;) {
		ssize_t n = out ? send(control, at, length, MSG_NOSIGNAL)
				: recv(control, at, length, 0);

		if (n <= 0)
			die("numa: the control socket has closed\n");
		at += n;
		length -= (size_t)n;
	}
}

/* Without `value` what the file shows, in `answer`. */
static void ask(const char *file, const char *value, char *answer, size_t size)
{
	struct uslub_control_request head = {.magic = USLUB_CONTROL_MAGIC};
	struct uslub_control_answer reply;
	char path[128];
	int length =
		snprintf(path, sizeof(path), "devices/system/node/node%d/%s", places[0].node, file);

	head.op = value ? USLUB_CONTROL_WRITE : USLUB_CONTROL_READ;
	head.path_len = (uint16_t)length;
	head.data_len = value ? (uint32_t)strlen(value) : 0;
	exchange(&head, sizeof(head), true);
	exchange(path, (size_t)length, true);
	if (value)
		exchange((void *)(uintptr_t)value, head.data_len, true);
	exchange(&reply, sizeof(reply), false);
	if (reply.error || reply.data_len >= size)
		die("numa: %s: %s\n", path, strerror((int)reply.error));
	exchange(answer, reply.data_len, false);
	answer[reply.data_len] = '\0';
}

static void join_control(const char *directory)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t end = now_ns() + 5000000000u;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%d", directory, (int)getpid());
	control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (connect(control, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (now_ns() > end)
			die("numa: no control socket at %s: %s\n", address.sun_path,
			    strerror(errno));
		sleep_until_ns(now_ns() + 10000000u);
	}
}

static uint64_t memory_used(void)
{
	char text[4096], *at;

	ask("meminfo", NULL, text, sizeof(text));
	at = strstr(text, "MemUsed:");
	return at ? strtoull(at + strlen("MemUsed:"), NULL, 10) : 0;
}

/* A phase: the word is written, and waited for what comes of it. */
static void change(enum phase which, const char *word, const char *wanted)
{
	uint64_t begin, written, done, before = memory_used();
	char text[64];

	atomic_store_explicit(&phase, which, memory_order_relaxed);
	begin = now_ns();
	ask("state", word, text, sizeof(text));
	written = now_ns();
	for (;;) {
		ask("state", NULL, text, sizeof(text));
		if (strcmp(text, wanted) == 0)
			break;
		sleep_until_ns(now_ns() + 1000000u);
	}
	done = now_ns();
	say("%s %llu %llu\n", phase_names[which], (unsigned long long)(written - begin),
	    (unsigned long long)(done - begin));
	sleep_until_ns(begin + phase_ns);
	say("used %s %llu %llu\n", phase_names[which], (unsigned long long)before,
	    (unsigned long long)memory_used());
}

static void check_objects(void)
{
	size_t behind = 0;

	for (size_t i = 0; i < nr_objects; i++) {
		if (objects[i][0] != i || objects[i][1] != ~(uint64_t)i)
			die("numa: object %zu of %zu is lost\n", i, nr_objects);
		behind += is_real && page_node(objects[i]) == places[0].node;
	}
	say("objects %zu %zu\n", nr_objects, behind);
}

static void start_loaders(void)
{
	for (unsigned int i = 1; i < nr_places; i++) {
		loaders[i].stands = &places[i];
		if (pthread_create(&loaders[i].thread, NULL, load, &loaders[i]) != 0)
			die("no thread\n");
	}
}

static void stop_loaders(void)
{
	atomic_store_explicit(&phase, END, memory_order_relaxed);
	for (unsigned int i = 1; i < nr_places; i++)
		pthread_join(loaders[i].thread, NULL);
	for (int p = 0; p < NR_PHASES; p++) {
		uint64_t worst = 0, busiest = 0, calls = 0;

		for (unsigned int i = 1; i < nr_places; i++) {
			calls += loaders[i].calls[p];
			worst = loaders[i].worst[p] > worst ? loaders[i].worst[p] : worst;
			if (loaders[i].busiest[p] > busiest)
				busiest = loaders[i].busiest[p];
		}
		say("malloc-%s %llu %llu %llu\n", phase_names[p], (unsigned long long)worst,
		    (unsigned long long)busiest, (unsigned long long)calls);
	}
}

void numa_leave(size_t mib, const char *directory)
{
	size_t bytes = mib * MIB;
	pthread_t stayer;

	pthread_barrier_init(&filled, NULL, 2);
	pthread_barrier_init(&left, NULL, 2);
	pthread_barrier_init(&back, NULL, 2);
	phase_ns = mib * PHASE_NS;
	join_control(directory);
	if (pthread_create(&stayer, NULL, stay, &bytes) != 0)
		die("no thread\n");
	pthread_barrier_wait(&filled);
	start_loaders();
	sleep_until_ns(now_ns() + phase_ns);
	change(LEAVING, "offline", "offline\n");
	check_objects();
	pthread_barrier_wait(&left);
	pthread_barrier_wait(&left);
	change(COMING, "online", "online\n");
	pthread_barrier_wait(&back);
	pthread_join(stayer, NULL);
	stop_loaders();
}
