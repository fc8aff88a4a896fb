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
 *   flush_sheaf        thread_slabs.c  __thread_flush_sheaf()
 *   flush              thread.c   thread_flush(); thread_slabs.c __thread_flush()
 *   put_all            thread_slabs.c  __put_all(), __put_local(), __put_remote(), __adopt()
 *   put_slab ...       as in remote.pml, which has the slab's word between threads
 *
 * Two classes of one size, the second being the bucket that a nested call goes to; slabs of two objects;
 * a sheaf of two, so half a sheaf is one object. The thread keeps no slab but the current one
 * (max_owned is 0): a full slab is released at once, so handlers meet slabs in every state.
 *
 * Proved: no object is handed out twice or lost; each is at last in use, or on one list; a slab has one
 * owner; no call ends without an object while there is memory.
 */
#include "common.pml"

#define CLASSES 2
#define SLABS 4
#define OBJECTS (2 * SLABS)
#define SHEAF 2
#define FIRST(slab) (2 * (slab) - 1)
#define SLAB_OF(object) (((object) + 1) / 2)

#define FREE 0
#define OWNED 1
#define FULL 2
#define PARTIAL 3

/* The thread's part of a class; 0 is no object, no slab. */
byte lock[CLASSES]; /* 0: free; else the _pid of the holder */
byte sheaf[CLASSES];
byte room[CLASSES];
byte current[CLASSES];
byte flushing[CLASSES];

typedef slab_data {
	bool owned; /* slab->owner is the thread */
	byte class;
	byte freelist;
	byte inuse;
	byte head; /* of the remote word: the list, its length, the state */
	byte count;
	byte state;
	bool listed
}

slab_data slabs[SLABS + 1];
byte next[OBJECTS + 1];

byte level;   /* who runs: 0 the thread, 1 a handler on it, 2 a handler on that one */
byte mailbox; /* an object that the thread leaves for a handler to free */
bool gone;    /* current_thread is thread_gone: a lock that reads held */
bool thread_ended;

/* Ghosts. */
bool live[OBJECTS + 1];
bool held[SLABS + 1]; /* somebody owns the slab */

#define SAME(s) (slabs[s].head == head && slabs[s].count == count && slabs[s].state == state)
#define LOAD(s) head = slabs[s].head; count = slabs[s].count; state = slabs[s].state
#define FORGET head = 0; count = 0; state = 0

/* The CAS, from the word that was read. Ends the loop that it is in where it succeeds. */
inline cas(s, new_head, new_count, new_state)
{
	if
	:: SAME(s) ->
		if
		:: state != OWNED && new_state == OWNED -> assert(!held[s]); held[s] = true
		:: state == OWNED && new_state != OWNED -> assert(held[s]); held[s] = false
		:: else
		fi;
		slabs[s].head = new_head;
		slabs[s].count = new_count;
		slabs[s].state = new_state;
		break
	:: else -> LOAD(s)
	fi
}

inline load(s)
{
	atomic { LOAD(s) }
}

inline set_state(s, new_state)
{
	load(s);
	do
	:: true -> atomic { cas(s, head, count, new_state) }
	od;
	atomic { FORGET }
}

inline list_slab(s)
{
	atomic { assert(!slabs[s].listed); slabs[s].listed = true }
}

inline collect(s)
{
	load(s);
	do
	:: atomic { head == 0 -> break }
	:: atomic { else -> cas(s, 0, 0, state) }
	od;
	if
	:: atomic { head ->
		last = head;
		do
		:: next[last] -> last = next[last]
		:: else -> break
		od;
		next[last] = slabs[s].freelist };
		slabs[s].freelist = head;
		atomic { slabs[s].inuse = slabs[s].inuse - count; last = 0 }
	:: else
	fi;
	atomic { FORGET }
}

