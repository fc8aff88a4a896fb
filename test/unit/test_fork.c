/*
 * Children of fork take over what the threads that they do not have held. The parent's threads stand in
 * known places while it forks.
 */
#include "heap.h"

#include "core/options.h"

#define PER_THREAD 300U
#define NR_PARKED 3U
#define SIZE 192U

/* The search for leaks looks for the threads of the parent. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

#define NO_WIPING "qemu does not wipe pages in children"

struct parked {
	void *objects[PER_THREAD];
	struct thread *record;
	struct kmem_cache *busy; /* whose lock it holds while it stands */
};

static struct parked parked[NR_PARKED];
static pthread_t threads[NR_PARKED];
static pthread_barrier_t arrive, leave;

/* Every second object is free: in the sheaf, and in partial slabs. */
static void *park(void *arg)
{
	struct parked *p = arg;

	for (unsigned int i = 0; i < PER_THREAD; i++)
		must(p->objects[i] = kmalloc(SIZE));
	for (unsigned int i = 1; i < PER_THREAD; i += 2)
		kfree(p->objects[i]);
	p->record = current_thread;
	if (p->busy)
		hold_lock(p->busy);
	pthread_barrier_wait(&arrive);
	pthread_barrier_wait(&leave);
	if (p->busy)
		drop_lock(p->busy);
	for (unsigned int i = 0; i < PER_THREAD; i += 2)
		kfree(p->objects[i]);
	return NULL;
}

static void park_threads(struct kmem_cache *busy)
{
	pthread_barrier_init(&arrive, NULL, NR_PARKED + 1);
	pthread_barrier_init(&leave, NULL, NR_PARKED + 1);
	for (unsigned int i = 0; i < NR_PARKED; i++) {
		parked[i].busy = busy;
		must(!pthread_create(&threads[i], NULL, park, &parked[i]));
	}
	pthread_barrier_wait(&arrive);
}

static void let_threads_go(void)
{
	pthread_barrier_wait(&leave);
	for (unsigned int i = 0; i < NR_PARKED; i++)
		pthread_join(threads[i], NULL);
}

static void assert_good(const struct child *child)
{
	if (child->status || child->err[0])
		print_error("status %#x, stderr: %s\n", (unsigned int)child->status, child->err);
	assert_int_equal(child->status, 0);
	assert_string_equal(child->err, "");
}

/* Forks while the threads stand. What the child did is to be judged when they are gone. */
static const struct child *run_beside_parked(struct kmem_cache *busy, void (*fn)(void *), void *arg)
{
	static struct child child;

	park_threads(busy);
	run_child(&child, fn, arg);
	let_threads_go();
	return &child;
}

static const struct kmem_cache *cache(void)
{
	return kmalloc_cache(SIZE);
}

static void check_objects_of_parked(void)
{
	for (unsigned int k = 0; k < NR_PARKED; k++) {
		for (unsigned int i = 0; i < PER_THREAD; i += 2)
			must(ksize(parked[k].objects[i]) == SIZE);
	}
}

static void reuse_what_they_had(void *arg)
{
	uint64_t in_use = objects_in_use(cache()), slabs = slabs_of(cache());
	unsigned int n = NR_PARKED * PER_THREAD / 2;

	(void)arg;
	must(in_use == NR_PARKED * PER_THREAD / 2);
	for (unsigned int i = 0; i < n; i++)
		must(kmalloc(SIZE));
	/* All of it fits into what the others' slabs have free. */
	must(slabs_of(cache()) <= slabs + 1);
	must(objects_in_use(cache()) == in_use + n);
	for (unsigned int i = 0; i < NR_PARKED; i++)
		must(parked[i].record->process == 0);
	check_objects_of_parked();
	for (unsigned int k = 0; k < NR_PARKED; k++) {
		for (unsigned int i = 0; i < PER_THREAD; i += 2)
			kfree(parked[k].objects[i]);
	}
	must(objects_in_use(cache()) == n);
}

