/*
 * The data model: every struct of the core, who owns each field, and the states of a slab.
 *
 * Words. "cpu" means thread here: kmem_cache_cpu is what a thread has of a cache. A *frame* is 64 KiB of
 * heap, aligned; a *section* is 1 GiB of address space and holds the metadata of its frames, apart from
 * the objects; a *slab* is one or more frames of equal objects; a *run* is the frames of a large object.
 *
 * Rules
 *  1. What two threads touch is a single word, changed by an atomic instruction: slab->shared, slab->remote,
 *     kmem_cache_node->partial, the bitmaps of a section, thread->process. Struct slab and struct thread are
 *     type-stable: a stale pointer to one reads another slab's fields, never unmapped memory.
 *  2. What only the owner touches is guarded by the local_lock of its thread and cache, which is held
 *     exactly when it differs from the address of its own thread. Plain stores and compiler barriers:
 *     the one other party is a signal handler on the same thread.
 *  3. A slab is owned by the thread that slab->shared names, from the moment that it does: it has it in
 *     kmem_cache_cpu->slab, on one of its two lists, or in hand. Only that thread takes it away again.
 *  4. limit != 0 only in a live slab, and in a run that may go into a sheaf. A frame that is neither, and
 *     every address that is not uslub's, reads limit == 0: the fast path of free() needs no other check.
 *
 * States of a slab (slab->shared.state)
 *
 *     SLAB_FREE ----new_slab()----> SLAB_OWNED <---thread: first free after it was full--- SLAB_FULL
 *         ^                         |  |   ^  |                                          |    ^
 *         '-----discard_slab()------'  |   |  '----------------put_slab()----------------+----'
 *                                      |   '---get_partial()---.                         |
 *                                      '---put_slab()------> SLAB_PARTIAL <--nested free--'
 *
 *   state    free objects, inuse   freed by others    on node->partial   who may change the state
 *   FREE     -                     none               no                 who claims the frames
 *   OWNED    the owner's           set by any         no                 the owner
 *   FULL     none                  none, or in hand   no                 whoever frees first, by CAS
 *   PARTIAL  nobody's, const       set by any         yes, or about to   whoever pops it
 *
 * The sheaf. malloc() and free() of a thread work on kmem_cache_cpu->freelist alone: a short list of free objects
 * of any slabs of the cache, whoever owns them. It is filled from the thread's slabs and flushed to the slabs that
 * its objects are of, half a capacity at a time. Where it overflows it mostly stays as it is, and what is freed goes
 * to its slab at once, if that is the thread's own, or nobody's (thread_flush.c). Each object in a sheaf says how
 * many more fit on top of it, so that there is no counter to keep; one of kmem_cache->bottom lies under them all.
 * While a slow path has the sheaf in its hands, sheaf_shut stands there: nothing can be had from it nor put onto it.
 * A thread begins with a small sheaf. One that is emptied and overflows in turn, MANY_SWINGS times within half a
 * purge_delay, is doubled: what goes back and forth beyond its size then stays in it. Seldom swings are left to the
 * slow paths, which are what gives memory back.
 *
 * Counting. slab->inuse is carved objects less those in the owner's map: objects in a sheaf, and those
 * freed by others until they are collected, count as in use. It is exact for the owner.
 */
#ifndef USLUB_TYPES_H
#define USLUB_TYPES_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define noinline __attribute__((noinline))
#define cacheline_aligned __attribute__((aligned(64)))

#define FRAME_SHIFT 16
#define FRAME_SIZE ((size_t)1 << FRAME_SHIFT)
#define SECTION_SHIFT 30
#define SECTION_SIZE ((size_t)1 << SECTION_SHIFT)
#define SECTION_FRAMES (1U << (SECTION_SHIFT - FRAME_SHIFT))
#define SECTION_WORDS (SECTION_FRAMES / 64)
/* Runs of up to 2^9 frames are searched for. */
#define SECTION_ORDERS 10
#define NR_SECTIONS (1U << (OS_ADDRESS_BITS - SECTION_SHIFT))

/* Fresh memory is carved so many bytes at a time, or an object where that is larger. */
#define CARVE_SIZE ((size_t)4096)
#define MIN_ALIGN 16U

struct thread;
struct kmem_cache;
struct node;

