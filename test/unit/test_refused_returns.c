/*
 * The kernel takes nothing back, moves nothing, or won't tell of a thread's end: what lives stays whole, and
 * what can't be given back is used again or lost, and no more than that. Each in a process of its own.
 */
#include "refusals.h"

static void without_purges(void *arg)
{
	bool zeroed;
	char *p = frame_alloc(10, 1, &zeroed);

	(void)arg;
	memset(p, 1, 10 * FRAME_SIZE);
	frame_free(p, 10);
	refuse_kinds(1 << OS_PURGE, 0);
	must(purge_all() == 0);
	must(frame_alloc(10, 1, &zeroed) == p && !zeroed);
	frame_free(p, 10);
	p = kzalloc(10 * FRAME_SIZE);
	must(is_zero(p, 10 * FRAME_SIZE));
	kfree(p);
	allow_all();
	must(purge_all() >= 10 * FRAME_SIZE);
}

static void *use_a_little(void *arg)
{
	must(kmalloc(100));
	return arg;
}

/* A record in a frame that was used before, and that the kernel doesn't clear. */
static void a_record_without_a_purge(void *arg)
{
	bool zeroed;
	char *p = frame_alloc(4, 1, &zeroed);

	(void)arg;
	memset(p, 0xff, 4 * FRAME_SIZE);
	frame_free(p, 4);
	refuse_kinds(1 << OS_PURGE, 0);
	run_thread(use_a_little, NULL);
	allow_all();
	must(nr_records() == 1);
	check_heap();
}

/* Pages that can't be moved are copied. */
static void without_moves(void *arg)
{
	char *p = kmalloc(4 * MIB), *behind, *mapped = kmalloc(40 * MIB);

	(void)arg;
	fill(p, 4 * MIB);
	fill(mapped, 40 * MIB);
	behind = p + 4 * MIB;
	must(frame_extend(p, 4 * MIB / FRAME_SIZE, 1));
	refuse_kinds(1 << OS_MOVE | 1 << OS_RESIZE, 0);
	p = krealloc(p, 10 * MIB);
	mapped = krealloc(mapped, 50 * MIB);
	allow_all();
	must(p + 4 * MIB != behind && is_filled(p, 4 * MIB) && is_filled(mapped, 40 * MIB));
	kfree(p);
	kfree(mapped);
	check_heap();
}

/* The hole that moved pages leave can't be had again: the frames are lost, and no more than they. */
static void without_the_hole(void *arg)
{
	char *p = kmalloc(4 * MIB), *old = p;

	(void)arg;
	fill(p, 4 * MIB);
	must(frame_extend(p, 4 * MIB / FRAME_SIZE, 1));
	refuse_kinds(1 << OS_RESERVE_AT, 0);
	p = krealloc(p, 10 * MIB);
	allow_all();
	must(p != old && is_filled(p, 4 * MIB));
	must(!frame_is_ours(old) && !frame_is_ours(old + 4 * MIB - 1) &&
	     frame_is_ours(old + 4 * MIB));
	must(!kmalloc_owns(old));
	kfree(p);
	check_heap();
}

/* The last way out gives up free frames, which the kernel may refuse as well. */
static void check_refused_ways_out(enum os_call call)
{
	bool zeroed;
	char *p = frame_alloc(10, 1, &zeroed);

	memset(p, 3, 10 * FRAME_SIZE);
	frame_free(p + FRAME_SIZE, 9);
	refuse_kinds(1U << call, 0);
	must(!frame_unreserve());
	allow_all();
	must(p[FRAME_SIZE - 1] == 3 && frame_is_ours(p + FRAME_SIZE));
	p = frame_alloc(9, 1, &zeroed);
	must(p && (!zeroed || is_zero(p, 9 * FRAME_SIZE)));
	memset(p, 4, 9 * FRAME_SIZE);
	check_heap();
}

static void without_unmapping(void *arg)
{
	(void)arg;
	address_limit = (size_t)1 << 46;
	check_refused_ways_out(OS_UNMAP);
}

static void without_uncommitting(void *arg)
{
	(void)arg;
	check_refused_ways_out(OS_UNCOMMIT);
}

/* The same where all of it has been made accessible. */
static void without_unmapping_what_is_accessible(void *arg)
{
	bool zeroed;
	void *p;

	(void)arg;
	address_limit = (size_t)1 << 46;
	refuse_kinds(1 << OS_RESERVE | 1 << OS_RESERVE_AT, 2 * MIB);
	p = frame_alloc(8, 1, &zeroed);
	allow_all();
	must(p);
	frame_free(p, 8);
	check_refused_ways_out(OS_UNMAP);
}

/* A mapping that can't be unmapped gives its pages back at least. */
static void without_unmapping_a_mapping(void *arg)
{
	char *p = kmalloc(40 * MIB);

	(void)arg;
	memset(p, 1, 4 * MIB);
	refuse_kinds(1 << OS_UNMAP, 0);
	kfree(p);
	allow_all();
	must(resident_pages(p, 4 * MIB) == 0);
	must(ksize(p) == 0);
	check_heap();
}

/* Of its end the thread is told at a later call, if not at the first. */
static void *use_unhooked(void *arg)
{
	kfree(kmalloc(100));
	allow_all();
	kfree(kmalloc(1000));
	return arg;
}

static void a_thread_without_notice_of_its_end(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 3; i++) {
		refuse_kinds(1 << OS_AT_THREAD_EXIT, 0);
		run_thread(use_unhooked, NULL);
		must(nr_records() == 1);
	}
	check_heap();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD(without_purges),
		CHILD(a_record_without_a_purge),
		CHILD(without_moves),
		CHILD(without_the_hole),
		CHILD(without_unmapping),
		CHILD(without_uncommitting),
		CHILD(without_unmapping_what_is_accessible),
		CHILD(without_unmapping_a_mapping),
		CHILD(a_thread_without_notice_of_its_end),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
