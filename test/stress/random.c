/*
 * Threads that allocate, resize, check and free at random, and swap objects through a common
 * table, so that about a third of all frees come from another thread.
 *   --mix all | realloc | aligned | small
 */
#include <pthread.h>

#include "stress.h"

enum { SLOTS = 1500, SHARED = 512, MAX_THREADS = 64 };

static struct stress_options options = {.seconds = 4, .threads = 6};
static enum object_mix mix;
/* Records in boxes from malloc: a thread takes and puts a box by one exchange. */
static _Atomic(struct record *) shared[SHARED];
static _Atomic unsigned long total;

static enum object_mix parse_mix(const char *name)
{
	static const char *const names[] = {"all", "small", "realloc", "aligned"};

	for (int i = 0; i < 4; i++) {
		if (!name || strcmp(name, names[i]) == 0)
			return (enum object_mix)i;
	}
	CHECK_THAT(false, "--mix %s: not all, small, realloc or aligned", name);
	return MIX_ALL;
}

static void swap_with_others(struct record *o, struct random *r)
{
	struct record *box = malloc(sizeof(*box));
	struct record *other;

	CHECK(box);
	*box = *o;
	other = atomic_exchange(&shared[random_below(r, SHARED)], box);
	o->p = NULL;
	if (!other)
		return;
	*o = *other;
	object_check(o);
	free(other);
}

static void one_step(struct record *o, struct random *r)
{
	size_t dice = random_below(r, 100);

	if (!o->p)
		object_make(o, r, mix);
	else if (dice < (mix == MIX_REALLOC ? 70u : 15u))
		object_resize(o, r, mix);
	else if (dice < 80)
		swap_with_others(o, r);
	else
		object_free(o, r);
}

static void *work(void *number)
{
	struct record *slots = calloc(SLOTS, sizeof(*slots));
	struct random r;
	unsigned long steps = 0;

	CHECK(slots);
	random_seed(&r, options.seed, (uint64_t)(uintptr_t)number);
	for (; stress_running(); steps++)
		one_step(&slots[random_below(&r, SLOTS)], &r);
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].p)
			object_free(&slots[i], &r);
	}
	free(slots);
	atomic_fetch_add(&total, steps);
	return NULL;
}

static void empty_the_table(void)
{
	struct random r;

	random_seed(&r, options.seed, 0);
	for (int i = 0; i < SHARED; i++) {
		if (!shared[i])
			continue;
		object_free(shared[i], &r);
		free(shared[i]);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];

	stress_parse(&options, argc, argv);
	mix = parse_mix(options.mix);
	CHECK(options.threads >= 1 && options.threads <= MAX_THREADS);
	for (uintptr_t i = 0; i < options.threads; i++)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
	for (unsigned int i = 0; i < options.threads; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	empty_the_table();
	printf("%lu steps, %zu MiB resident at the end\n", total, rss_bytes() / MIB);
	stress_check_all_freed();
	CHECK(total > 1000);
	return 0;
}
