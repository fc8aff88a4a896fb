/*
 * Threads come and go, --count of them and --threads at a time. Each allocates a few sizes,
 * leaves some objects to a later thread, and frees what an earlier one has left. No memory may
 * stay behind.
 */
#include <pthread.h>

#include "stress.h"

enum { LEFT = 256, MAX_THREADS = 64, OWN = 12 };

static struct stress_options options = {.seconds = 0, .threads = 4, .count = 100000};
static _Atomic(struct record *) left[LEFT];

static void leave_to_a_later_thread(struct random *r)
{
	struct record *box = malloc(sizeof(*box));
	struct record *other;

	CHECK(box);
	object_make_sized(box, r, 16 + random_below(r, 2000));
	other = atomic_exchange(&left[random_below(r, LEFT)], box);
	if (!other)
		return;
	object_free(other, r);
	free(other);
}

static void *short_life(void *number)
{
	static const size_t sizes[] = {16, 40, 100, 250, 700, 1500, 4000, 9000, 30000, 100000};
	struct record own[OWN];
	struct random r;

	random_seed(&r, options.seed, (uint64_t)(uintptr_t)number);
	for (int i = 0; i < OWN; i++)
		object_make_sized(&own[i], &r, sizes[random_below(&r, 10)]);
	leave_to_a_later_thread(&r);
	leave_to_a_later_thread(&r);
	for (int i = 0; i < OWN; i++)
		object_free(&own[i], &r);
	return NULL;
}

static void run_batch(unsigned long first, unsigned int n)
{
	pthread_t threads[MAX_THREADS];

	for (unsigned int i = 0; i < n; i++)
		CHECK(pthread_create(&threads[i], NULL, short_life, (void *)(first + i)) == 0);
	for (unsigned int i = 0; i < n; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

static void empty_the_table(void)
{
	struct random r;

	random_seed(&r, options.seed, 0);
	for (int i = 0; i < LEFT; i++) {
		if (!left[i])
			continue;
		object_free(left[i], &r);
		free(left[i]);
	}
}

int main(int argc, char **argv)
{
	size_t early = 0, late = 0;

	stress_parse(&options, argc, argv);
	CHECK(options.threads >= 1 && options.threads <= MAX_THREADS);
	CHECK(options.count >= 10 * MAX_THREADS);
	for (unsigned long n = 0; n < options.count; n += options.threads) {
		run_batch(n, options.threads);
		/* The most of the second tenth against the most of the last tenth. */
		size_t now = footprint_bytes();

		if (n >= options.count / 10 && n < options.count / 5)
			early = now > early ? now : early;
		if (n >= options.count / 10 * 9)
			late = now > late ? now : late;
		if (n % 1000 < options.threads)
			printf("%lu:%zu%s", n, now / KIB, n % 10000 < options.threads ? "\n" : " ");
	}
	puts("");
	empty_the_table();
	stress_check_all_freed();
	printf("KiB resident: %zu at most in the second tenth, %zu in the last\n", early / KIB,
	       late / KIB);
	/* Objects were counted above. Their slabs settle slowly, up to one a size and thread. */
	CHECK_THAT(late < early + 4 * MIB, "it grows");
	return 0;
}
