/*
 * How long sheaves may be. Layer: thread; see thread.h. Called where one overflows, or is given up.
 *
 * Beyond MUCH a sheaf's objects are memory that a thread which then sleeps would keep from all others: of what all
 * threads' sheaves may hold beyond it together there is no more than MOST.
 */
#include "thread.h"

#define MUCH ((size_t)512 << 10)
#define MOST ((size_t)32 << 20)

/* Sheaves of mixed runs, of 8 MiB at most, that may be open at a time: as much again. */
#define MOST_OPEN 4U

static _Atomic size_t beyond; /* bytes; a call that never comes back may leave its own */
/* Records, by frame number; 0: none. One whose sheaf is closed has no place: so none is lost with a call that is left. */
static _Atomic uint32_t open_by[MOST_OPEN];

/* Of what a sheaf of that grade can hold. The slot may be getting another cache. */
racy_reader static size_t bytes_beyond(const struct kmem_cache *s, uint32_t grade)
{
	size_t bytes = ((size_t)s->sheaf << grade) * s->size;

	return bytes > MUCH ? bytes - MUCH : 0;
}

static bool charge(const struct kmem_cache *s, uint32_t grade)
{
	size_t more = bytes_beyond(s, grade + 1) - bytes_beyond(s, grade);

	if (!more)
		return true;
	if (atomic_fetch_add_explicit(&beyond, more, memory_order_relaxed) + more <= MOST)
		return true;
	atomic_fetch_sub_explicit(&beyond, more, memory_order_relaxed);
	return false;
}

/* Was it empty since it overflowed last, and for the how manieth time? Frees that go past it count from here on. */
bool sheaf_grows(struct kmem_cache_cpu *c, const struct kmem_cache *s)
{
	uint32_t swings = (c->swings & ~SWING_BEGUN) + 1;

	if (!(c->swings & SWING_BEGUN))
		return false;
	/* Never 0 where it can't grow: that it swings is known by it. */
	if (swings == MANY_SWINGS)
		swings = c->grade < s->max_grade ? 0 : 1;
	c->swings = (uint8_t)swings;
	c->idle = sheaf_patience(c, s);
	return swings == 0 && charge(s, c->grade);
}

void sheaf_shrinks(struct kmem_cache_cpu *c, const struct kmem_cache *s)
{
	size_t less = bytes_beyond(s, c->grade);

	c->grade = 0;
	/* A slot that another cache has taken since may have charged less. */
	if (less && atomic_fetch_sub_explicit(&beyond, less, memory_order_relaxed) < less)
		atomic_store_explicit(&beyond, 0, memory_order_relaxed);
}

/* A suspicion: it may be about to open, or has just closed. */
racy_reader static bool is_taken(uint32_t by)
{
	const struct thread *t = (struct thread *)((uintptr_t)by << FRAME_SHIFT);

	return t && t->run_cpu[RUNS_MIXED].grade;
}

/* A thread's own place is its own as long as nobody has taken it over. */
bool mixed_opens(struct thread *t)
{
	uint32_t me = frame_number((uintptr_t)t), by;

	for (uint32_t i = 0; i < MOST_OPEN; i++) {
		if (atomic_load_explicit(&open_by[i], memory_order_relaxed) == me)
			return true;
	}
	for (uint32_t i = 0; i < MOST_OPEN; i++) {
		by = atomic_load_explicit(&open_by[i], memory_order_relaxed);
		if (!is_taken(by) && atomic_compare_exchange_strong_explicit(&open_by[i], &by, me,
									     memory_order_relaxed,
									     memory_order_relaxed))
			return true;
	}
	return false;
}
