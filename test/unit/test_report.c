/* Mistakes: what is found, the line that says so, and what the option on_error makes of it. */
#include "heap.h"
#include "slabs.h"

#include "core/kmem_cache.h"
#include "core/options.h"
#include "core/report.h"

static void free_it(void *p)
{
	kfree(p);
}

static void realloc_it(void *p)
{
	must(!krealloc(p, 1000));
}

/* The line of a call, with on_error:report; the address of the bug is the call's argument. */
static void assert_reports(void (*fn)(void *), void *p, const char *where, const char *what)
{
	char text[512], expected[512];

	snprintf(expected, sizeof(expected), "uslub: BUG %s (%d): %s %p\n", where, getpid(), what,
		 p);
	options.on_error = ON_ERROR_REPORT;
	capture_stderr(fn, p, text, sizeof(text));
	options.on_error = ON_ERROR_ABORT;
	assert_string_equal(text, expected);
}

static void frees_of_what_is_no_object(void **state)
{
	char *p = kmalloc(64), *big = cache_alloc(wide_cache());

	(void)state;
	for (unsigned int at = 1; at < 64; at++)
		assert_reports(free_it, p + at, "kmalloc-64",
			       "free of what is not the start of an object:");
	/* Not carved yet. */
	assert_reports(free_it, (char *)slab_of(p)->base + FRAME_SIZE - 64, "kmalloc-64",
		       "free of what is not the start of an object:");
	/* In a further frame of its slab. */
	assert_reports(free_it, (char *)slab_of(big)->base + FRAME_SIZE + 16, "wide",
		       "free of what is not the start of an object:");
	kfree(p);
	kfree(big);
}

static void *free_all(void *arg)
{
	char **objects = arg;

	for (unsigned int i = 0; i < 300; i++)
		kfree(objects[i]);
	return NULL;
}

/* In the sheaf, on a slab's freelist, on its remote list, and in another thread's sheaf. */
static void double_frees_are_found_wherever_they_lie(void **state)
{
	static char *objects[300];

	(void)state;
	for (unsigned int i = 0; i < 300; i++)
		objects[i] = kmalloc(80);
	for (unsigned int i = 0; i < 300; i++)
		kfree(objects[i]);
	for (unsigned int i = 0; i < 300; i++)
		assert_reports(free_it, objects[i], "kmalloc-80", "double free of");
	for (unsigned int i = 0; i < 300; i++)
		objects[i] = kmalloc(80);
	run_thread(free_all, objects);
	for (unsigned int i = 0; i < 300; i++)
		assert_reports(free_it, objects[i], "kmalloc-80", "double free of");
	assert_int_equal(objects_in_use(kmalloc_cache(80)), 0);
}

struct holder {
	char *p;
	pthread_barrier_t step;
};

static void *free_and_wait(void *arg)
{
	struct holder *h = arg;

	kfree(h->p);
	pthread_barrier_wait(&h->step);
	pthread_barrier_wait(&h->step);
	return NULL;
}

static void even_in_another_threads_sheaf(void **state)
{
	struct holder h = {.p = kmalloc(80)};
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&h.step, NULL, 2);
	assert_false(pthread_create(&thread, NULL, free_and_wait, &h));
	pthread_barrier_wait(&h.step);
	assert_reports(free_it, h.p, "kmalloc-80", "double free of");
	pthread_barrier_wait(&h.step);
	pthread_join(thread, NULL);
}

/* A program's data may look like a mark: the object is not free, so nothing is wrong. */
static void a_copied_mark_is_no_double_free(void **state)
{
	struct free_object *p = kmalloc(112);

	(void)state;
	p->state.mark = FREE_MARK;
	p->next = NULL;
	kfree(p);
	assert_int_equal(objects_in_use(kmalloc_cache(112)), 0);
}

static void frees_of_large_memory(void **state)
{
	char *run = kmalloc(1 << 20), *mapped = kmalloc(64 << 20);

	(void)state;
	assert_reports(free_it, run + 16, "large", "free of what is not the start of an object:");
	assert_reports(free_it, run + FRAME_SIZE, "large",
		       "free of what is not the start of an object:");
	assert_reports(free_it, mapped + (10 << 20), "large",
		       "free of what is not the start of an object:");
	kfree(run);
	assert_reports(free_it, run, "large", "free of what is not allocated:");
	kfree(mapped);
	/* That address space is anybody's now. */
	assert_reports(free_it, mapped, "foreign", "free of memory that is not uslub's:");
}

