/*
 * Threads' records: claimed at a thread's first allocation, flushed and passed on at its end. Layer:
 * thread; see thread.h.
 *
 * A record is a frame. All records are on a list that only grows; those of ended threads are on a
 * frame_stack, from which a new thread takes one. Taking, making and passing on are complete or undone
 * at every instruction that a handler could interrupt, in the sense that a handler which needs a record
 * of its own meanwhile gets one, and the interrupted frame then returns its own.
 *
 * After fork the child has one thread, but the records of all. A page that the kernel wipes in the child
 * tells, at the next slow path of the thread that forked, which the kernel made the first of its process.
 * It flushes the records that threads of another process claimed, and mends what they were in the middle of.
 * The page's second word is the first process that claimed a record since: a vfork child, which has its
 * own number but its parent's memory, must not take that for its own. No atfork handler is needed, and
 * _Fork() and clone() are covered; vfork() shares memory, and the page.
 */
#include "thread.h"
#include "frame.h"
#include "frame_stack.h"
#include "caches.h"
#include "slab.h"

struct thread thread_fresh;
struct thread thread_gone;
_Thread_local struct thread *current_thread = &thread_fresh;

static early_data struct frame_stack ended;
static early_data _Atomic(struct thread *) all_threads;

/* What the kernel wipes in the child of a fork. */
struct fork_page {
	_Atomic int
		taken_over; /* 0: the parent's threads' records are to be flushed; -pid: under way; 1: done */
	_Atomic int pid; /* the process that claimed a record since; 0: none */
};
static early_data _Atomic(struct fork_page *) fork_page;

static void fork_page_create(void)
{
	struct fork_page *page, *none = NULL;

	if (atomic_load_explicit(&fork_page, memory_order_relaxed))
		return;
	page = os_map(os_page_size());
	if (!page)
		return;
	atomic_init(&page->taken_over, 1);
	if (!os_wipe_on_fork(page, os_page_size()) ||
	    !atomic_compare_exchange_strong(&fork_page, &none, page))
		os_unmap(page, os_page_size());
}

static struct thread *thread_create(void)
{
	bool zeroed;
	struct thread *t = frame_alloc(1, 1, &zeroed);
	struct slab *frame;

	if (!t)
		return NULL;
	/* The first thread's fork leaves no other's record behind. */
	if (atomic_load_explicit(&all_threads, memory_order_relaxed)) {
		fork_page_create();
		thread_note_company();
	}
	if (!zeroed && !os_purge(t, FRAME_SIZE))
		__builtin_memset(t, 0, sizeof(*t));
	frame = virt_to_slab(t);
	frame->base = (uintptr_t)t;
	frame->nr_frames = 1;
	frame->kind = FRAME_THREAD;
	t->all = atomic_load_explicit(&all_threads, memory_order_relaxed);
	/* Release pairs with the acquire in for_each_thread(): publishes *t. */
	while (!atomic_compare_exchange_weak_explicit(&all_threads, &t->all, t,
						      memory_order_release, memory_order_relaxed))
		;
	return t;
}

#define for_each_thread(t) \
	for ((t) = atomic_load_explicit(&all_threads, memory_order_acquire); (t); (t) = (t)->all)

/*
 * Notes the process that claims records. A fork in between, by a handler, leaves the parent's number in the
 * child's page: that is seen, and taken back.
 */
static int note_process(void)
{
	struct fork_page *page = atomic_load_explicit(&fork_page, memory_order_acquire);
	int pid = os_getpid();

	while (page) {
		int none = 0, noted = pid;

		if (!atomic_compare_exchange_strong(&page->pid, &none, pid))
			break;
		pid = os_getpid();
		if (pid == noted)
			break;
		atomic_compare_exchange_strong(&page->pid, &noted, 0);
	}
	return pid;
}

/* The record is nobody's until it is the thread's: a take-over in between must not touch it. */
static struct thread *thread_claim(void)
{
	struct slab *frame = frame_stack_pop(&ended);
	struct thread *t = frame ? (struct thread *)frame->base : thread_create();

	if (t) {
		t->hooked = 0;
		t->colour = numa_is_on() ? numa_colour(numa_home()) : 0;
	}
	return t;
}