/* The second word of a free object; 0 in an object just allocated. */
union free_state {
	uint64_t word;
	struct {
		uint32_t room; /* in a sheaf: how many more fit on top of it */
		uint32_t mark; /* FREE_MARK */
	};
};
/* No pointer has it, and it takes one instruction everywhere. */
#define FREE_MARK UINT32_C(0x5AB00000)
static_assert(sizeof(union free_state) == 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "the fast path counts `room` down in `word`");

/* What a free object holds, at kmem_cache->offset. */
struct free_object {
	struct free_object *next;
	union free_state state;
};

enum slab_state { SLAB_FREE, SLAB_OWNED, SLAB_FULL, SLAB_PARTIAL };

/* What a frame is; a frame of another section's owner, or of nobody, is FRAME_NONE. */
enum frame_kind {
	FRAME_NONE,
	FRAME_SLAB,   /* the first frame of a slab */
	FRAME_TAIL,   /* a further one; slab->nr_frames says how far back the first is */
	FRAME_RUN,    /* the first frame of a large object */
	FRAME_MAPPED, /* the first frame of a large object that has a mapping of its own */
	FRAME_THREAD, /* a struct thread */
};

/* The thread's list that a slab is on. */
enum slab_list { LIST_NONE, LIST_PARTIAL, LIST_FULL };

/* The shared word of a slab: its state and its owner, changed together. */
union slab_shared {
	uint64_t word;
	struct {
		uint32_t owner;		  /* frame number of its thread's record; 0: none */
		uint32_t state : 8;	  /* enum slab_state */
		uint32_t generation : 24; /* counts the slabs that the frame has been */
	};
};
static_assert(sizeof(union slab_shared) == 8, "one word, one CAS");

struct slab {
	/* Everybody's line: seldom written, for each free() reads it. */
	uint64_t inverse; /* const; kmem_cache->inverse */
	/* Owner, under local_lock; objects carved * residue. Of a run that may go into a sheaf: its size. */
	uint64_t limit;
	uint16_t
		cpu_offset; /* const; of kmem_cache_cpu in struct thread, for kfree(); with its colour */
	uint8_t kind;	    /* who claimed the frame; enum frame_kind */
	_Atomic uint8_t remote;	  /* a bit for each plane of slab->bits that remote frees reached */
	_Atomic uint32_t link;	  /* frame number of the next on a frame_stack */
	_Atomic uint64_t shared;  /* CAS; union slab_shared */
	uint64_t *bits;		  /* const; see struct section */
	uintptr_t base;		  /* const; address of the first frame */
	struct kmem_cache *cache; /* const; NULL for large objects but runs that go into sheaves */
	uint32_t
		nr_frames; /* holder's; of the slab, run or mapping; of a tail: back to the first */
	_Atomic uint32_t collections; /* owner, under local_lock; counts them, and is never reset */

	/* The owner's line, under local_lock; of a large object its holder's. */
	struct slab *next; /* circular */
	struct slab *prev;
	uint32_t inuse;	  /* see "Counting" */
	uint32_t carved;  /* objects that exist so far */
	uint32_t objects; /* const; objects that fit */
	uint16_t first;	  /* below this word of the map of free objects all are 0 */
	uint8_t list;	  /* enum slab_list */
	bool reserved;	  /* holder's; the frames are the reserve's */
	bool fresh;	  /* const; of a slab: its memory has not been used before */
	bool bound;	  /* holder's; large object: its mapping is bound to its node */
	size_t size;	  /* holder's; large object: usable bytes, where limit doesn't say */
	uint8_t account;  /* holder's; large object: see nolock.h; 0: none */
	struct node *
		node; /* holder's; large object with a mapping of its own: where its pages are from */
} __attribute__((aligned(128)));
static_assert(sizeof(struct slab) == 128, "virt_to_slab() shifts by it");
static_assert(offsetof(struct slab, next) == 64, "frees must not share the owner's line");

#define NO_OWNER ((struct thread *)0)

/* A slab's two maps have a bit for each object, in planes of 512 bits. */
#define PLANE_WORDS ((size_t)8)
#define SLAB_PLANES (FRAME_SIZE / MIN_ALIGN / (PLANE_WORDS * 64))
static_assert(SLAB_PLANES <= 8, "slab->remote has a bit for each");