static void frees_of_foreign_memory(void **state)
{
	static int data;
	int here;

	(void)state;
	assert_reports(free_it, &here, "foreign", "free of memory that is not uslub's:");
	assert_reports(free_it, &data, "foreign", "free of memory that is not uslub's:");
	assert_reports(free_it, (void *)8, "foreign", "free of memory that is not uslub's:");
	assert_reports(free_it, (void *)UINTPTR_MAX, "foreign",
		       "free of memory that is not uslub's:");
}

/* A thread's record is in the heap, and no object. */
static void frees_of_a_record(void **state)
{
	(void)state;
	kfree(kmalloc(16));
	assert_reports(free_it, current_thread, "large", "free of what is not allocated:");
}

static void reallocs_of_what_is_no_object(void **state)
{
	char *p = kmalloc(64), *run = kmalloc(1 << 20);
	int here;

	(void)state;
	assert_reports(realloc_it, p + 16, "kmalloc-64", "realloc of what is not an object:");
	assert_reports(realloc_it, run + 16, "large", "realloc of what is not an object:");
	assert_reports(realloc_it, &here, "large", "realloc of what is not an object:");
	kfree(p);
	kfree(run);
}

static void double_free(void *arg)
{
	void *p = kmalloc(48);

	options.on_error = *(const uint32_t *)arg;
	kfree(p);
	kfree(p);
	must(kmalloc(48) == p && kmalloc(48) != p);
	report_bug("where", "what", p);
	report_object(kmalloc_cache(48), "what", p);
	report_object(NULL, "what", p);
}

static struct child with_mode(uint32_t mode)
{
	static struct child child;

	run_child(&child, double_free, &mode);
	return child;
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void abort_ends_the_program(void **state)
{
	struct child child = with_mode(ON_ERROR_ABORT);
	const char *line = strchr(child.err, '\n');

	(void)state;
	assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
	assert_int_equal(strncmp(child.err, "uslub: BUG kmalloc-48 (", 23), 0);
	assert_non_null(strstr(child.err, "): double free of 0x"));
	/* An emulator adds a line about the signal. */
	assert_non_null(line);
	assert_null(strstr(line, "uslub"));
}

static void report_goes_on(void **state)
{
	struct child child = with_mode(ON_ERROR_REPORT);

	(void)state;
	assert_int_equal(child.status, 0);
	assert_int_equal(count_lines(child.err), 4);
	assert_non_null(strstr(child.err, "uslub: BUG where ("));
	assert_non_null(strstr(child.err, "uslub: BUG large ("));
}

static void ignore_says_nothing(void **state)
{
	struct child child = with_mode(ON_ERROR_IGNORE);

	(void)state;
	assert_int_equal(child.status, 0);
	assert_string_equal(child.err, "");
}

static void caches_have_names(void **state)
{
	struct kmem_cache named = {.name = "inode", .object_size = 99};
	struct text text = {0};

	(void)state;
	text_add_cache_name(&text, &named);
	text_add_cache_name(&text, kmalloc_cache(5000));
	assert_int_equal(text.len, 17);
	assert_memory_equal(text.buf, "inodekmalloc-5120", 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frees_of_what_is_no_object),
		cmocka_unit_test(double_frees_are_found_wherever_they_lie),
		cmocka_unit_test(even_in_another_threads_sheaf),
		cmocka_unit_test(a_copied_mark_is_no_double_free),
		cmocka_unit_test(frees_of_large_memory),
		cmocka_unit_test(frees_of_foreign_memory),
		cmocka_unit_test(frees_of_a_record),
		cmocka_unit_test(reallocs_of_what_is_no_object),
		cmocka_unit_test(abort_ends_the_program),
		cmocka_unit_test(report_goes_on),
		cmocka_unit_test(ignore_says_nothing),
		cmocka_unit_test(caches_have_names),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
