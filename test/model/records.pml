/*
 * Threads' records: claimed at a thread's first use, passed on at its end, and after a fork taken over
 * by the thread that forked; with a handler that interrupts that thread at any step, and itself needs a
 * record, or forks.
 *
 *   here               in core/
 *   thread_current     thread.c   thread_current(), thread_claim()
 *   push, pass_on      thread.c   thread_pass_on(): a class that was held is seized and mended, which is
 *                                 abandon.pml's; the stack `ended` has one step for a push and one for
 *                                 a pop, partial.pml has the steps
 *   check_fork         thread.c   thread_check_fork()
 *   take_over          thread.c   thread_take_over()
 *   thread_exit        thread.c   thread_exit()
 *   refill             kmem_cache.c  cache_try_alloc(), __refill(): under the lock of a class, which then
 *                                 holds a slab more; a class whose lock is held is passed over
 *   fork               the kernel: all other threads are gone, the page is wiped, the pid is new
 *
 * Thread 1 is the first of its process, thread 2 lives beside it and may be gone at any step; the child
 * has a further one, 3, which may begin before thread 1 knows that it is a child. The handler on thread 1
 * runs to its end while thread 1 stands still. Two forks at most: the child of a child is among the cases.
 *
 * Proved: a record is on the stack once, and then nobody's; it has one user; the record of a live thread
 * is not flushed by another; a record on the stack has no slabs and no lock held; and every record is
 * there in the end, but for those that a thread had in its hands when it was gone.
 */
#include "common.pml"

#define THREADS 3
#define RECORDS 4
#define CLASSES 2
#ifdef PROGRESS
#define MAX_FORKS 1
#else
#define MAX_FORKS 2
#endif
#define HANDLER 3 /* its `me`; the threads 1, 2, 3 have 1, 2, 4 */
#define PROCESSES 4
#define WIPED 0
#define DONE 255

/* current_thread of each thread; else a record. */
#define FRESH 0
#define GONE 255
byte current[THREADS + 1];

typedef record {
	bool live; /* thread->state */
	byte process; /* thread->pid */
	bool lock[CLASSES];
	bool slabs[CLASSES]; /* it holds some */
	bool on_stack
}

record records[RECORDS + 1];
byte nr_records;
byte page = DONE;  /* fork_page->taken_over; a process: it has begun */
byte page_process; /* fork_page->pid */
byte process = 1; /* getpid() */

/* The world. */
bool gone[THREADS + 1];
bool in_handler;
bool first_ended;
byte forks;

/* Ghosts. */
byte hand[PROCESSES + 1];   /* the record that a process has claimed, or is about to push */
bool lost[RECORDS + 1];   /* it was in the hands of a thread when that was gone */
bool too_late;            /* the last fork came when thread 1 had looked for the last time */
bool looked;

#define TID_OF(who) ((who) == HANDLER -> 1 : ((who) == 4 -> 3 : (who)))

/* Nobody else that is alive has the record. Within a step. */
inline check_alone(r)
{
	i = 1;
	do
	:: i <= THREADS ->
		assert(gone[i] || i == tid || current[i] != r);
		i++
	:: else -> break
	od;
	i = 1;
	do
	:: i <= PROCESSES ->
		assert(i == me || gone[TID_OF(i)] || hand[i] != r);
		i++
	:: else -> break
	od;
	i = 0
}

/* Onto the stack. */
inline push(r)
{
	atomic {
		check_alone(r);
		assert(!records[r].on_stack && current[tid] != r);
		assert(!records[r].slabs[0] && !records[r].slabs[1]);
		assert(!records[r].lock[0] && !records[r].lock[1]);
		records[r].on_stack = true;
		hand[me] = 0
	}
}

/* Each class is seized, whoever held it, and flushed. */
inline pass_on(r)
{
	do
	:: atomic { class == CLASSES -> class = 0; break }
#ifdef MUTANT_HELD_PASSED_OVER
	:: atomic { class < CLASSES && records[r].lock[class] -> class++ }
#endif
	:: atomic { else -> records[r].lock[class] = true };
		atomic { check_alone(r); records[r].slabs[class] = 0 };
		atomic { records[r].lock[class] = false; class++ }
	od;
	push(r)
}

/* Any of the stack; or a new one. */
inline pop_or_create(r)
{
	if
	:: records[1].on_stack -> r = 1
	:: records[2].on_stack -> r = 2
	:: records[3].on_stack -> r = 3
	:: else -> nr_records++; r = nr_records
	fi;
	records[r].on_stack = false;
	hand[me] = r
}

inline become_current()
{
#ifdef MUTANT_PLAIN_STORE
	current[tid] = t;
	hand[me] = 0;
	ok = true
#else
	if
	:: current[tid] == FRESH -> current[tid] = t; hand[me] = 0; ok = true
	:: else
	fi
#endif
}

/* Sets t; 0: the thread is past its end. */
inline thread_current()
{
	t = current[tid];
	if
	:: atomic { t == FRESH -> pop_or_create(t) };
		records[t].process = process;
		atomic { page_process = (page_process -> page_process : process) };
#ifdef MUTANT_LIVE_TOO_EARLY
		records[t].live = true;
#endif
		atomic { become_current() };
		if
		:: atomic { ok -> ok = false; records[t].live = true }
		:: else ->
#ifdef MUTANT_LIVE_TOO_EARLY
			records[t].live = false;
#endif
			push(t);
			t = current[tid]
		fi
	:: atomic { else -> t = (t == GONE -> 0 : t) }
	fi
}