/* Sets `ok`: the slab is nobody's. */
inline release_full(s)
{
	slabs[s].owned = false;
	load(s);
	ok = true;
	do
	:: atomic { head -> slabs[s].owned = (mine > 0); ok = false; break }
	:: atomic { else -> cas(s, 0, 0, FULL) }
	od;
	atomic { FORGET }
}

/* Empty: to the frames; else onto the node's list. */
inline release_partial(s)
{
	slabs[s].owned = false;
	if
	:: atomic { slabs[s].inuse == 0 -> skip };
		set_state(s, FREE)
	:: else ->
		set_state(s, PARTIAL);
		list_slab(s)
	fi
}

/* `mine` is set where the thread owned it. */
inline put_slab(s)
{
	if
	:: atomic { slabs[s].freelist == 0 -> skip }; release_full(s)
	:: else
	fi;
	if
	:: atomic { ok -> ok = false }
	:: else -> collect(s); release_partial(s)
	fi
}

/* From the node's list; 0: none of the class is there. */
inline pop_slab(s, c)
{
	atomic {
		s = SLABS;
		do
		:: s && !(slabs[s].listed && slabs[s].class == c) -> s--
		:: else -> break
		od;
		slabs[s].listed = false
	};
	if
	:: atomic { s -> skip }; set_state(s, OWNED)
	:: else
	fi
}

/* Of free frames, with all objects carved; 0: out of memory. The claim is frame.pml's. */
inline new_slab(s, c)
{
	atomic {
		s = SLABS;
		do
		:: s && (slabs[s].state != FREE || held[s]) -> s--
		:: else -> break
		od;
		if
		:: s ->
			assert(slabs[s].head == 0);
			held[s] = true;
			slabs[s].class = c;
			slabs[s].inuse = 0;
			slabs[s].freelist = FIRST(s);
			next[FIRST(s)] = FIRST(s) + 1;
			next[FIRST(s) + 1] = 0;
			slabs[s].state = OWNED
		:: else
		fi
	}
}

inline get_slab(s, c)
{
	pop_slab(s, c);
	if
	:: atomic { s -> skip }
	:: else -> new_slab(s, c)
	fi
}

/* One object off the slab's freelist, or its remote list: `fo`; 0: none. */
inline take(s)
{
	if
	:: atomic { slabs[s].freelist -> skip }
	:: else -> collect(s)
	fi;
	fo = slabs[s].freelist;
	if
	:: atomic { fo -> slabs[s].freelist = next[fo] };
		atomic { next[fo] = 0; slabs[s].inuse++ }
	:: else
	fi
}

/* The sheaf is empty; then it is not, or memory is out. */
inline refill(c)
{
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
	if
	:: atomic { fo -> sheaf[c] = fo }; room[c] = room[c] - 1
	:: else
	fi;
	atomic { slab = 0; fo = 0 }
}

/* Sets fo. */
inline sheaf_pop(c)
{
	fo = sheaf[c];
	if
	:: atomic { fo -> sheaf[c] = next[fo] };
		room[c] = room[c] + 1
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

/* The sheaf is full: one object stays. */
inline flush_sheaf(c)
{
	atomic { fo = sheaf[c]; flushing[c] = next[fo] };
	atomic { next[fo] = 0; fo = 0 };
	room[c] = SHEAF - 1;
	put_all(c)
}

inline flush(c)
{
	lock_class(c);
	if
	:: ok ->
		ok = false;
		flushing[c] = sheaf[c];
		sheaf[c] = 0;
		room[c] = SHEAF;
		put_all(c);
		slab = current[c];
		current[c] = 0;
		if
		:: atomic { slab -> mine = 1 };
			put_slab(slab);
			atomic { mine = 0; slab = 0 }
		:: else
		fi;
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
			:: fo -> sheaf[class] = next[fo]; room[class]++
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
		next[object] = sheaf[class];
		atomic { sheaf[class] = object; object = 0 };
		room[class] = room[class] - 1;
		if
		:: atomic { room[class] == 0 -> skip }; flush_sheaf(class)
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
		room[0] = SHEAF;
		room[1] = SHEAF;
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