static void a_child_takes_over(void **state)
{
	static struct child child;

	(void)state;
	skip_if(UNDER_EMULATOR, NO_WIPING);
	kfree(kmalloc(16));
	park_threads(NULL);
	run_child(&child, reuse_what_they_had, NULL);
	/* The parent saw nothing of it. */
	for (unsigned int i = 0; i < NR_PARKED; i++)
		must(parked[i].record->process == getpid());
	must(objects_in_use(cache()) == NR_PARKED * PER_THREAD / 2);
	let_threads_go();
	assert_good(&child);
	assert_int_equal(objects_in_use(cache()), 0);
}

static void work_without_the_busy(void *arg)
{
	struct kmem_cache *busy = arg;
	void *objects[100];

	for (unsigned int i = 0; i < 100; i++)
		must(objects[i] = kmalloc(busy->size));
	for (unsigned int i = 0; i < 100; i++)
		must(kmalloc(64));
	check_objects_of_parked();
	/* Into slabs of threads that are gone. */
	for (unsigned int k = 0; k < NR_PARKED; k++) {
		for (unsigned int i = 0; i < PER_THREAD; i += 2)
			kfree(parked[k].objects[i]);
	}
	for (unsigned int i = 0; i < 100; i++)
		kfree(objects[i]);
}

/* A thread stood in the middle of the cache: what it held there is left alone, and all else works. */
static void a_held_lock_is_respected(void **state)
{
	struct kmem_cache *busy = kmalloc_cache(SIZE);

	(void)state;
	assert_good(run_beside_parked(busy, work_without_the_busy, busy));
	assert_int_equal(objects_in_use(cache()), 0);
}

static void fork_again(void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		reuse_what_they_had(arg);
		exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0);
	reuse_what_they_had(arg);
}

/* Forked before the child has allocated anything, and so before it took over. */
static void a_grandchild_takes_over(void **state)
{
	(void)state;
	skip_if(UNDER_EMULATOR, NO_WIPING);
	assert_good(run_beside_parked(NULL, fork_again, NULL));
}

static void *own_object;

static void *allocate_in_thread(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 2000; i++)
		must(kmalloc(SIZE));
	return NULL;
}

/* The first to need a slab is another thread than that which forked: that one's record is its own still. */
static void let_a_thread_begin(void *arg)
{
	struct thread *record = current_thread;
	struct free_object *sheaf = own_cpu(cache())->freelist;
	uint32_t room = sheaf_room(cache());

	(void)arg;
	run_thread(allocate_in_thread, NULL);
	must(current_thread == record && record->process != 0);
	must(own_cpu(cache())->freelist == sheaf && sheaf_room(cache()) == room);
	kfree(own_object);
	for (unsigned int i = 0; i < 1000; i++)
		must(kmalloc(SIZE));
	check_objects_of_parked();
}

static void who_forked_keeps_its_record(void **state)
{
	const struct child *child;

	(void)state;
	skip_if(UNDER_TSAN, "ThreadSanitizer takes the child's threads for those of the parent");
	skip_if(UNDER_EMULATOR, "qemu's child has no more than one thread");
	own_object = kmalloc(SIZE);
	child = run_beside_parked(NULL, let_a_thread_begin, NULL);
	kfree(own_object);
	assert_good(child);
}

/* By clone(), behind the C library's back: no atfork handler would run. */
static void a_raw_fork_is_noticed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	skip_if(UNDER_TSAN || UNDER_ASAN, "the sanitizers' own state does not survive it");
	skip_if(UNDER_EMULATOR, NO_WIPING);
	park_threads(NULL);
	pid = _Fork();
	if (pid == 0) {
		reuse_what_they_had(NULL);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid);
	let_threads_go();
	assert_int_equal(status, 0);
}

static void *fork_here(void *arg)
{
	run_child(arg, reuse_what_they_had, NULL);
	return NULL;
}

/* From a thread that is not the first. */
static void any_thread_may_fork(void **state)
{
	static struct child child;

	(void)state;
	skip_if(UNDER_EMULATOR, NO_WIPING);
	park_threads(NULL);
	run_thread(fork_here, &child);
	let_threads_go();
	assert_good(&child);
	assert_int_equal(objects_in_use(cache()), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_takes_over),
		cmocka_unit_test(a_held_lock_is_respected),
		cmocka_unit_test(a_grandchild_takes_over),
		cmocka_unit_test(who_forked_keeps_its_record),
		cmocka_unit_test(a_raw_fork_is_noticed),
		cmocka_unit_test(any_thread_may_fork),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
