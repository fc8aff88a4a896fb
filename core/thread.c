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
 * It flushes the records that threads of another process claimed, save the caches whose lock was held. No atfork handler is needed, and _Fork() and clone() are covered;
 * vfork() shares memory, and the page.
 */
#include "thread.h"
#include "frame.h"
#include "frame_stack.h"
#include "caches.h"
#include "slab.h"

struct thread thread_fresh;
struct thread thread_gone;
_Thread_local struct thread *current_thread = &thread_fresh;

static struct frame_stack ended;
static _Atomic(struct thread *) all_threads;
static _Atomic(_Atomic uint32_t *)
	fork_page; /* its first word: 1; 0 in a child that has to take over */

static void fork_page_create(void)
{
	_Atomic uint32_t *page, *none = NULL;

	if (atomic_load_explicit(&fork_page, memory_order_relaxed))
		return;
	page = os_map(os_page_size());
	if (!page)
		return;
	atomic_init(page, 1);
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
	if (atomic_load_explicit(&all_threads, memory_order_relaxed))
		fork_page_create();
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

static struct thread *thread_claim(void)
{
	struct slab *frame = frame_stack_pop(&ended);
	struct thread *t = frame ? (struct thread *)frame->base : thread_create();

	if (!t)
		return NULL;
	t->pid = os_getpid();
	atomic_store_explicit(&t->state, THREAD_LIVE, memory_order_relaxed);
	return t;
}

static void thread_pass_on(struct thread *t)
{
	atomic_store_explicit(&t->state, THREAD_ENDED, memory_order_relaxed);
	frame_stack_push(&ended, virt_to_slab(t));
}

static void thread_exit_hook(void *arg)
{
	thread_exit(arg);
}

struct thread *thread_current(void)
{
	struct thread *t = current_thread, *expected = &thread_fresh;

	if (likely(t != &thread_fresh))
		return t == &thread_gone ? NULL : t;
	t = thread_claim();
	if (!t)
		return NULL;
	/* Atomic against a handler on this thread, which may have got itself a record by now. */
	if (!__atomic_compare_exchange_n(&current_thread, &expected, t, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED)) {
		thread_pass_on(t);
		return expected;
	}
	os_at_thread_exit(thread_exit_hook, t);
	return t;
}

void thread_flush(struct thread *t, struct kmem_cache *s)
{
	/* 0: the thread never used the cache. */
	if (!thread_cpu(t, s->cpu_offset)->local_lock || !local_trylock(t, s))
		return;
	__thread_flush(t, s);
	local_unlock(t, thread_cpu(t, s->cpu_offset));
}

void thread_flush_all(struct thread *t)
{
	struct kmem_cache *s;

	for_each_cache(s, i) thread_flush(t, s);
}

void thread_check_destroyed(struct thread *t)
{
	uint32_t destroyed = atomic_load_explicit(&nr_destroyed, memory_order_acquire);
	struct kmem_cache *s;

	if (likely(t->destroyed_seen == destroyed))
		return;
	t->destroyed_seen = destroyed;
	for_each_cache(s, i)
	{
		if (!s->refcount)
			thread_flush(t, s);
	}
}

/* Another thread may be changing its sheaf: what it never had is room for more than fits. */
static uint32_t sheaf_length(struct thread *t, const struct kmem_cache *s)
{
	const struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	uint32_t room = load_folded(c->room);

	return load_folded(c->local_lock) && room < s->sheaf ? s->sheaf - room : 0;
}

uint32_t thread_count_free(const struct kmem_cache *s)
{
	uint32_t n = 0;
	struct thread *t;

	for_each_thread(t) n += sheaf_length(t, s);
	return n;
}

bool thread_has_free(const struct kmem_cache *s, const struct free_object *fo)
{
	struct thread *t;

	for_each_thread(t)
	{
		if (freelist_has(thread_cpu(t, s->cpu_offset)->freelist, fo, s->sheaf))
			return true;
	}
	return false;
}

static void thread_take_over(const struct thread *self, int pid)
{
	struct thread *t;

	for_each_thread(t) {
		if (t == self || t->pid == pid ||
		    atomic_load_explicit(&t->state, memory_order_relaxed) != THREAD_LIVE)
			continue;
		thread_flush_all(t);
		thread_pass_on(t);
	}
}

void thread_check_fork(struct thread *t)
{
	_Atomic uint32_t *page = atomic_load_explicit(&fork_page, memory_order_relaxed);
	uint32_t wiped = 0;
	int pid;

	if (likely(!page || atomic_load_explicit(page, memory_order_relaxed)))
		return;
	pid = os_getpid();
	if (os_gettid() != pid)
		return;
	t->pid = pid;
	if (atomic_compare_exchange_strong(page, &wiped, 1))
		thread_take_over(t, pid);
}

void thread_exit(struct thread *t)
{
	thread_check_fork(t);
	thread_flush_all(t);
	current_thread = &thread_gone;
	barrier();
	thread_pass_on(t);
}
