/*
 * What allocates of certain nodes, and gives up those of nodes that left, is interrupted at each of its instructions, by
 * the processor's trap flag: by a handler that does the same, or by one that never comes back.
 */
#include "nodes.h"

#include <setjmp.h>
#include <ucontext.h>

#include "core/kmem_cache.h"
#include "core/nolock.h"

#if defined(__x86_64__) && !UNDER_EMULATOR
#define CAN_STEP (!UNDER_TSAN && !UNDER_ASAN)
#else
#define CAN_STEP false
#endif
#define TRAP_FLAG 0x100

enum { NODES = 3, KEPT = 24 };

static struct kmem_cache *cache;

struct kept {
	unsigned char *p;
	size_t size;
	bool of_cache;
};

static struct kept kept[KEPT], nested[KEPT];
static uint64_t seed = 1;
static uint64_t steps, jump_at;
static sigjmp_buf out;

static void fill(struct kept *k, unsigned char mark)
{
	must(k->p);
	k->p[0] = k->p[k->size - 1] = mark;
}

static void check(const struct kept *k, unsigned char mark)
{
	must(k->p[0] == mark && k->p[k->size - 1] == mark);
}

/* First it is nobody's, then it is freed: a jump in between loses it. */
static void drop(struct kept *k)
{
	unsigned char *p = k->p;

	k->p = NULL;
	__asm__ volatile("" : : : "memory");
	if (k->of_cache)
		slab_free(slab_of(p), p);
	else
		kfree(p);
}

static void make(struct kept *k, uint64_t random)
{
	static const size_t sizes[] = {24, 300, 1000, 32768, 70000};
	struct node *n = kmalloc_find_node((int)(random % NODES));
	size_t size = sizes[random / NODES % 5];
	unsigned char *p;

	k->of_cache = random / 15 % 5 == 4;
	if (k->of_cache)
		size = 600;
	k->size = size;
	if (k->of_cache)
		p = n ? cache_alloc_node(cache, n) : cache_alloc(cache);
	else if (random / 15 % 5 == 3)
		p = kmalloc_nolock(size, 0, false, n);
	else if (random / 15 % 5 < 2)
		p = kmalloc(size);
	else
		p = n ? kmalloc_node(size, false, n) : kmalloc(size);
	k->p = p;
}

static void step(struct kept *all, uint64_t random, unsigned char mark)
{
	struct kept *k = &all[random % KEPT];

	if (k->p) {
		check(k, mark);
		drop(k);
	} else {
		make(k, random / KEPT);
		fill(k, mark);
	}
}

static void trap(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	steps++;
	if (jump_at && steps == jump_at) {
#ifdef __x86_64__
		siglongjmp(out, 1);
#endif
	}
	if (!jump_at && steps % 3 == 0)
		step(nested, random_next(&seed) >> 8, 2);
}

static void set_trap_flag(bool on)
{
#ifdef __x86_64__
	if (on)
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; "
				 "lea 128(%%rsp), %%rsp"
				 :
				 :
				 : "cc", "memory");
	else
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; "
				 "lea 128(%%rsp), %%rsp"
				 :
				 :
				 : "cc", "memory");
#else
	(void)on;
#endif
}

static void catch_traps(void)
{
	struct sigaction action = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_NODEFER};

	must(!sigaction(SIGTRAP, &action, NULL));
}

/* Between steps: a node goes or comes, or the thread is moved to another's cpu. */
static void stir(uint32_t round)
{
	uint32_t id = round / 3 % NODES;

	test_cpu = (int)(round / 7 % NODES);
	if (round % 3 == 0)
		node_state(id) == NODE_ONLINE ? node_offline(id) : node_online(id);
	if (round % 5 == 0)
		poll_all();
}

static void begin(void)
{
	const struct cache_args args = {
		.name = "stepped", .size = 600, .align = 16, .flags = CACHE_NO_MERGE};

	cache = cache_create(&args);
	must(cache && nolock_init(MIB));
	catch_traps();
}

static void drop_all(struct kept *all)
{
	for (int i = 0; i < KEPT; i++) {
		if (all[i].p)
			drop(&all[i]);
	}
}

/* Of slabs and runs: the reserve's frames and records are not. */
static size_t frames_of_objects(void)
{
	struct section *sec;
	size_t n = 0;

	for_each_section(sec, nr) {
		for (uint32_t i = 0; i < SECTION_FRAMES; i++) {
			uint8_t kind = sec->slabs[i].kind;

			if (sec->slabs[i].reserved)
				continue;
			n += kind == FRAME_SLAB || kind == FRAME_TAIL || kind == FRAME_RUN;
		}
	}
	return n;
}

static void finish(size_t lost)
{
	struct heap_stats heap;

	drop_all(kept);
	drop_all(nested);
	for (uint32_t id = 0; id < NODES; id++)
		node_online(id);
	poll_all();
	thread_flush_all(current_thread);
	cache_shrink_all();
	heap_stats(&heap, NULL);
	if (heap.runs > lost || cache_count_objects(cache) > lost)
		fprintf(stderr, "%zu runs, %u objects\n", (size_t)heap.runs,
			cache_count_objects(cache));
	must(heap.runs <= lost && cache_count_objects(cache) <= lost);
	must(heap.small_used <= lost * 32768 && frames_of_objects() <= lost * 2);
}

static void interrupted_everywhere(void)
{
	begin();
	for (uint32_t round = 0; round < 120; round++) {
		stir(round);
		set_trap_flag(true);
		step(kept, round * 2654435761U % 1000003, 1);
		set_trap_flag(false);
	}
	must(steps > 5000);
	finish(0);
}

/* A call that never comes back loses an object or a run at most; all others are what they were. */
static void left_everywhere(void)
{
	volatile uint64_t jumps = 0;

	begin();
	for (uint32_t round = 0; round < 500; round++) {
		volatile uint32_t at = round;

		stir(round);
		steps = 0;
		/* Now soon, now far. */
		jump_at = 1 + random_below(&seed, round % 2 ? 300 : 4000);
		if (!sigsetjmp(out, 1)) {
			set_trap_flag(true);
			step(kept, at * 2654435761U % 1000003, 1);
			set_trap_flag(false);
		} else {
			jumps = jumps + 1;
			/* What was being made when it was left isn't there. */
			for (int i = 0; i < KEPT; i++) {
				if (kept[i].p)
					fill(&kept[i], 1);
			}
		}
	}
	must(jumps > 100);
	finish(jumps);
}

static void in_a_child_that_steps(void **state)
{
	skip_if(!CAN_STEP, "no trap flag here");
	on_nodes(state);
}

#define STEPPED(fn)                                                        \
	{                                                                  \
#fn, in_a_child_that_steps, NULL, NULL, &(struct on_nodes) \
		{                                                          \
			fn, NODES, "", "", "0/1/2"                         \
		}                                                          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STEPPED(interrupted_everywhere),
		STEPPED(left_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