/* Maps are made for so many frames at once: 128 KiB of address space for 8 MiB of heap. */
#define MAPS_FRAMES 128U
/* A cache line for each slab, that of its first frame: so little is touched where objects are few. */
struct plane {
	uint64_t of_frame[MAPS_FRAMES][PLANE_WORDS];
};
struct slab_maps {
	struct plane free[SLAB_PLANES];	  /* owner, under local_lock; free objects */
	struct plane remote[SLAB_PLANES]; /* atomic; objects freed by others, set to be collected */
};

/*
 * The metadata of 1 GiB of address space. A set bit in `used` is a frame that somebody holds, or that is
 * not ours; the other maps speak of frames that are ours.
 */
struct section {
	struct slab slabs[SECTION_FRAMES];
	_Atomic uint64_t used[SECTION_WORDS];	  /* CAS: whoever sets a bit holds the frame */
	_Atomic uint64_t reserved[SECTION_WORDS]; /* address space of ours; holder clears */
	/* Here a page begins; that of the first frames of what follows is touched when the section is made. */
	_Atomic uint32_t
		run_from[SECTION_ORDERS]; /* hints: no run of 2^i free frames begins below */
	_Atomic uint32_t run_top;	  /* hint: none of run_from is above */
	_Atomic uint32_t first_free;	  /* hint: no free frame lies below */
	uintptr_t base;			  /* const */
	_Atomic(struct node *) node;	  /* CAS from NULL, then const; whose frames these are */
	_Atomic(struct section *) next;	  /* CAS from NULL, then const; of the node's */
	/* CAS from NULL, then const */
	_Atomic(struct slab_maps *) maps[SECTION_FRAMES / MAPS_FRAMES];
	_Atomic uint64_t committed[SECTION_WORDS]; /* readable and writable; holder clears */
	_Atomic uint64_t dirty[SECTION_WORDS];	   /* holder; may be resident and not zero */
	_Atomic uint64_t aged[SECTION_WORDS];	   /* free and dirty at the last tick of purge */
};

/* A lock-free stack of frames, linked through slab->link: top's frame number and a generation. */
struct frame_stack {
	_Atomic uint64_t top;
};

/* Shared by the threads of a node: the slabs of a cache that nobody owns and that have free objects. */
struct kmem_cache_node {
	struct frame_stack partial[2]; /* `active` is pushed to; a shrink moves all to the other */
	_Atomic uint32_t active;
	_Atomic int32_t nr_partial; /* counted after the fact: a hint */
	_Atomic uint32_t nr_empty;  /* of them, since the last shrink: a hint */
} cacheline_aligned;

/* Each twice as large as the one before. */
#define SHEAF_GRADES 7
#define MANY_SWINGS 32U
#define SWING_BEGUN 0x80U
static_assert(MANY_SWINGS < SWING_BEGUN, "in one byte");

struct kmem_cache {
	struct free_object bottom[SHEAF_GRADES]; /* const; of a sheaf of size sheaf << grade */
	uint32_t size;				 /* const; distance of two objects */
	uint32_t object_size;			 /* const; what a caller may use */
	uint32_t offset;  /* const; of the freelist link; behind the object where it has a ctor */
	uint32_t objects; /* const; in a slab */
	uint64_t inverse; /* const; see slab_object_ok() */
	uint64_t residue; /* const; size * inverse mod 2^64 */
	uint16_t cpu_offset;	   /* const; of kmem_cache_cpu in struct thread */
	uint16_t lists_offset;	   /* const; of kmem_cache_lists in struct thread; 0: of runs */
	uint16_t nr_frames;	   /* const; of a slab */
	uint16_t sheaf;		   /* const; objects that a thread's sheaf holds in grade 0 */
	uint8_t max_grade;	   /* const; of sheaves */
	uint16_t index;		   /* const; among all caches */
	void (*ctor)(void *);	   /* const; NULL where none */
	char name[32];		   /* const; "": kmalloc-SIZE */
	uint32_t flags;		   /* const; of creation: CACHE_* */
	_Atomic uint32_t refcount; /* slab_mutex; aliases share the cache; 0: destroyed */
	_Atomic uint32_t nr_slabs; /* of user caches, whose slot is free again at 0 */
} cacheline_aligned;
static_assert(offsetof(struct kmem_cache, nr_slabs) >= 64, "free() reads the first line");

/*
 * How far a slow path is. It can end at any instruction, if a handler jumps out of it; whoever has the lock
 * next finds by the stage what kmem_cache_lists->moving is worth.
 */
