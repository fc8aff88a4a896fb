/*
 * A profiler's SIGPROF handler that keeps its figures in a dlopened module's thread-local memory: the first
 * touch in each thread calls malloc, through __tls_get_addr(). Here it happens in the handler, in a thread
 * that works with strings, for several modules and in many threads one after the other. Right is that every
 * thread finds its own copy of each module's memory, whole.
 */
#include "interrupt.h"

#define NR_THREADS 300
#define AT_ONCE 4
#define NR_STRINGS 30
#define INTERVAL 150000 /* ns */

typedef unsigned int touch_fn(void);

static touch_fn *touches[16];
static unsigned int nr_modules;
static _Thread_local volatile unsigned int touched;
static _Atomic unsigned long handled, inside;

/* One more module at each signal. */
static void on_sigprof(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	unsigned int now;

	(void)signal;
	(void)info;
	if (touched == nr_modules)
		return;
	inside += in_allocator(context);
	now = touches[touched]();
	CHECK_THAT(now == 1, "module %u says %u at the first touch", touched, now);
	touched++;
	handled++;
	errno = saved;
}

static void work(char **strings, uint64_t *random)
{
	size_t i = next_random(random) % NR_STRINGS, size = 1 + next_random(random) % 5000;

	free(strings[i]);
	strings[i] = malloc(size);
	CHECK(strings[i]);
	strings[i][0] = strings[i][size - 1] = (char)i;
}

static void *run_thread(void *arg)
{
	char *strings[NR_STRINGS] = {0};
	uint64_t random = random_start();
	timer_t timer = interrupt_this_thread(INTERVAL);

	while (touched < nr_modules)
		work(strings, &random);
	CHECK(timer_delete(timer) == 0);
	for (unsigned int i = 0; i < nr_modules; i++)
		CHECK_THAT(touches[i]() == 2, "module %u has lost the first touch", i);
	for (int i = 0; i < NR_STRINGS; i++)
		free(strings[i]);
	return arg;
}

static void load(const char *path)
{
	void *module = dlopen(path, RTLD_NOW);

	CHECK_THAT(module, "%s", dlerror());
	LOOKUP(touches[nr_modules], module, "touch");
	CHECK(touches[nr_modules]);
	nr_modules++;
}

int main(int argc, char **argv)
{
	pthread_t threads[AT_ONCE];

	CHECK_THAT(argc >= 2 && argc <= 16, "usage: first_touch MODULE...");
	for (int i = 1; i < argc; i++)
		load(argv[i]);
	find_allocator();
	handle_sigprof(on_sigprof);
	for (int i = 0; i < NR_THREADS; i++) {
		if (i >= AT_ONCE)
			CHECK(pthread_join(threads[i % AT_ONCE], NULL) == 0);
		CHECK(pthread_create(&threads[i % AT_ONCE], NULL, run_thread, NULL) == 0);
	}
	for (int i = 0; i < AT_ONCE; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(handled == (unsigned long)NR_THREADS * nr_modules);
	return report(handled, inside, 50);
}
