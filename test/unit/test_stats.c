/* Figures about the heap: exact where the threads are quiet, and a table that reads like /proc/slabinfo. */
#include "heap.h"

#include "core/frame.h"
#include "core/kmem_cache.h"
#include "core/options.h"

#define MAX_CACHES (NR_KMALLOC_CACHES + NR_USER_CACHES)
#define MIB ((size_t)1 << 20)

static struct cache_stats caches[MAX_CACHES];

static struct heap_stats figures(void)
{
	struct heap_stats heap;

	memset(caches, 0, sizeof(caches));
	heap_stats(&heap, caches);
	return heap;
}

static void an_unused_heap_is_empty(void **state)
{
	struct heap_stats heap = figures();

	(void)state;
	assert_true(is_zero(&heap, sizeof(heap)));
	assert_true(is_zero(caches, sizeof(caches)));
}

static void each_object_counts(void **state)
{
	static void *objects[1000];
	struct kmem_cache *s = kmalloc_cache(64);
	struct heap_stats heap;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		objects[i] = kmalloc(64);
		heap = figures();
		assert_int_equal(caches[size_class(64)].active_objs, i + 1);
		assert_int_equal(heap.small_used, 64 * (i + 1));
	}
	assert_int_equal(caches[size_class(64)].num_slabs, 1);
	assert_int_equal(caches[size_class(64)].active_slabs, 1);
	assert_int_equal(caches[size_class(64)].num_objs, s->objects);
	assert_int_equal(heap.small_used + heap.small_free, FRAME_SIZE);
	assert_int_equal(heap.nr_free_slots, s->objects - 1000 + heap.free_frames);
	assert_int_equal(heap.threads, 1);
	for (unsigned int i = 1000; i--;) {
		kfree(objects[i]);
		heap = figures();
		assert_int_equal(caches[size_class(64)].active_objs, i);
		assert_int_equal(heap.small_used, 64 * i);
	}
	kmalloc_trim();
	heap = figures();
	assert_int_equal(heap.small_used + heap.small_free, 0);
	assert_int_equal(heap.free_frames, 0);
	assert_int_equal(heap.nr_free_slots, 0);
}

static void every_cache_counts_for_itself(void **state)
{
	void *objects[NR_SIZE_CLASSES];
	struct heap_stats heap;
	uint64_t used = 0;

	(void)state;
	for (uint32_t i = 0; i < NR_SIZE_CLASSES; i++) {
		objects[i] = kmalloc(CLASS_SIZE(i));
		used += CLASS_SIZE(i);
	}
	heap = figures();
	assert_int_equal(heap.small_used, used);
	for (uint32_t i = 0; i < NR_SIZE_CLASSES; i++) {
		assert_int_equal(caches[i].active_objs, 1);
		assert_int_equal(caches[i].num_slabs, 1);
		assert_int_equal(caches[i].num_objs, kmalloc_caches[i].objects);
		kfree(objects[i]);
	}
	heap = figures();
	assert_int_equal(heap.small_used, 0);
	kmalloc_trim();
}

static void large_objects_count(void **state)
{
	void *run = kmalloc(MIB), *other = kmalloc(300000), *mapped = kmalloc(64 * MIB);
	size_t page = os_page_size();
	struct heap_stats heap = figures();

	(void)state;
	assert_true(run && other && mapped);
	assert_int_equal(heap.runs, 2);
	assert_int_equal(heap.run_bytes, MIB + (300000 + page - 1) / page * page);
	assert_int_equal(heap.mapped, 1);
	assert_int_equal(heap.mapped_bytes, 64 * MIB);
	assert_int_equal(heap.free_frames, 0);
	kfree(other);
	kfree(mapped);
	heap = figures();
	assert_int_equal(heap.runs, 1);
	assert_int_equal(heap.run_bytes, MIB);
	assert_int_equal(heap.mapped + heap.mapped_bytes, 0);
	/* Whether it was written to, nobody knows. */
	assert_int_equal(heap.free_frames, 5);
	kfree(run);
	heap = figures();
	assert_int_equal(heap.free_frames, 5 + MIB / FRAME_SIZE);
	assert_true(heap.reserved >= heap.free_frames * FRAME_SIZE);
	assert_int_equal(purge_all(), heap.free_frames * FRAME_SIZE);
	assert_int_equal(figures().free_frames, 0);
}