enum cpu_stage {
	STAGE_NONE,   /* sheaf, slabs and lists are whole */
	STAGE_TAKING, /* moving is being taken from the sheaf, which still has it unless it is shut */
	STAGE_MINE, /* moving is nobody else's; it may run on into flushing, which it is being cut from */
	STAGE_SENDING, /* the same; and what thread->sending says may be free already */
	STAGE_GIVING,  /* moving is being put into the sheaf, which has it unless it is shut */
};

/* What a thread has of a cache; the fast path's part. Zero until the thread first uses the cache. */
struct kmem_cache_cpu {
	uintptr_t local_lock;	      /* see local_lock.h; == address of the thread: free */
	struct free_object *freelist; /* under local_lock; the sheaf; not NULL once it is used */
	struct slab *slab; /* under local_lock; the sheaf is filled from it; slab_none: none */
	uint16_t nr_empty; /* under local_lock; partial slabs with no object in use */
	uint16_t
		idle; /* owner; of the sheaf as it was at the last look: thread_idle.c; or sheaf_patience(), or mixed_note() */
	uint8_t stage; /* under local_lock; enum cpu_stage */
	uint8_t grade; /* under local_lock; of the sheaf, see "The sheaf" */
	uint8_t swings; /* under local_lock, but for resets; see "The sheaf"; SWING_BEGUN: was refilled */
};

/* The slow path's part. All under the local_lock; the lists are circular and go through slab->next. */
struct kmem_cache_lists {
	struct slab *partial; /* have free objects; the first is used next */
	struct slab
		*full; /* kept although full, so that local frees need no CAS; the oldest first */
	struct free_object *moving;   /* on its way into the sheaf, or out of it */
	struct free_object *flushing; /* what a flush has not yet put away */
};

/* Flags of a cache. Its objects are never among another's. */
#define CACHE_NO_MERGE 1U
/* No thread keeps anything of it; its slabs are frames of the reserve, where that has some. */
#define CACHE_SHARED 2U
/* It has no slabs: its objects are runs of frames, and of each thread a sheaf of them. See thread_runs.c. */
#define CACHE_RUNS 4U

/* One class more than there are sizes, for what is nested in the last of them. */
#define NR_SIZE_CLASSES 72
#define NR_KMALLOC_CACHES (NR_SIZE_CLASSES + 1)
#define NR_USER_CACHES 900
/* Runs of 1 to 4 frames; and, in one, all of 5 to 64. */
#define NR_RUN_LENGTHS 4U
#define RUNS_MIXED NR_RUN_LENGTHS
#define NR_RUN_CACHES (NR_RUN_LENGTHS + 1)
#define RUN_FRAMES_MAX 64U
#define NR_CACHES ((uint32_t)(NR_KMALLOC_CACHES + NR_USER_CACHES))
/* Accounts that objects can be counted on, beside none. */
#define MAX_ACCOUNTS 16U

#define HOOK_DONE UINT32_MAX

/*
 * Colours. With several nodes, free() of an object of another node than the thread's must not put it onto the sheaf, from
 * where malloc() would hand it out. Each node has a colour, a multiple of COLOUR_STEP; a slab has its node's in
 * slab->cpu_offset, a thread its home's in thread->colour, and free() takes the one exclusive-or the other. Where they
 * are equal, it comes to the cache's kmem_cache_cpu; where not, to a word of the record that never is its address:
 * it reads as a lock that is held. One instruction, and none where there is one node: that has the colour 0.
 */
#define COLOUR_STEP 4096U
#define NR_COLOURS 8U

/* Lengths of runs, in frames, of which a thread remembers the last that it freed. */
#define NR_FREED_RUNS 65U

/*
 * What a thread is setting free by one OR in a slab that isn't its own, so that it can be told afterwards whether
 * it did. One at a time: a call that is nested in another's sends its objects one by one.
 */
struct sending {
	_Atomic uint16_t cpu_offset; /* CAS; of the cache that is at it; 0: none */
	uint16_t word;		     /* from here on that cache's, under its local_lock */
	uint32_t collections;	     /* of the slab, before */
	uint32_t generation;	     /* of the slab */
	struct slab *slab;
	uint64_t mask;
};

/*
 * A thread's record: one frame, never given back, taken over whole by a later thread. Of an ended thread
 * it holds no slab.
 */
