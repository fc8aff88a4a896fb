/*
 * The kernel gives no memory, or less than was asked for: no address space, no mapping, no access. Each in
 * a process of its own. What it won't take back or move is in test_refused_returns.c.
 */
#include "refusals.h"

static void without_sections(void *arg)
{
	bool zeroed;

	(void)arg;
	refuse_kinds(1 << OS_MAP, 0);
	must(!frame_alloc(1, 1, &zeroed));
	must(!kmalloc(10) && !kmalloc(MIB) && !kmalloc(40 * MIB));
	allow_all();
	check_heap();
}

/* A mapping whose section can't be made: it is there already, and is given back. */
static void without_a_section_for_a_mapping(void *arg)
{
	(void)arg;
	refuse_kinds(1 << OS_MAP, sizeof(struct section));
	refused_to = sizeof(struct section);
	must(!kmalloc(40 * MIB));
	refuse_kinds(1 << OS_MAP, 40 * MIB);
	must(!kmalloc(40 * MIB));
	allow_all();
	check_heap();
}

/* Free frames are given up, and then there is room. */
static void check_room_in_the_heap(void)
{
	bool zeroed;
	char *p, *dirty = frame_alloc(3, 1, &zeroed);

	check_heap();
	memset(dirty, 1, 3 * FRAME_SIZE);
	frame_free(dirty, 3);
	must(frame_reserved() >= 100 * MIB);
	refuse_kinds(1 << OS_MAP, 40 * MIB);
	most_refusals = 1;
	p = kmalloc(40 * MIB);
	allow_all();
	must(p);
	p[0] = p[40 * MIB - 1] = 1;
	kfree(p);
	p = frame_alloc(3, 1, &zeroed);
	must(p && zeroed && is_zero(p, 3 * FRAME_SIZE));
	memset(p, 1, 3 * FRAME_SIZE);
	check_heap();
}

static void with_room_in_the_heap_alone(void *arg)
{
	size_t before = frame_reserved();

	(void)arg;
	check_room_in_the_heap();
	must(frame_reserved() >= before);
}

/* Where address space is limited, that is given up too. */
static void with_room_in_the_heaps_address_space(void *arg)
{
	(void)arg;
	address_limit = (size_t)1 << 46;
	check_heap();
	check_room_in_the_heap();
}

/* Every size of a reservation is tried, down to what is needed. */
static void with_little_address_space(void *arg)
{
	char *frames[30];
	bool zeroed;

	(void)arg;
	refuse_kinds(1 << OS_RESERVE | 1 << OS_RESERVE_AT, MIB);
	for (unsigned int i = 0; i < 30; i++) {
		frames[i] = frame_alloc(4, 1, &zeroed);
		must(frames[i]);
		memset(frames[i], (int)i, 4 * FRAME_SIZE);
	}
	must(!frame_alloc(100, 1, &zeroed));
	allow_all();
	must(frame_alloc(100, 1, &zeroed));
	for (unsigned int i = 0; i < 30; i++)
		must(frames[i][0] == (char)i && frames[i][4 * FRAME_SIZE - 1] == (char)i);
}

/* Of a small limit little is reserved at once, but as much as is asked for. */
static void with_a_small_limit(void *arg)
{
	bool zeroed;
	char *p;

	(void)arg;
	address_limit = 4 * MIB;
	p = frame_alloc(100, 1, &zeroed);
	must(p && frame_reserved() == 100 * FRAME_SIZE);
	memset(p, 1, 100 * FRAME_SIZE);
	must(frame_alloc(1, 1, &zeroed) && frame_reserved() < 110 * FRAME_SIZE);
}

/* What is accessible is used, to the last frame; what isn't is left alone. */
static void without_commits(void *arg)
{
	char *first, *frames[1000];
	unsigned int n = 0, again;
	bool zeroed;

	(void)arg;
	first = frame_alloc(8, 1, &zeroed);
	must(first);
	refuse_kinds(1 << OS_COMMIT, 0);
	while (n < 1000 && (frames[n] = frame_alloc(1, 1, &zeroed)))
		memset(frames[n++], 7, FRAME_SIZE);
	must(n > 0 && n < 1000);
	frame_free(frames[n / 2], 1);
	must(frame_alloc(1, 1, &zeroed) == frames[n / 2]);
	must(!frame_alloc(2, 1, &zeroed) && !frame_extend(first, 8, 1));
	allow_all();
	for (again = 0; again < n; again++)
		must(again == n / 2 || frames[again][FRAME_SIZE - 1] == 7);
	check_heap();
}

/* Making more accessible than was asked for is a wish: without it, it is less. */
static void with_few_commits(void *arg)
{
	char *frames[100];
	bool zeroed;

	(void)arg;
	refuse_kinds(1 << OS_COMMIT, 2 * FRAME_SIZE);
	for (unsigned int i = 0; i < 100; i++) {
		must(frames[i] = frame_alloc(1, 1, &zeroed));
		memset(frames[i], 1, FRAME_SIZE);
	}
	allow_all();
}

