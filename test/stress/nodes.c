/*
 * Nodes go and come thousands of times, and policies with them, under full load: threads that allocate, resize, free
 * each other's objects, small ones, large ones, those of caches of their own, and signal handlers that do so too. Linked
 * with the core itself, so that the sanitizers see it. Nothing may be lost, nothing damaged, nothing left at the end;
 * and while somebody holds slab_mutex, everybody else goes on.
 *
 * --seconds N, or STRESS_SECONDS; --seed N; --sizes of the nodes, as in USLUB=node_size.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "nodes.h"

#include "core/control_lock.h"
#include "core/frame.h"
#include "core/hotplug.h"
#include "core/stats.h"

enum { WORKERS = 3, SLOTS = 300, SHARED = 64, NESTED = 5 };

struct worker {
	pthread_t thread;
	uint64_t seed;
	struct object slots[SLOTS];
	_Atomic uint64_t steps;
};

static struct worker workers[WORKERS];
static _Atomic(struct object *) shared[SHARED];
static struct object boxes[SHARED * 4];
static _Atomic bool box_used[SHARED * 4];
static _Atomic bool over;
static _Atomic uint64_t handled, turned, held;
static _Thread_local int cpu;
static _Thread_local volatile int depth;
static uint64_t first_seed;

/*
 * Of address space that one thread gave back to the kernel, and another got from it, ThreadSanitizer sees the accesses
 * and nothing between: system calls are made directly.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:section_create\nrace:mapped_alloc\nrace:move_to_mapping\n"
	       "race:realloc_by_copy\n";
}

int __wrap_os_getcpu(void);
int __wrap_os_getcpu(void)
{
	return cpu;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	struct timespec span = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&span, NULL);
}

static struct object *box_get(uint64_t *seed)
{
	size_t at = below(seed, SHARED * 4);

	return atomic_exchange(&box_used[at], true) ? NULL : &boxes[at];
}

static void box_put(struct object *box)
{
	atomic_store(&box_used[box - boxes], false);
}

/* To whoever comes by, who checks it and frees it. */
static void pass_on(struct object *o, uint64_t *seed)
{
	struct object *box = box_get(seed), *other;

	if (!box)
		return;
	*box = *o;
	o->p = NULL;
	other = atomic_exchange(&shared[below(seed, SHARED)], box);
	if (!other)
		return;
	drop(other);
	box_put(other);
}

static void handle(int signal)
{
	struct object own[NESTED] = {{0}};
	uint64_t seed = first_seed + atomic_fetch_add(&handled, 1) * 7919;

	(void)signal;
	if (depth >= 3)
		return;
	depth = depth + 1;
	for (int i = 0; i < NESTED; i++)
		make(&own[i], &seed, false);
	if (own[0].p)
		resize(&own[0], &seed, false);
	if (own[1].p)
		pass_on(&own[1], &seed);
	for (int i = 0; i < NESTED; i++) {
		if (own[i].p)
			drop(&own[i]);
	}
	depth = depth - 1;
}

static void step(struct worker *w)
{
	struct object *o = &w->slots[below(&w->seed, SLOTS)];

	if (below(&w->seed, 1000) == 0)
		cpu = (int)below(&w->seed, NODES);
	if (!o->p)
		make(o, &w->seed, true);
	else if (below(&w->seed, 6) == 0)
		resize(o, &w->seed, true);
	else if (below(&w->seed, 4) == 0)
		pass_on(o, &w->seed);
	else
		drop(o);
	atomic_fetch_add_explicit(&w->steps, 1, memory_order_relaxed);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	cpu = (int)(w - workers) % NODES;
	while (!atomic_load(&over))
		step(w);
	for (int i = 0; i < SLOTS; i++) {
		if (w->slots[i].p)
			drop(&w->slots[i]);
	}
	return NULL;
}

static void set_random_policy(uint64_t *seed)
{
	static const enum policy_mode modes[] = {POLICY_LOCAL, POLICY_LOCAL, POLICY_PREFERRED,
						 POLICY_BIND, POLICY_INTERLEAVE};
	struct id_set nodes = {.bits = {0}};
	size_t i = below(seed, sizeof(modes) / sizeof(modes[0]));

	id_set_add(&nodes, (uint32_t)below(seed, NODES));
	id_set_add(&nodes, (uint32_t)below(seed, NODES));
	CHECK(nodes_set_policy(modes[i], &nodes));
}

static void check_result(enum node_result result)
{
	CHECK(result == NODE_DONE || result == NODE_SAME || result == NODE_LAST);
	if (result == NODE_DONE)
		atomic_fetch_add(&turned, 1);
}

static void toggle(uint32_t id)
{
	check_result(node_state(id) == NODE_ONLINE ? node_offline(id) : node_online(id));
}

/* The one that hotplug_poll() and the rest are called by, as the service thread is. */
static void *turn(void *arg)
{
	uint64_t seed = first_seed + 99;

	(void)arg;
	current_thread = &thread_gone;
	while (!atomic_load(&over)) {
		/* Now one after the other, now each to its end. */
		for (size_t n = below(&seed, 40); n; n--)
			toggle((uint32_t)below(&seed, NODES));
		for (size_t polls = below(&seed, 20); polls && hotplug_poll(); polls--)
			;
		if (below(&seed, 50) == 0)
			set_random_policy(&seed);
		if (below(&seed, 20) == 0)
			cache_shrink(caches[below(&seed, CACHES)]);
		if (below(&seed, 100) == 0)
			sleep_ms(1);
	}
	return NULL;
}

