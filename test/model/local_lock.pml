/*
 * The local_lock: a thread, and signal handlers that interrupt it between any two steps and run to
 * their end meanwhile, nested two deep. All of them allocate and free in the same class.
 *
 *   here               in core/
 *   alloc              kmalloc.h  kmalloc_fast(); kmalloc.c class_alloc(); kmem_cache.c cache_try_alloc()
 *   free               kmalloc.h  kfree(); kmem_cache.c slab_free(), free_nested()
 *   sheaf_pop          kmem_cache.h  __sheaf_pop()
 *   sheaf_push         kmem_cache.h  __sheaf_push()
 *   alloc_shared       kmem_cache.c  cache_alloc_shared()
 *   refill             thread_slabs.c  __thread_refill(), __next_slab()
 *   flush_sheaf        thread_flush.c  __flush_sheaf()
 *   flush              thread.c   thread_flush(); thread_flush.c __thread_flush()
 *   put_all            thread_flush.c  __thread_put_all(), __put_local(), __put_remote()
 *   put_slab ...       in local_slabs.pml, as in remote.pml, which has the slab's word between threads
 *
 * Two classes of one size, the second being the bucket that a nested call goes to; slabs of two objects;
 * a sheaf of two, so half a sheaf is one object. The thread owns too much all the time, and so keeps no
 * slab but the current one: a full slab is released at once, and handlers meet slabs in every state.
 *
 * Every call returns here; a lock whose holder never comes back is abandon.pml's.
 *
 * Proved: no object is handed out twice or lost; each is at last in use, or on one list; a slab has one
 * owner; no call ends without an object while there is memory.
 */
#include "local_slabs.pml"

/* The sheaf is empty; then it is not, or memory is out. */
inline refill(c)
{
	sheaf[c] = SHUT;
	do
	:: true ->
		slab = current[c];
		if
		:: atomic { slab -> skip };
			take(slab);
			if
			:: fo -> break
			:: else
			fi;
			current[c] = 0;
			mine = 1;
			put_slab(slab);
			mine = 0
		:: else
		fi;
		get_slab(slab, c);
		if
		:: atomic { slab -> slabs[slab].owned = true }; current[c] = slab
		:: atomic { else -> fo = 0; break }
		fi
	od;
	atomic { sheaf[c] = fo; slab = 0; fo = 0 }
}

/* Sets fo. */
inline sheaf_pop(c)
{
	fo = sheaf[c];
	if
	:: atomic { fo && fo != SHUT -> sheaf[c] = next[fo] }
	:: atomic { else -> fo = 0 }
	fi
}

/* What the top of the sheaf says: abandon.pml has it right at any time. */
#define HAS_ROOM(c) (sheaf[c] != SHUT && !(sheaf[c] && next[sheaf[c]]))

/* Of `object`, which is left where there is no room for it. */
inline sheaf_push(c)
{
	if
	:: atomic { HAS_ROOM(c) -> next[object] = sheaf[c] };
		atomic { sheaf[c] = object; object = 0 }
	:: else
	fi
}

inline adopt(s, c)
{
	atomic { next[fo] = 0; slabs[s].freelist = fo };
	atomic { slabs[s].inuse = 1; slabs[s].owned = true };
	mine = 1;
	put_slab(s);
	mine = 0
}

/* `fo` into a slab from outside. */
inline free_remote(s, c, may_adopt)
{
	load(s);
	do
	:: atomic { state == FULL && may_adopt -> cas(s, 0, 0, OWNED) }
	:: atomic { else ->
		next[fo] = head;
		cas(s, fo, count + 1, (state == FULL -> PARTIAL : state)) }
	od;
	if
	:: atomic { state == FULL -> FORGET };
		if
		:: may_adopt -> adopt(s, c)
		:: else -> list_slab(s)
		fi
	:: atomic { else -> FORGET }
	fi;
	fo = 0
}

inline put_all(c)
{
	do
	:: atomic { flushing[c] == 0 -> slab = 0; break }
	:: else ->
		fo = flushing[c];
		atomic { slab = SLAB_OF(fo); flushing[c] = next[fo] };
		if
		:: atomic { slabs[slab].owned -> next[fo] = slabs[slab].freelist };
			slabs[slab].freelist = fo;
			atomic { slabs[slab].inuse--; fo = 0 }
		:: else -> free_remote(slab, c, true)
		fi
	od
}

/* The sheaf is full: `object` is the one that stays. */
inline flush_sheaf(c)
{
	flushing[c] = sheaf[c];
	sheaf[c] = SHUT;
	put_all(c);
	next[object] = 0;
	atomic { sheaf[c] = object; object = 0 }
}

inline flush(c)
{
	lock_class(c);
	if
	:: ok ->
		ok = false;
		flushing[c] = sheaf[c];
		sheaf[c] = SHUT;
		put_all(c);
		slab = current[c];
		current[c] = 0;
		if
		:: atomic { slab -> mine = 1 };
			put_slab(slab);
			atomic { mine = 0; slab = 0 }
		:: else
		fi;
		sheaf[c] = 0;
		lock[c] = 0
	:: else
	fi
}

/* Sets `ok`. A handler that runs between the two steps has dropped the lock when it ends. */
inline lock_class(c)
{
	if
#ifdef MUTANT_IGNORE_LOCK
	:: atomic { true -> ok = true };
#else
	:: atomic { lock[c] == 0 && (!gone || _pid == 1) -> ok = true };
#endif
		lock[c] = _pid
	:: else
	fi
}

inline alloc_shared(c)
{
	get_slab(slab, c);
	if
	:: atomic { slab -> skip };
		take(slab);
		put_slab(slab)
	:: else
	fi;
	slab = 0
}