#define NR_WORKERS 4U
#define PER_WORKER 777U

struct worker {
	pthread_t thread;
	void *objects[PER_WORKER];
};

static pthread_barrier_t step;

/* Between the steps the threads are quiet, and main counts. */
static void *in_steps(void *arg)
{
	struct worker *w = arg, *next = w + 1;

	for (unsigned int i = 0; i < PER_WORKER; i++)
		must(w->objects[i] = kmalloc(128));
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
	/* A third of the neighbour's: into sheaves, and onto remote lists. */
	for (unsigned int i = 0; i < PER_WORKER / 3; i++)
		kfree(next->objects[i]);
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
	for (unsigned int i = PER_WORKER / 3; i < PER_WORKER; i++)
		kfree(w->objects[i]);
	return NULL;
}

static void quiet_threads_are_counted_exactly(void **state)
{
	static struct worker workers[NR_WORKERS + 1];
	struct kmem_cache *s = kmalloc_cache(128);

	(void)state;
	pthread_barrier_init(&step, NULL, NR_WORKERS + 1);
	for (unsigned int i = 0; i < PER_WORKER; i++)
		workers[NR_WORKERS].objects[i] = kmalloc(128);
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		must(!pthread_create(&workers[i].thread, NULL, in_steps, &workers[i]));
	pthread_barrier_wait(&step);
	assert_int_equal(objects_in_use(s), (NR_WORKERS + 1) * PER_WORKER);
	assert_int_equal(nr_records(), NR_WORKERS + 1);
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
	assert_int_equal(objects_in_use(s),
			 PER_WORKER + NR_WORKERS * (PER_WORKER - PER_WORKER / 3));
	pthread_barrier_wait(&step);
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned int i = 0; i < PER_WORKER / 3; i++)
		kfree(workers[0].objects[i]);
	assert_int_equal(objects_in_use(s), PER_WORKER - PER_WORKER / 3);
	for (unsigned int i = PER_WORKER / 3; i < PER_WORKER; i++)
		kfree(workers[NR_WORKERS].objects[i]);
	assert_int_equal(objects_in_use(s), 0);
	assert_int_equal(nr_records(), NR_WORKERS + 1);
}

static void user_caches_count_by_index(void **state)
{
	struct cache_args args = {"mine", 100, 16, CACHE_NO_MERGE, NULL};
	struct kmem_cache *s = cache_create(&args);
	void *p = cache_alloc(s);

	(void)state;
	figures();
	assert_int_equal(cache_index_of(s), NR_KMALLOC_CACHES);
	assert_int_equal(caches[NR_KMALLOC_CACHES].active_objs, 1);
	assert_int_equal(caches[NR_KMALLOC_CACHES].num_objs, s->objects);
	assert_true(cache_has_objects(s));
	kfree(p);
	assert_false(cache_has_objects(s));
	figures();
	assert_int_equal(caches[NR_KMALLOC_CACHES].active_objs, 0);
	cache_destroy(s);
}

static void print(void *unused)
{
	(void)unused;
	stats_print(STDERR_FILENO);
}

/* One line of slabinfo, by the format of its documentation. */
struct line {
	char name[40];
	unsigned long active_objs, num_objs, objsize, objperslab, pagesperslab;
	unsigned long limit, batchcount, sharedfactor, active_slabs, num_slabs, sharedavail;
};