/* Another process's record, and still LIVE. Sets `ok`. */
inline is_left_behind(r)
{
	if
	:: r == t
	:: else ->
		if
		:: atomic { records[r].live -> skip };
#ifdef MUTANT_NO_PID
			ok = true
#else
			ok = records[r].process != self
#endif
		:: else
		fi
	fi
}

/* By CAS of the word that has both. */
#if defined(MUTANT_TWO_WORDS) || defined(MUTANT_NO_PID)
#define IS_THE_SAME(r) records[r].live
#else
#define IS_THE_SAME(r) (records[r].live && records[r].process != self)
#endif

inline end_record(r)
{
	atomic {
		if
		:: IS_THE_SAME(r) -> records[r].live = false; hand[me] = r
		:: else -> ok = false
		fi
	}
}

inline take_over()
{
	n = 1;
	do
	:: atomic { n > nr_records -> n = 0; break }
	:: else ->
		is_left_behind(n);
#ifdef MUTANT_ENDED_TOO_LATE
		if
		:: ok -> pass_on(n); records[n].live = false
		:: else
		fi;
#else
		if
		:: ok ->
			end_record(n);
			if
			:: ok -> pass_on(n)
			:: else
			fi
		:: else
		fi;
#endif
		atomic { n++; ok = false }
	od
}

/* Only by the first thread of the process: the one that forked. */
#ifdef MUTANT_ANY_THREAD
#define MAY_TAKE_OVER true
#else
#define MAY_TAKE_OVER (tid == 1)
#endif

/* A fork within wipes the page: then what is done is not done in the child. */
inline check_fork()
{
	if
	:: atomic { page != DONE && MAY_TAKE_OVER -> self = process };
		assert(!page_process || page_process == self);
		records[t].process = self;
#ifdef MUTANT_DONE_BY_STORE
		take_over();
		atomic { page = DONE; self = 0 }
#else
		page = (page == WIPED -> self : page);
		if
		:: atomic { process == self -> skip };
			take_over();
			page = (page == self -> DONE : page)
		:: atomic { else -> page = (page == self -> WIPED : page) }
		fi;
		self = 0
#endif
	:: else
	fi
}

/* In the first class whose lock is free. */
inline refill()
{
	do
	:: atomic { mine == CLASSES -> mine = 0; break }
#ifdef MUTANT_WAIT
	:: atomic { mine < CLASSES && records[t].lock[mine] -> skip }
#else
	:: atomic { mine < CLASSES && records[t].lock[mine] -> mine++ }
#endif
	:: atomic { else -> records[t].lock[mine] = true };
		check_fork();
		atomic {
			check_alone(t);
			assert(!records[t].on_stack);
			records[t].slabs[mine] = 1
		};
		atomic { records[t].lock[mine] = false; mine = 0; break }
	od
}

inline thread_exit()
{
	looked = looked || tid == 1;
	check_fork();
#ifdef MUTANT_GONE_TOO_LATE
	atomic { records[t].slabs[0] = 0; records[t].slabs[1] = 0 };
	atomic { current[tid] = GONE; hand[me] = t };
	records[t].live = false;
	push(t)
#else
	atomic { current[tid] = GONE; hand[me] = t };
	records[t].live = false;
	pass_on(t)
#endif
}

/* By thread 1. */
inline fork()
{
	d_step {
		i = 1;
		do
		:: i <= PROCESSES ->
			if
			:: TID_OF(i) != 1 && !gone[TID_OF(i)] ->
				gone[TID_OF(i)] = true;
				n = current[TID_OF(i)];
				if
				:: n != FRESH && n != GONE && !records[n].live -> lost[n] = true
				:: else
				fi;
				lost[hand[i]] = true
			:: else
			fi;
			i++
		:: else -> break
		od;
		page = WIPED;
		page_process = 0;
		process++;
		forks++;
		too_late = looked;
		i = 0;
		n = 0
	}
}

#define LOCALS \
	byte t, i, n, class, mine, self; \
	bool ok

proctype later() provided (!gone[3])
{
	byte tid = 3;
	byte me = 4;
	LOCALS;

	thread_current();
	refill();
	thread_exit()
}

proctype first() provided (!in_handler)
{
	byte tid = 1;
	byte me = 1;
	LOCALS;

	thread_current();
	refill();
	if
	:: true ->
		fork();
		atomic {
			gone[3] = false;
			run later()
		};
		refill()
	:: true
	fi;
	thread_exit();
	first_ended = true
}

proctype second() provided (!gone[2])
{
	byte tid = 2;
	byte me = 2;
	LOCALS;

	thread_current();
	refill();
	thread_exit()
}

proctype handler()
{
	byte tid = 1;
	byte me = 3;
	LOCALS;

	/* At any time, or never. */
	atomic {
		if
		:: first_ended -> goto too_late_to_interrupt
		:: else -> in_handler = true
		fi
	};
	if
	:: forks < MAX_FORKS -> fork()
	:: true
	fi;
	thread_current();
	if
	:: t -> refill()
	:: true
	fi;
	in_handler = false;
too_late_to_interrupt:
	skip
}

init {
	byte i;

	atomic {
		gone[3] = true;
		run first();
		run second();
		run handler()
	};
	timeout;
	d_step {
		assert(first_ended && !in_handler);
		assert(gone[2] || current[2] == GONE);
		assert(gone[3] || current[3] == GONE);
		assert(too_late || page == DONE);
		i = 1;
		do
		:: i > nr_records -> break
		:: else ->
			if
			:: too_late || lost[i]
			:: else ->
				assert(!records[i].live);
				assert(records[i].on_stack)
			fi;
			i++
		od
	}
}
