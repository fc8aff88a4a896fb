/*
 * A constructor that switches to another fibre of the thread, as one does that takes a green thread's mutex:
 * the fibre that was switched away from has the cache's lock, and is anything but gone. The stacks lie against
 * each other and against the thread's own, with no guard between them, where nothing tells one from the other.
 */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "uslub/uslub.h"

enum {
	STACK = 65536,
	THREAD_STACK = 262144,
	MAX_MAPPINGS = 64,
	NR_LOWER = 100,
	NR_UPPER = 200,
	SIZE = 64
};

static ucontext_t thread_context, upper, lower;
static struct kmem_cache *cache;
static bool has_yielded;
static void *of_lower[NR_LOWER], *of_upper[NR_UPPER];

static void construct_and_yield(void *object)
{
	memset(object, 7, SIZE);
	if (has_yielded)
		return;
	has_yielded = true;
	CHECK(swapcontext(&lower, &upper) == 0);
}

static void run_lower(void)
{
	for (unsigned int i = 0; i < NR_LOWER; i++)
		CHECK(of_lower[i] = kmem_cache_alloc(cache, 0));
	CHECK(swapcontext(&lower, &thread_context) == 0);
}

static void run_upper(void)
{
	CHECK(swapcontext(&upper, &lower) == 0);
	for (unsigned int i = 0; i < NR_UPPER; i++)
		CHECK(of_upper[i] = kmem_cache_alloc(cache, 0));
	CHECK(swapcontext(&upper, &lower) == 0);
}

static void make_fibre(ucontext_t *context, char *stack, void (*run)(void))
{
	CHECK(getcontext(context) == 0);
	context->uc_stack.ss_sp = stack;
	context->uc_stack.ss_size = STACK;
	makecontext(context, run, 0);
}

static void check_nobody_has_anothers(void)
{
	for (unsigned int i = 0; i < NR_UPPER; i++) {
		for (unsigned int k = 0; k < NR_LOWER; k++)
			CHECK_THAT(of_upper[i] != of_lower[k], "%p was handed out twice",
				   of_upper[i]);
	}
}

/* Two stacks, the lower one first. */
static void switch_in_constructor(char *stacks)
{
	has_yielded = false;
	cache = kmem_cache_create("switches", SIZE, 0, 0, construct_and_yield);
	CHECK(cache);
	make_fibre(&lower, stacks, run_lower);
	make_fibre(&upper, stacks + STACK, run_upper);
	CHECK(swapcontext(&thread_context, &upper) == 0);
	CHECK(has_yielded);
	check_nobody_has_anothers();
	for (unsigned int i = 0; i < NR_LOWER; i++)
		kmem_cache_free(cache, of_lower[i]);
	for (unsigned int i = 0; i < NR_UPPER; i++)
		kmem_cache_free(cache, of_upper[i]);
	kmem_cache_destroy(cache);
}

static char *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* The kernel maps downwards: sooner or later right below the block with the first thread's variables. */
static void on_the_first_thread(void)
{
	char *block = (char *)&errno, *above = NULL, *stack;

	if (emulated())
		skip("an emulator maps in an order of its own");
	free(malloc(10));
	for (unsigned int i = 0; i < MAX_MAPPINGS; i++) {
		stack = map(STACK);
		if (above == stack + STACK && above < block)
			break;
		above = stack;
	}
	CHECK(above == stack + STACK);
	switch_in_constructor(stack);
}

static void *on_a_thread(void *stacks)
{
	free(malloc(10));
	switch_in_constructor(stacks);
	return NULL;
}

/* The fibres' stacks right below that of a thread which was given its own. */
static void on_another_thread(void)
{
	char *stacks = map(2 * STACK + THREAD_STACK);
	pthread_attr_t attributes;
	pthread_t thread;

	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstack(&attributes, stacks + 2 * STACK, THREAD_STACK) == 0);
	CHECK(pthread_create(&thread, &attributes, on_a_thread, stacks) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(pthread_attr_destroy(&attributes) == 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "thread"))
		on_another_thread();
	else
		on_the_first_thread();
	return 0;
}