static void thread_exit_hook(void *arg)
{
	thread_exit(arg);
}

/*
 * The C library may allocate for it: not again while it is under way. Refused, it is tried at the next call;
 * after a handler has jumped out of it, some calls later.
 */
static void thread_hook(struct thread *t)
{
	if (t->hooked++ % 64)
		return;
	t->hooked = os_at_thread_exit(thread_exit_hook, t) ? HOOK_DONE : 0;
}

struct thread *thread_current(void)
{
	struct thread *t = current_thread, *expected = &thread_fresh;
	int pid;

	if (likely(t != &thread_fresh)) {
		if (t == &thread_gone)
			return NULL;
		if (unlikely(t->hooked != HOOK_DONE))
			thread_hook(t);
		return t;
	}
	t = thread_claim();
	if (!t)
		return NULL;
	pid = note_process();
	/* Atomic against a handler on this thread, which may have got itself a record by now. */
	if (!__atomic_compare_exchange_n(&current_thread, &expected, t, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED)) {
		frame_stack_push(&ended, virt_to_slab(t));
		return expected;
	}
	atomic_store_explicit(&t->process, pid, memory_order_release);
	thread_hook(t);
	return t;
}

/* 0: the thread never used the cache. */
static bool has_used(struct thread *t, const struct kmem_cache *s)
{
	return thread_cpu(t, s->cpu_offset)->local_lock != 0;
}

static void __flush(struct thread *t, struct kmem_cache *s)
{
	/* By what is the slot's own: a destroyed cache's may be getting another. */
	if (!s->lists_offset)
		__thread_flush_runs(t, s);
	else
		__thread_flush(t, s);
}

bool thread_flush(struct thread *t, struct kmem_cache *s)
{
	struct local_hold hold;

	if (!has_used(t, s))
		return true;
	if (!local_trylock(t, s, &hold))
		return false;
	__flush(t, s);
	local_unlock(t, thread_cpu(t, s->cpu_offset));
	return true;
}

bool thread_flush_all(struct thread *t)
{
	struct kmem_cache *s;
	bool all = true;

	for_each_cache(s, i) all &= thread_flush(t, s);
	for_each_run_cache(s) all &= thread_flush(t, s);
	return all;
}

static void flush_ended(struct thread *t, struct kmem_cache *s)
{
	struct local_hold hold;

	if (!has_used(t, s))
		return;
	local_seize(t, s, &hold);
	__flush(t, s);
	local_unlock(t, thread_cpu(t, s->cpu_offset));
}

/* The record of a thread that runs no more, for the next one. Whatever it was in the middle of is over. */
static void thread_pass_on(struct thread *t)
{
	struct kmem_cache *s;

	for_each_cache(s, i) flush_ended(t, s);
	for_each_run_cache(s) flush_ended(t, s);
	frame_stack_push(&ended, virt_to_slab(t));
}

/* How often all is flushed where some of it is held by who was interrupted. */
#define MANY_TRIES 16

void thread_check_destroyed(struct thread *t)
{
	uint32_t destroyed = atomic_load_explicit(&nr_destroyed, memory_order_acquire);
	struct kmem_cache *s;

	bool all = true;

	if (likely(t->destroyed_seen == destroyed))
		return;
	for_each_cache(s, i)
	{
		if (!s->refcount)
			all &= thread_flush(t, s);
	}
	/* Not before: what a handler ends, or was in the way of, the next slow path does. */
	if (all || ++t->destroyed_tries == MANY_TRIES) {
		t->destroyed_seen = destroyed;
		t->destroyed_tries = 0;
	}
}

void thread_check_nodes(struct thread *t)
{
	uint32_t left = atomic_load_explicit(&numa_nr_left, memory_order_acquire);

	if (likely(t->left_seen == left))
		return;
	/* A lock may be held for good, as far as can be known. */
	if (thread_flush_all(t) || ++t->left_tries == MANY_TRIES) {
		t->left_seen = left;
		t->left_tries = 0;
	}
}