struct thread {
	uintptr_t never_free; /* const, 0: read as a local_lock by whom the fast path is not for */
	/* owner; of its node: see "Colours"; 0 unless there are several */
	uint32_t colour;
	struct thread *all;    /* const; next in the registry of all records */
	_Atomic int process;   /* CAS; of the thread that has it, by pid; 0: ended */
	_Atomic int32_t owned; /* frames on its lists, but for these: */
	_Atomic int32_t empty; /* of slabs with no object in use */
	uint32_t hooked;       /* owner; HOOK_DONE: thread_exit() will be called */
	/* owner; destroyed caches that it has flushed, as counted; and its tries since */
	uint32_t destroyed_seen, destroyed_tries;
	uint32_t sightings; /* owner; of held locks */
	uint32_t idle_next; /* owner; index of the cache that is looked at next */
	uint64_t idle_due;  /* owner; ms; when all caches are looked at again */
	/* Owner; calls let go by between two looks at the clock, how many are left, and when the last was; ms. */
	uint32_t large_calls, large_left, large_polled;
	/* owner; nodes that went offline, as counted, whose slabs it has given up; and its tries since */
	uint32_t left_seen, left_tries;
	uint32_t puts; /* owner; frees that a full sheaf left to their slab */
	struct sending sending;

	struct kmem_cache_cpu cpu[NR_KMALLOC_CACHES] cacheline_aligned;
	struct kmem_cache_cpu run_cpu[NR_RUN_CACHES];
	uint32_t
		freed_runs[NR_FREED_RUNS]; /* owner; hints: frame numbers, by length; see large.c */
	/* From here on up to user_cpu another colour's slabs lead free(): no word is the record's address. */
	struct kmem_cache_lists lists[NR_KMALLOC_CACHES] __attribute__((aligned(COLOUR_STEP)));
	struct kmem_cache_lists user_lists[NR_USER_CACHES];
	struct kmem_cache_cpu user_cpu[NR_USER_CACHES];
} cacheline_aligned;
static_assert(sizeof(struct thread) <= FRAME_SIZE, "a record is one frame");
static_assert(offsetof(struct thread, user_lists) <= 2 * (size_t)COLOUR_STEP,
	      "of its record a thread touches two pages");
static_assert(offsetof(struct thread, run_cpu[NR_RUN_CACHES]) <= COLOUR_STEP &&
		      (size_t)NR_COLOURS * COLOUR_STEP <= offsetof(struct thread, user_cpu),
	      "what free() takes for a lock of another colour");

static inline struct kmem_cache_cpu *thread_cpu(struct thread *t, uint32_t cpu_offset)
{
	return (struct kmem_cache_cpu *)((char *)t + cpu_offset);
}

static inline struct kmem_cache_lists *thread_lists(struct thread *t, const struct kmem_cache *s)
{
	return (struct kmem_cache_lists *)((char *)t + s->lists_offset);
}

/*
 * A relaxed load of a word that another thread may be storing. Compilers make a load of its own of every
 * atomic one; where the fast path can't afford that, this reads through a plain lvalue, which they fold
 * into the instruction that uses it. Same machine semantics on all machines that uslub knows.
 */
#if defined(__SANITIZE_THREAD__)
#define load_folded(lvalue) __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#else
#define load_folded(lvalue) (lvalue)
#endif

/*
 * Looks at what other threads are changing, and says so in its contract: a figure or a suspicion, never
 * a decision. ThreadSanitizer leaves such functions alone.
 */
#define racy_reader __attribute__((no_sanitize("thread")))

/*
 * No path waits: a compare-and-swap fails only because another one succeeded. Debug builds count the failures
 * of each loop, for one that fails without end waits for somebody after all.
 */
struct nowait {
#if defined(USLUB_DEBUG)
	uint32_t retries;
#else
	char none;
#endif
};
#define NOWAIT_BOUND (1U << 16)

/* Called with what a CAS returned, and returns it. */
static inline bool nowait(struct nowait *w, bool done)
{
#if defined(USLUB_DEBUG)
	assert(done || ++w->retries < NOWAIT_BOUND);
#else
	(void)w;
#endif
	return done;
}

/* `to`: a power of two. */
static inline size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

/* Orders plain accesses against a signal handler on the same thread. */
static inline void barrier(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

#endif
