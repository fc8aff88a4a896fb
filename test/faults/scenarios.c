/*
 * Single situations at the end of memory, each in a process of its own with a heap that was never used.
 *   scenarios NAME...
 */
#include <pthread.h>
#include <sys/mman.h>

#include "check.h"
#include "core/frame.h"
#include "core/kmalloc.h"
#include "core_heap.h"
#include "fake_os.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define MAX_PIECES 4096

/* A list of objects of one size, and the frames of the heap that they fill. */
static struct object pieces[MAX_PIECES];
static size_t nr_pieces;

static bool add_piece(size_t size)
{
	void *p = kmalloc(size);

	CHECK(nr_pieces < MAX_PIECES);
	if (p)
		object_stamp(&pieces[nr_pieces++], p, size);
	return p != NULL;
}

static void drop_pieces(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		object_check(&pieces[i]);
		kfree(pieces[i].p);
	}
	memmove(&pieces[from], &pieces[to], (nr_pieces - to) * sizeof(pieces[0]));
	nr_pieces -= to - from;
}

static size_t reserved_frames(void)
{
	struct section *sec;
	size_t frames = 0;

	for_each_section(sec, nr) {
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			frames += (size_t)__builtin_popcountll(atomic_load(&sec->reserved[w]));
	}
	return frames;
}

static size_t free_frames(void)
{
	return reserved_frames() - core_heap_frames();
}

/* Until the heap has asked so often for address space. */
static void fill_address_space(unsigned int times)
{
	size_t before = reserved_frames();

	while (times) {
		CHECK(add_piece(FRAME_SIZE));
		if (reserved_frames() > before) {
			before = reserved_frames();
			times--;
		}
	}
}

static void finish(void)
{
	fake_os_recover();
	drop_pieces(0, nr_pieces);
	core_heap_check_empty();
}

/*
 * Where the commit limit is reached, frames that were freed serve again, whatever lies beside them: the
 * kernel places new address space below the old, where first fit looks first.
 */
static void freed_frames_serve(void)
{
	fake_os.address_limit = 128 * MIB;
	fill_address_space(3);
	drop_pieces(0, 100);
	fake_os.charge_limit = fake_os_charged();
	for (int i = 0; i < 100; i++)
		CHECK_THAT(add_piece(FRAME_SIZE), "NULL with %d accessible frames free", 100 - i);
	finish();
}

/* The same for what is not a frame of its own: slabs. */
static void freed_slabs_serve(void)
{
	size_t before, after;

	fake_os.address_limit = 128 * MIB;
	for (size_t i = 0; i < MAX_PIECES; i++)
		CHECK(add_piece(8 * KIB));
	drop_pieces(0, MAX_PIECES / 2);
	fake_os_refuse(OS_ANY);
	before = nr_pieces;
	while (nr_pieces < MAX_PIECES && add_piece(4 * KIB))
		;
	after = nr_pieces;
	CHECK_THAT(after == MAX_PIECES, "only %zu of %d objects found room", after - before,
		   MAX_PIECES / 2);
	finish();
}

/* Shrinking asks for less memory: where none is to be had for a copy, the object stays where it is. */
static void shrinking_needs_no_memory(void)
{
	static const size_t sizes[][2] = {
		{3000, 200},	      {30000, 5000},	   {300 * KIB, 100}, {300 * KIB, 100 * KIB},
		{50 * MIB, 40 * MIB}, {40 * MIB, 2 * MIB}, {34 * MIB, 10},
	};
	struct object o[sizeof(sizes) / sizeof(sizes[0])];
	size_t n = sizeof(sizes) / sizeof(sizes[0]);

	for (size_t i = 0; i < n; i++)
		object_stamp(&o[i], kmalloc(sizes[i][0]), sizes[i][0]);
	fake_os_refuse(OS_ANY);
	while (add_piece(FRAME_SIZE))
		;
	for (size_t i = 0; i < n; i++) {
		void *p = krealloc(o[i].p, sizes[i][1]);

		CHECK_THAT(p, "%zu bytes could not be shrunk to %zu", sizes[i][0], sizes[i][1]);
		object_check_moved(&o[i], p, sizes[i][1]);
		kfree(p);
	}
	finish();
}