/* Another thread may be changing its sheaf: then the answer is one of the past, or 0. */
racy_reader static uint32_t sheaf_length(struct thread *t, const struct kmem_cache *s)
{
	const struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	const struct free_object *top = load_folded(c->freelist);
	union free_state state;
	uint32_t size;

	if (freelist_is_end(s, top) || !may_be_free_object(s, top))
		return 0;
	state.word = load_folded(top->state.word);
	size = (uint32_t)s->sheaf << load_folded(c->grade);
	return state.mark == FREE_MARK && state.room < size ? size - state.room : 0;
}

uint32_t thread_count_free(const struct kmem_cache *s)
{
	uint32_t n = 0;
	struct thread *t;

	for_each_thread(t) n += sheaf_length(t, s);
	return n;
}

racy_reader uint32_t thread_count_runs(const struct kmem_cache *s, uint64_t *bytes,
				       uint64_t *frames)
{
	uint32_t n = 0;
	struct thread *t;

	*bytes = *frames = 0;
	for_each_thread(t)
	{
		const struct free_object *fo = thread_cpu(t, s->cpu_offset)->freelist;
		uint32_t most = (uint32_t)s->sheaf << s->max_grade;

		for (; most && !freelist_is_end(s, fo) && may_be_free_object(s, fo); most--) {
			*bytes += load_folded(virt_to_slab(fo)->limit);
			*frames += load_folded(virt_to_slab(fo)->nr_frames);
			n++;
			fo = fo->next;
		}
	}
	return n;
}

racy_reader bool thread_has_free(const struct kmem_cache *s, const struct free_object *fo)
{
	struct thread *t;

	for_each_thread(t)
	{
		struct kmem_cache_lists *l = s->lists_offset ? thread_lists(t, s) : NULL;
		uint32_t most = (uint32_t)s->sheaf << s->max_grade;

		if (freelist_has(thread_cpu(t, s->cpu_offset)->freelist, fo, most))
			return true;
		if (l && (freelist_has(l->moving, fo, most) || freelist_has(l->flushing, fo, most)))
			return true;
	}
	return false;
}

/*
 * By CAS from the process's number, which no later owner can have: of two takers, one nested in the other, each
 * record has one.
 */
static void thread_take_over(const struct thread *self, int pid)
{
	struct thread *t;

	for_each_thread(t)
	{
		int process = atomic_load_explicit(&t->process, memory_order_acquire);

		if (t != self && process != 0 && process != pid &&
		    atomic_compare_exchange_strong(&t->process, &process, 0))
			thread_pass_on(t);
	}
}

/* Is it the process's own thread that forked, and has it claimed its memory's page? */
static bool may_take_over(struct fork_page *page, int pid)
{
	int owner = atomic_load_explicit(&page->pid, memory_order_relaxed), none = 0;

	if (os_gettid() != pid || (owner && owner != pid))
		return false;
	atomic_compare_exchange_strong(&page->taken_over, &none, -pid);
	/* A handler has forked in between: it is another process's page. */
	if (os_getpid() != pid) {
		none = -pid;
		atomic_compare_exchange_strong(&page->taken_over, &none, 0);
	}
	return atomic_load_explicit(&page->taken_over, memory_order_relaxed) == -pid;
}

void thread_check_fork(struct thread *t)
{
	struct fork_page *page = atomic_load_explicit(&fork_page, memory_order_acquire);
	int pid, under_way;

	if (likely(!page || atomic_load_explicit(&page->taken_over, memory_order_relaxed) == 1))
		return;
	pid = os_getpid();
	if (!may_take_over(page, pid))
		return;
	atomic_store_explicit(&t->process, pid, memory_order_relaxed);
	thread_take_over(t, pid);
	/* Not before: a handler may jump out of it, or fork in it, and then the next slow path begins anew. */
	under_way = -pid;
	atomic_compare_exchange_strong(&page->taken_over, &under_way, 1);
}

/* First without a record: a handler that comes now leaves nothing in it. */
void thread_exit(struct thread *t)
{
	thread_check_fork(t);
	current_thread = &thread_gone;
	barrier();
	atomic_store_explicit(&t->process, 0, memory_order_relaxed);
	thread_pass_on(t);
}