/* Accessible frames lie behind others that are not. */
static void with_accessible_frames_behind(void *arg)
{
	struct section *sec;
	char *low, *high;
	bool zeroed;

	(void)arg;
	refuse_kinds(1 << OS_COMMIT, 2 * FRAME_SIZE);
	low = frame_alloc(1, 64, &zeroed);
	high = frame_alloc(1, 64, &zeroed);
	must(low && high > low + FRAME_SIZE);
	frame_free(high, 1);
	for_each_section(sec, nr)
		atomic_store(&sec->first_free, 0);
	refuse_kinds(1 << OS_COMMIT, 0);
	must(frame_alloc(1, 1, &zeroed) == high);
	allow_all();
}

static void *stay(void *arg)
{
	pthread_barrier_t *steps = arg;

	must(kmalloc(100));
	pthread_barrier_wait(&steps[0]);
	pthread_barrier_wait(&steps[1]);
	return NULL;
}

/* Without the page that tells of forks, a child works as well, beside what the others held. */
static void fork_without_the_page(unsigned int kind, size_t from)
{
	pthread_barrier_t steps[2];
	pthread_t thread;
	int status;
	pid_t pid;

	pthread_barrier_init(&steps[0], NULL, 2);
	pthread_barrier_init(&steps[1], NULL, 2);
	must(kmalloc(10));
	refuse_kinds(kind, from);
	must(!pthread_create(&thread, NULL, stay, steps));
	pthread_barrier_wait(&steps[0]);
	allow_all();
	pid = fork();
	if (pid == 0) {
		check_heap();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0);
	pthread_barrier_wait(&steps[1]);
	pthread_join(thread, NULL);
}

static void without_a_page_for_forks(void *arg)
{
	(void)arg;
	fork_without_the_page(1 << OS_WIPE_ON_FORK, 0);
}

static void without_memory_for_that_page(void *arg)
{
	(void)arg;
	/* The section and all else is there. */
	fork_without_the_page(1 << OS_MAP, os_page_size());
}

static void without_anything(void *arg)
{
	static char *small[300000];
	char *large = kmalloc(MIB), *mapped = kmalloc(40 * MIB);
	unsigned int n = 0;

	(void)arg;
	fill(large, MIB);
	fill(mapped, 40 * MIB);
	/* With it comes what is accessible behind it. */
	kfree(kmalloc(64));
	refuse_kinds(~0U, 0);
	while (n < 300000 && (small[n] = kmalloc(64)))
		memcpy(small[n], &n, sizeof(n)), n++;
	must(n > 1000 && n < 300000);
	must(!kmalloc(40 * MIB) && !kmalloc(MIB) && !kzalloc(200000) && !kmalloc_aligned(1, MIB));
	must(!krealloc(large, 2 * MIB) && !krealloc(mapped, 60 * MIB));
	/* A smaller one is the same one. */
	must(krealloc(large, 100) == large && krealloc(mapped, 50000) == mapped);
	must(is_filled(large, 100) && is_filled(mapped, 50000));
	/* What is freed can be had again. */
	kfree(small[n / 2]);
	must(kmalloc(64) == small[n / 2]);
	memcpy(small[n / 2], &(unsigned int){n / 2}, sizeof(n));
	hold_lock(kmalloc_cache(64));
	must(!cache_alloc(kmalloc_cache(64)));
	drop_lock(kmalloc_cache(64));
	for (unsigned int i = 0; i < n; i++)
		must(!memcmp(small[i], &i, sizeof(i)));
	for (unsigned int i = 0; i < n; i++)
		kfree(small[i]);
	/* So can all of it in another size: empty slabs are given up for it. */
	must(kmalloc(20000));
	allow_all();
	kfree(large);
	kfree(mapped);
	check_heap();
}

static void a_thread_without_a_record(void *arg)
{
	(void)arg;
	refuse_kinds(1 << OS_RESERVE | 1 << OS_RESERVE_AT, 0);
	must(!thread_current());
	must(!kmalloc(10));
	must(!cache_alloc(kmalloc_cache(10)));
	allow_all();
	must(thread_current());
	check_heap();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD(without_sections),
		CHILD(without_a_section_for_a_mapping),
		CHILD(with_room_in_the_heap_alone),
		CHILD(with_room_in_the_heaps_address_space),
		CHILD(with_little_address_space),
		CHILD(with_a_small_limit),
		CHILD(without_commits),
		CHILD(with_few_commits),
		CHILD(with_accessible_frames_behind),
		CHILD(without_a_page_for_forks),
		CHILD(without_memory_for_that_page),
		CHILD(without_anything),
		CHILD(a_thread_without_a_record),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
