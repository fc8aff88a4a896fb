/*
 * backtrace_symbols(), which allocates its result, in a SIGPROF handler over threads that work with
 * strings. backtrace() itself loads libgcc at its first call: main() makes that one. Right is, each time, a
 * text for every frame with the frame's address in it, and a trace that reaches the thread's own function
 * through whatever was interrupted.
 */
#include <execinfo.h>

#include "interrupt.h"

#define NR_THREADS 3
#define NR_WANTED 1500
#define NR_STRINGS 500
#define MAX_ROOM 12000
#define INTERVAL 200000 /* ns */
#define MAX_FRAMES 48

static _Atomic unsigned long handled, inside;

static void check_symbol(const char *text, const void *frame)
{
	const char *address = strrchr(text, '[');

	CHECK_THAT(address && (void *)strtoul(address + 1, NULL, 16) == frame,
		   "%p is called \"%.200s\"", frame, text);
}

static void on_sigprof(int signal, siginfo_t *info, void *context)
{
	int saved = errno, n;
	void *frames[MAX_FRAMES];
	char **texts;
	bool found = false;

	(void)signal;
	(void)info;
	inside += in_allocator(context);
	n = backtrace(frames, MAX_FRAMES);
	texts = backtrace_symbols(frames, n);
	CHECK(texts);
	for (int i = 0; i < n; i++) {
		check_symbol(texts[i], frames[i]);
		found |= strstr(texts[i], "busy_with_strings") != NULL;
	}
	CHECK_THAT(found, "the trace of %d frames ends at %s", n, texts[n - 1]);
	free(texts);
	handled++;
	errno = saved;
}

/* A new one, with room to grow, and one that grows. */
static void work(char **strings, uint64_t *random)
{
	char **string = &strings[next_random(random) % NR_STRINGS];
	size_t room = 2 + next_random(random) % MAX_ROOM;

	free(*string);
	*string = malloc(room);
	CHECK(*string);
	snprintf(*string, room, "%zu", room);
	string = &strings[next_random(random) % NR_STRINGS];
	*string = realloc(*string, 2 + next_random(random) % MAX_ROOM);
	CHECK(*string);
	(*string)[1] = '\0';
}

/* The traces must name it: it is exported, and stays a frame of its own. */
void *busy_with_strings(void *arg);
__attribute__((noinline)) void *busy_with_strings(void *arg)
{
	char *strings[NR_STRINGS] = {0};
	uint64_t random = random_start();
	timer_t timer = interrupt_this_thread(INTERVAL);

	while (handled < NR_WANTED)
		work(strings, &random);
	CHECK(timer_delete(timer) == 0);
	for (int i = 0; i < NR_STRINGS; i++)
		free(strings[i]);
	return arg;
}

int main(void)
{
	pthread_t threads[NR_THREADS];
	void *frame;

	find_allocator();
	CHECK(backtrace(&frame, 1) == 1);
	handle_sigprof(on_sigprof);
	for (int i = 0; i < NR_THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, busy_with_strings, NULL) == 0);
	for (int i = 0; i < NR_THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	return report(handled, inside, 100);
}