/* Frames that the kernel would not unmap are as dirty as they were. */
static void refused_unmap_forgets_nothing(void)
{
	void *p;

	fake_os.address_limit = 1024 * MIB;
	p = kmalloc(4 * FRAME_SIZE);
	CHECK(p);
	memset(p, 0xff, 4 * FRAME_SIZE);
	kfree(p);
	fake_os_refuse(OS_UNMAP);
	fake_os.charge_limit = fake_os_charged();
	CHECK(!kmalloc(20 * MIB) && fake_os.refused);
	fake_os_recover();
	for (int i = 0; i < 8; i++) {
		p = kzalloc(FRAME_SIZE);
		CHECK(p);
		CHECK_THAT(object_is_zero(p, FRAME_SIZE), "zeroed memory holds what was freed");
		object_stamp(&pieces[nr_pieces++], p, FRAME_SIZE);
	}
	finish();
}

static void *in_the_hole;

/*
 * What a signal handler may do between the move and what follows it, or another thread: it needs address
 * space, and the kernel gives it the hole that the pages have left.
 */
static void allocate_in_hole(void *addr, size_t size)
{
	fake_os.hole_open = NULL;
	CHECK(size >= 2 * MIB && free_frames() == 0);
	fake_os.reserve_next = addr;
	in_the_hole = kmalloc(FRAME_SIZE);
	CHECK(in_the_hole >= addr && (char *)in_the_hole < (char *)addr + size);
	memset(in_the_hole, 0xff, FRAME_SIZE);
	kfree(in_the_hole);
	CHECK(add_piece(FRAME_SIZE / 2 + 1));
}

static void hole_is_taken_over(void)
{
	struct object o;
	void *p;

	fake_os.address_limit = 16 * MIB;
	object_stamp(&o, kmalloc(4 * MIB), 4 * MIB);
	while (free_frames())
		CHECK(add_piece(FRAME_SIZE));
	fake_os.hole_open = allocate_in_hole;
	p = krealloc(o.p, 8 * MIB);
	CHECK(p && p != o.p && in_the_hole);
	object_check_moved(&o, p, 8 * MIB);
	CHECK_THAT(kmalloc_owns(in_the_hole), "the heap forgot frames of its own");
	drop_pieces(nr_pieces - 1, nr_pieces);
	for (int i = 0; i < 32; i++) {
		void *z = kzalloc(FRAME_SIZE);

		CHECK(z);
		CHECK_THAT(object_is_zero(z, FRAME_SIZE), "zeroed memory holds what was freed");
		object_stamp(&pieces[nr_pieces++], z, FRAME_SIZE);
	}
	kfree(p);
	finish();
}

/*
 * The same beside a commit, which takes in frames that the committer does not hold: another claims them
 * and moves their pages away before the committer has noted that they are accessible.
 */
static void move_what_is_committed(void *addr, size_t size)
{
	size_t held = core_heap_frames();
	void *p, *q;

	fake_os.commit_done = NULL;
	p = kmalloc(MIB);
	CHECK(p && core_heap_frames() > held);
	memset(p, 0x77, MIB);
	in_the_hole = p;
	q = krealloc(p, 40 * MIB);
	CHECK(q && q != p);
	object_stamp(&pieces[nr_pieces++], q, 40 * MIB);
	(void)addr;
	(void)size;
}

static void commit_beside_a_move(void)
{
	CHECK(add_piece(FRAME_SIZE));
	while (fake_os.calls[OS_COMMIT] < 2) {
		fake_os.commit_done = fake_os.calls[OS_COMMIT] ? move_what_is_committed : NULL;
		CHECK(add_piece(FRAME_SIZE));
	}
	CHECK(in_the_hole);
	for (int i = 0; i < 64; i++) {
		void *z = kzalloc(FRAME_SIZE);

		CHECK(z);
		CHECK_THAT(object_is_zero(z, FRAME_SIZE), "zeroed memory holds what was freed");
		object_stamp(&pieces[nr_pieces++], z, FRAME_SIZE);
	}
	finish();
}