/* Somebody stops with slab_mutex in his hands: all the others go on for as long as it takes. */
static void *hold(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		uint64_t from[WORKERS], start = now_ms();

		control_lock(&slab_mutex);
		for (int i = 0; i < WORKERS; i++)
			from[i] = atomic_load(&workers[i].steps);
		for (int i = 0; i < WORKERS && !atomic_load(&over);) {
			if (atomic_load(&workers[i].steps) > from[i] + 5)
				i++;
			else
				sleep_ms(1);
			CHECK(now_ms() - start < 30000);
		}
		control_unlock(&slab_mutex);
		atomic_fetch_add(&held, 1);
		sleep_ms(300);
	}
	return NULL;
}

static void *interrupt(void *arg)
{
	uint64_t seed = first_seed + 7;

	(void)arg;
	while (!atomic_load(&over)) {
		pthread_kill(workers[below(&seed, WORKERS)].thread, SIGUSR1);
		sleep_ms(1);
	}
	return NULL;
}

static void empty_the_table(void)
{
	for (int i = 0; i < SHARED; i++) {
		struct object *box = atomic_exchange(&shared[i], NULL);

		if (!box)
			continue;
		drop(box);
		box_put(box);
	}
}

static void run(uint64_t seconds)
{
	void *(*const others[])(void *) = {turn, hold, interrupt};
	pthread_t threads[3];

	atomic_store(&over, false);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].seed = first_seed + (uint64_t)i * 1000003;
		CHECK(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, others[i], NULL));
	for (uint64_t end = now_ms() + seconds * 1000; now_ms() < end;)
		sleep_ms(10);
	atomic_store(&over, true);
	/* First who sends signals: of an ended thread there is none to send to. */
	for (int i = 3; i-- > 0;)
		CHECK(!pthread_join(threads[i], NULL));
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_join(workers[i].thread, NULL));
	empty_the_table();
}

static void all_online(void)
{
	struct id_set none = {.bits = {0}};

	for (uint32_t id = 0; id < NODES; id++)
		check_result(node_online(id));
	CHECK(nodes_set_policy(POLICY_LOCAL, &none));
	while (hotplug_poll())
		;
}

/* What is resident of the process when all that is free has been given back. */
static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	kmalloc_trim();
	CHECK(f && fscanf(f, "%*u %lu", &pages) == 1);
	fclose(f);
	return pages * os_page_size();
}

static size_t frames_in_use(void)
{
	struct section *sec;
	size_t n = 0;

	for_each_section(sec, nr) {
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			n += (size_t)__builtin_popcountll(atomic_load(&sec->used[w]) &
							  atomic_load(&sec->reserved[w]));
	}
	return n;
}

static void check_nothing_left(void)
{
	struct heap_stats heap;

	heap_stats(&heap, NULL);
	printf("left: %zu bytes small, %zu runs, %zu mapped, %zu records, %zu frames\n",
	       (size_t)heap.small_used, (size_t)heap.runs, (size_t)heap.mapped,
	       (size_t)heap.threads, frames_in_use());
	CHECK(heap.small_used == 0 && heap.runs == 0 && heap.mapped == 0);
	CHECK(frames_in_use() == heap.threads);
	for (int i = 0; i < CACHES; i++)
		CHECK(cache_count_objects(caches[i]) == 0 && caches[i]->nr_slabs == 0);
}

static void make_caches(void)
{
	static const size_t sizes[CACHES] = {80, 700, 20000};

	for (int i = 0; i < CACHES; i++) {
		struct cache_args args = {.name = "stress", .size = sizes[i], .align = 16};

		args.flags = CACHE_NO_MERGE;
		caches[i] = cache_create(&args);
		CHECK(caches[i]);
	}
}

static void watchdog(int signal)
{
	static const char text[] = "nodes.c: it hangs\n";

	(void)signal;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

static uint64_t parse(int argc, char **argv)
{
	const char *text = getenv("STRESS_SECONDS");
	uint64_t seconds = text ? strtoull(text, NULL, 10) : 4;

	first_seed = now_ms();
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seconds"))
			seconds = strtoull(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--seed"))
			first_seed = strtoull(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--sizes"))
			snprintf(options.node_sizes, sizeof(options.node_sizes), "%s", argv[i + 1]);
	}
	printf("--seconds %zu --seed %zu\n", (size_t)seconds, (size_t)first_seed);
	fflush(stdout);
	return seconds;
}

static void begin(uint64_t seconds)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER | SA_RESTART};

	signal(SIGALRM, watchdog);
	alarm((unsigned int)seconds * 4 + 100);
	sigaction(SIGUSR1, &action, NULL);
	options.purge_delay_ms = 20;
	options.nodes = NODES;
	strcpy(options.node_cpus, "0/1/2/3");
	nodes_init();
	CHECK(numa_is_on());
	make_caches();
}

/* Runs, and returns what is resident when all is freed. */
static size_t run_and_check(uint64_t seconds)
{
	size_t bytes;

	run(seconds);
	all_online();
	bytes = resident();
	check_nothing_left();
	return bytes;
}

int main(int argc, char **argv)
{
	uint64_t seconds = parse(argc, argv);
	size_t early, late;

	begin(seconds);
	early = run_and_check(seconds / 3 + 1);
	late = run_and_check(seconds - seconds / 3);
	printf("%zu turns of nodes, %zu signals, mutex held %zu times, KiB resident %zu, %zu\n",
	       (size_t)turned, (size_t)handled, (size_t)held, early / 1024, late / 1024);
	fflush(stdout);
	/* Of frames that are in use a few lie in huge pages. What an emulator translates is its own. */
	CHECK(IS_INSTRUMENTED || UNDER_EMULATOR || late < early + 12 * MIB);
	CHECK(turned > 10 && held > 0 && handled > 0);
	return 0;
}