/* Sets `object`. */
inline alloc()
{
	class = 0;
	do
	:: atomic { class == CLASSES -> class = 0 }; alloc_shared(0); break
	:: else ->
#ifdef MUTANT_POP_BEFORE_LOCK
		fo = sheaf[class];
#endif
		lock_class(class);
		if
		:: atomic { ok -> ok = false };
#ifdef MUTANT_POP_BEFORE_LOCK
			if
			:: fo -> sheaf[class] = next[fo]
			:: else -> sheaf_pop(class)
			fi;
#else
			sheaf_pop(class);
#endif
			if
			:: atomic { fo -> skip }
			:: else -> refill(class); sheaf_pop(class)
			fi;
			lock[class] = 0;
			break
#ifdef MUTANT_WAIT
		:: else
#else
		:: atomic { else -> class++ }
#endif
		fi
	od;
	atomic {
		class = 0;
		assert(fo && !live[fo]);
		live[fo] = true;
		object = fo;
		fo = 0
	}
}

/* Of `object`. */
inline free()
{
	atomic {
		assert(live[object]);
		live[object] = false;
		class = slabs[SLAB_OF(object)].class
	};
	lock_class(class);
	if
	:: atomic { ok -> ok = false };
		sheaf_push(class);
		if
		:: atomic { object -> skip }; flush_sheaf(class)
		:: else
		fi;
		lock[class] = 0
	:: atomic { else -> fo = object; object = 0; slab = SLAB_OF(fo) };
#ifdef MUTANT_NESTED_TAKES_SLAB
		next[fo] = slabs[slab].freelist;
		slabs[slab].freelist = fo;
		atomic { slabs[slab].inuse--; fo = 0 };
#else
		free_remote(slab, class, false);
#endif
		slab = 0
	fi;
	class = 0
}

/* What a context does next. */
#define ALLOC 1
#define FREE_IT 2
#define FLUSH 3
#define END 4

/*
 * The thread: an object for the mailbox, some that it frees or that stay in use, the one in the mailbox
 * if it is still there, and the end.
 */
inline next_of_thread()
{
	if
	:: step == 0 -> op = ALLOC
	:: step == 1 -> mailbox = object; object = 0; op = ALLOC
	:: step == 2 || step == 4 ->
		if
		:: op = FREE_IT
		:: object = 0
		fi
	:: step == 3 -> op = ALLOC
	:: step == 5 -> take_mail()
#ifdef MUTANT_GONE_TOO_LATE
	:: step == 6 -> arg = 0; op = FLUSH
#else
	:: step == 6 -> gone = true; arg = 0; op = FLUSH
#endif
	:: step == 7 -> arg = 1; op = FLUSH
	:: else -> gone = true; thread_ended = true; op = END
	fi
}

/* A handler, when it comes: one of four things. */
inline next_of_handler()
{
	if
	:: step == 0 ->
		level = _pid - 1;
		if
		:: op = ALLOC; step = 4
		:: op = ALLOC
		:: take_mail(); step = 4
		:: arg = 0; op = FLUSH; step = 2
		fi
	:: step == 1 -> op = FREE_IT; step = 4
	:: step == 3 -> arg = 1; op = FLUSH; step = 4
	:: else -> object = 0; level = _pid - 2; op = END
	fi
}

/* Gives the object that the thread left to whoever comes first. */
inline take_mail()
{
	object = mailbox;
	mailbox = 0;
	op = (object -> FREE_IT : 0)
}

/* A handler comes while the context below it runs, at any step of it, or never. */
#define RUNS(pid) (level == (pid) - 1 || level == (pid) - 2)

/* The thread is process 1, a handler on it 2, a handler on that one 3. */
proctype context() provided (RUNS(_pid))
{
	byte class, slab, fo, head, count, state, last, mine, object, op, step, arg;
	bool ok;

	do
	:: atomic {
		op == 0 ->
		if
		:: _pid == 1 -> next_of_thread()
		:: else ->
			if
			:: step == 0 && thread_ended -> op = END
			:: else -> next_of_handler()
			fi
		fi;
		step++ }
	:: atomic { op == ALLOC -> op = 0 }; alloc()
	:: atomic { op == FREE_IT -> op = 0 }; free()
	:: atomic { op == FLUSH -> op = 0 }; flush(arg)
	:: atomic { else -> break }
	od
}

/* Takes the objects of a list off the account. */
inline check_list(first)
{
	i = first;
	do
	:: i ->
		assert(!live[i] && !seen[i]);
		seen[i] = true;
		i = next[i]
	:: else -> break
	od
}

init {
	byte i, s;
	bool seen[OBJECTS + 1];

	atomic {
		run context();
		run context();
#ifdef CASE_NESTED
		run context()
#endif
	};
	timeout;
	d_step {
		assert(thread_ended && level == 0);
		assert(!lock[0] && !lock[1] && !sheaf[0] && !sheaf[1] && !flushing[0] && !flushing[1]);
		s = 1;
		do
		:: s <= SLABS ->
			assert(!held[s] && !slabs[s].owned);
			assert(slabs[s].listed == (slabs[s].state == PARTIAL));
			if
			:: slabs[s].state == FREE ->
				assert(!slabs[s].head && !live[FIRST(s)] && !live[FIRST(s) + 1])
			:: else ->
				check_list(slabs[s].freelist);
				check_list(slabs[s].head);
				assert(live[FIRST(s)] != seen[FIRST(s)]);
				assert(live[FIRST(s) + 1] != seen[FIRST(s) + 1]);
				assert(slabs[s].state != FULL || slabs[s].inuse == 2)
			fi;
			s++
		:: else -> break
		od
	}
}