static struct object stranger;

/* Another thread's mapping, in address space that a failed move has left. */
static void map_stranger(void *addr, size_t size)
{
	void *p = mmap(addr, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(p == addr);
	object_stamp(&stranger, p, size);
}

static void failed_move_harms_nobody(void)
{
	struct object o;
	unsigned char vec;

	object_stamp(&o, kmalloc(2 * MIB), 2 * MIB);
	CHECK(add_piece(FRAME_SIZE));
	fake_os.target_open = map_stranger;
	fake_os.charge_limit = fake_os_charged() + MIB;
	CHECK(!krealloc(o.p, 40 * MIB));
	object_check(&o);
	if (stranger.p) {
		CHECK_THAT(!mincore(stranger.p, 4096, &vec), "the mapping of another is gone");
		object_check(&stranger);
		CHECK(!munmap(stranger.p, stranger.size));
	}
	kfree(o.p);
	finish();
}

static void *thread_allocates(void *arg)
{
	size_t *got = arg;
	void *p[64];

	for (*got = 0; *got < 64 && (p[*got] = kmalloc(100)); ++*got)
		memset(p[*got], 0x33, 100);
	for (size_t i = 0; i < *got; i++)
		kfree(p[i]);
	return NULL;
}

static size_t allocate_in_thread(void)
{
	pthread_t thread;
	size_t got;

	CHECK(!pthread_create(&thread, NULL, thread_allocates, &got));
	CHECK(!pthread_join(thread, NULL));
	return got;
}

/* A thread that starts when memory is out finds what others have given back. */
static void thread_without_memory(void)
{
	size_t got;

	while (nr_pieces < MAX_PIECES / 2)
		CHECK(add_piece(100));
	fake_os_refuse(OS_ANY);
	while (add_piece(FRAME_SIZE))
		;
	drop_pieces(0, MAX_PIECES / 4);
	kmalloc_trim();
	got = allocate_in_thread();
	CHECK_THAT(got == 64, "a new thread found %zu of 64 objects", got);
	fake_os_recover();
	CHECK(allocate_in_thread() == 64);
	finish();
}

/* Out of memory comes without a storm of calls to the kernel, also to a thread that has no record. */
static void refusal_is_cheap(void)
{
	unsigned int before;

	fake_os_refuse(OS_ANY);
	for (int i = 0; i < 2; i++) {
		before = fake_os.calls[OS_ANY];
		CHECK(!kmalloc(64));
		CHECK_THAT(fake_os.calls[OS_ANY] - before < 100, "%u calls for one NULL",
			   fake_os.calls[OS_ANY] - before);
		fake_os_recover();
		CHECK(add_piece(64));
		fake_os_refuse(OS_ANY);
		while (add_piece(FRAME_SIZE) || add_piece(64))
			;
	}
	finish();
}

static const struct scenario {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"freed_frames_serve", freed_frames_serve},
	{"freed_slabs_serve", freed_slabs_serve},
	{"shrinking_needs_no_memory", shrinking_needs_no_memory},
	{"refused_unmap_forgets_nothing", refused_unmap_forgets_nothing},
	{"hole_is_taken_over", hole_is_taken_over},
	{"commit_beside_a_move", commit_beside_a_move},
	{"failed_move_harms_nobody", failed_move_harms_nobody},
	{"thread_without_memory", thread_without_memory},
	{"refusal_is_cheap", refusal_is_cheap},
};

static void run(void *arg)
{
	((const struct scenario *)arg)->run();
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	}
	CHECK_THAT(false, "there is no scenario %s", name);
	return NULL;
}

int main(int argc, char **argv)
{
	int failed = 0;

	CHECK_THAT(argc > 1, "usage: scenarios NAME...");
	for (int i = 1; i < argc; i++) {
		struct scenario one = *find(argv[i]);
		int result = in_child(run, &one);

		printf("%s: %s\n", one.name, result ? "FAILED" : "ok");
		failed += result != 0;
	}
	return failed ? 1 : 0;
}