static bool parse_line(const char *text, struct line *l)
{
	int end = 0;

	return sscanf(text,
		      "%39s %lu %lu %lu %lu %lu : tunables %lu %lu %lu : slabdata %lu %lu %lu%n",
		      l->name, &l->active_objs, &l->num_objs, &l->objsize, &l->objperslab,
		      &l->pagesperslab, &l->limit, &l->batchcount, &l->sharedfactor,
		      &l->active_slabs, &l->num_slabs, &l->sharedavail, &end) == 12 &&
	       text[end] == '\n';
}

static bool find_line(const char *table, const char *name, struct line *l)
{
	for (const char *at = table; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (parse_line(at, l) && !strcmp(l->name, name))
			return true;
	}
	return false;
}

/* Every line is one of the head, a cache's, or a total. */
static void check_form(const char *table)
{
	struct line l;

	assert_int_equal(
		strncmp(table, "slabinfo - version: 2.1\n# name            <active_objs> ", 56), 0);
	assert_non_null(strstr(table, "<pagesperslab> : tunables <limit> <batchcount> "
				      "<sharedfactor> : slabdata <active_slabs> <num_slabs> "
				      "<sharedavail>\n"));
	for (const char *at = strchr(table, '\n') + 1; *at; at = strchr(at, '\n') + 1)
		assert_true(*at == '#' || parse_line(at, &l));
}

/* A total's two numbers. */
static void find_total(const char *table, const char *name, unsigned long *count,
		       unsigned long *bytes)
{
	const char *at = strstr(table, name);

	assert_non_null(at);
	assert_int_equal(sscanf(at + strlen(name), "%lu %lu", count, bytes), 2);
}

static void the_table_is_slabinfo(void **state)
{
	static char table[32768];
	struct cache_args args = {"inode", 500, 16, CACHE_NO_MERGE, NULL};
	struct kmem_cache *s = cache_create(&args);
	void *small[10], *large = kmalloc(MIB), *mapped = kmalloc(64 * MIB), *mine = cache_alloc(s);
	unsigned long count, bytes;
	struct line l;

	(void)state;
	assert_true(large && mapped && mine);
	kmalloc_trim();
	for (unsigned int i = 0; i < 10; i++)
		small[i] = kmalloc(2000);
	capture_stderr(print, NULL, table, sizeof(table));
	check_form(table);
	assert_true(find_line(table, "kmalloc-2048", &l));
	assert_true(l.active_objs == 10 && l.num_objs == 32 && l.objsize == 2048);
	assert_true(l.objperslab == 32 && l.pagesperslab == FRAME_SIZE / os_page_size());
	assert_true(l.active_slabs == 1 && l.num_slabs == 1 && l.sharedavail == 0);
	assert_true(l.limit == 0 && l.batchcount == 0 && l.sharedfactor == 0);
	assert_true(find_line(table, "inode", &l));
	assert_true(l.active_objs == 1);
	assert_false(find_line(table, "kmalloc-16", &l));
	find_total(table, "# large objects, in runs", &count, &bytes);
	assert_true(count == 1 && bytes == MIB);
	find_total(table, "# large objects, mapped", &count, &bytes);
	assert_true(count == 1 && bytes == 64 * MIB);
	find_total(table, "# thread records", &count, &bytes);
	assert_true(count == nr_records() && bytes == count * FRAME_SIZE);
	find_total(table, "# address space", &count, &bytes);
	assert_true(bytes > 64 * MIB);
	for (unsigned int i = 0; i < 10; i++)
		kfree(small[i]);
	kfree(mine);
	kfree(large);
	kfree(mapped);
	cache_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unused_heap_is_empty),
		cmocka_unit_test(each_object_counts),
		cmocka_unit_test(every_cache_counts_for_itself),
		cmocka_unit_test(large_objects_count),
		cmocka_unit_test(quiet_threads_are_counted_exactly),
		cmocka_unit_test(user_caches_count_by_index),
		cmocka_unit_test(the_table_is_slabinfo),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
