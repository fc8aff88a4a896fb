/* Frames under threads: nobody gets what another holds. Each frame carries its holder's mark. */
#include "unit.h"

#include "core/bitmap.h"
#include "core/frame.h"
#include "core/options.h"

#define NR_WORKERS 4U
#define NR_RUNS 24U
#define MAX_FRAMES 70U

struct run {
	char *addr;
	uint32_t n;
};

struct worker {
	uint64_t id, seed;
	struct run runs[NR_RUNS];
};

/* The two words at the ends of a frame; another thread's claim of it would be a data race as well. */
static uint64_t *first_word(const struct run *run, uint32_t f)
{
	return (uint64_t *)(run->addr + f * FRAME_SIZE);
}

static uint64_t *last_word(const struct run *run, uint32_t f)
{
	return (uint64_t *)(run->addr + (f + 1) * FRAME_SIZE) - 1;
}

static void mark(const struct run *run, uint32_t from, uint64_t id)
{
	for (uint32_t f = from; f < run->n; f++)
		*first_word(run, f) = *last_word(run, f) = id;
}

static void check_marks(const struct run *run, uint64_t id)
{
	for (uint32_t f = 0; f < run->n; f++)
		must(*first_word(run, f) == id && *last_word(run, f) == id);
}

static void check_zero(const struct run *run)
{
	for (uint32_t f = 0; f < run->n; f++)
		must(*first_word(run, f) == 0 && *last_word(run, f) == 0);
}

static void run_make(struct worker *w, struct run *run)
{
	uint32_t align = 1U << random_below(&w->seed, 5);
	bool zeroed;

	run->n = 1 + (uint32_t)random_below(&w->seed, random_next(&w->seed) & 1 ? 4 : MAX_FRAMES);
	run->addr = frame_alloc(run->n, align, &zeroed);
	must(run->addr && (uintptr_t)run->addr % (align * FRAME_SIZE) == 0);
	if (zeroed)
		check_zero(run);
	mark(run, 0, w->id);
}

static void run_extend(struct worker *w, struct run *run)
{
	uint32_t more = 1 + (uint32_t)random_below(&w->seed, 8), old = run->n;

	if (!frame_extend(run->addr, run->n, more))
		return;
	run->n += more;
	mark(run, old, w->id);
}

/* Gives up the end of the run, if it has one. */
static void run_trim(struct run *run)
{
	if (run->n < 2)
		return;
	frame_free(run->addr + (run->n - 1) * FRAME_SIZE, 1);
	run->n--;
}

static void run_free(struct run *run)
{
	frame_free(run->addr, run->n);
	run->addr = NULL;
}

static void step(struct worker *w)
{
	struct run *run = &w->runs[random_below(&w->seed, NR_RUNS)];

	if (!run->addr) {
		run_make(w, run);
		return;
	}
	check_marks(run, w->id);
	switch (random_below(&w->seed, 8)) {
	case 0:
		run_extend(w, run);
		break;
	case 1:
		run_trim(run);
		break;
	default:
		run_free(run);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned int turn = 0; turn < ROUNDS(20000); turn++) {
		step(w);
		if (turn % 1024 == 0)
			purge_all();
	}
	for (unsigned int i = 0; i < NR_RUNS; i++) {
		if (w->runs[i].addr) {
			check_marks(&w->runs[i], w->id);
			run_free(&w->runs[i]);
		}
	}
	return NULL;
}

static void work_in_threads(void)
{
	static struct worker workers[NR_WORKERS];

	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		workers[i].id = 0x1234567800000000U + i;
		workers[i].seed = i;
	}
	run_threads(NR_WORKERS, work, workers, sizeof(workers[0]));
}

static uint64_t frames_used_and_ours(void)
{
	struct section *sec;
	uint64_t n = 0;

	for_each_section(sec, nr) {
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			n += (uint64_t)__builtin_popcountll(sec->used[w] & sec->reserved[w]);
	}
	return n;
}

static void no_frame_has_two_holders(void **state)
{
	(void)state;
	options.purge_delay_ms = 3600000;
	work_in_threads();
	assert_int_equal(frames_used_and_ours(), 0);
}

/* The same with ticks of the purge all the time. */
static void nor_while_they_are_purged(void **state)
{
	(void)state;
	options.purge_delay_ms = 0;
	work_in_threads();
	assert_int_equal(frames_used_and_ours(), 0);
}

/* More than is reserved at once, so that threads reserve and list sections side by side. */
static void *reserve(void *arg)
{
	char *runs[24];
	bool zeroed;

	for (unsigned int i = 0; i < 24; i++) {
		runs[i] = frame_alloc(FRAME_RUN_MAX, 1, &zeroed);
		must(runs[i]);
		*(uint64_t *)(void *)runs[i] = (uintptr_t)arg;
	}
	for (unsigned int i = 0; i < 24; i++) {
		must(*(uint64_t *)(void *)runs[i] == (uintptr_t)arg);
		frame_free(runs[i], FRAME_RUN_MAX);
	}
	return NULL;
}

static void threads_reserve_side_by_side(void **state)
{
	static char ids[NR_WORKERS];
	struct section *sec;
	uint64_t n = 0;

	(void)state;
	run_threads(NR_WORKERS, reserve, ids, 1);
	assert_int_equal(frames_used_and_ours(), 0);
	for_each_section(sec, nr) {
		n++;
		for (uint32_t k = 0; k < nr; k++)
			assert_ptr_not_equal(frame_section(k), sec);
	}
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_frame_has_two_holders),
		cmocka_unit_test(nor_while_they_are_purged),
		cmocka_unit_test(threads_reserve_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
