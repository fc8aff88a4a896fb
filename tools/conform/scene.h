/*
 * What the stepped cases share: a call under test, the objects around it, and what the handler does at
 * each instruction. Layer: tools. Included by step_*.c and deep_cases.c.
 */
#ifndef USLUB_CONFORM_SCENE_H
#define USLUB_CONFORM_SCENE_H

#include "conform.h"
#include "step.h"

/* What the handler does. A call is stepped once for each: every instruction meets every action. */
enum scene_action {
	ACT_SAME,      /* one to three objects of the size that the call is about; one is kept */
	ACT_SIZES,     /* any size, any call */
	ACT_NEIGHBOUR, /* frees, and makes again, what lies beside the call's objects */
	ACT_FOREIGN,   /* frees what another thread made */
	ACT_RESIZE,    /* realloc of what earlier handlers kept */
	ACT_ZERO,      /* calloc */
	ACT_MIXED,     /* all of these in turn */
	ACT_PAIR,      /* one malloc and its free, by a handler on the smallest stack */
	NR_ACTIONS,
};

enum { SCENE_KEPT = 48, SCENE_POOL = 384, SCENE_HELD = 512 };

struct scene {
	const struct conform_options *options;
	struct conform_random random;
	enum scene_action action;
	size_t size; /* of the call under test */
	void (*hook)(void *scene,
		     unsigned long at); /* instead of scene_hook(), which is NULL here */

	/* The handler's. */
	struct conform_object kept[SCENE_KEPT];
	size_t next_kept;
	struct conform_object pool[SCENE_POOL]; /* neighbours, made by the thread that is stepped */
	size_t next_pool, nr_pool;
	struct conform_object foreign[SCENE_POOL];
	size_t next_foreign;

	/* The call's: what it got or is to free, and the same as objects. */
	void *raw[SCENE_HELD];
	struct conform_object held[SCENE_HELD];
	size_t nr_held;

	/* Over all stepped calls. */
	double deadline;
	unsigned long instructions, hooks;
};

/* A call under test. `before` and `after`, which may be NULL, are not stepped. */
struct scene_call {
	void (*before)(struct scene *scene);
	void (*call)(void *scene);
	void (*after)(struct scene *scene);
	bool sets_errno; /* as it may */
	bool is_long;	 /* it is stepped with ACT_MIXED alone */
};

/* An empty scene, in static memory: there is one for the call and one for a nested one. */
struct scene *scene_new(const struct conform_options *options, unsigned int number);
/* What a handler does; struct step's hook. */
void scene_hook(void *scene, unsigned long at);
/* The objects around a call about `size`, and their end. */
void scene_set(struct scene *scene, size_t size, enum scene_action action);
void scene_clear(struct scene *scene);
/* All that the handlers kept is what it was. */
void scene_check(const struct scene *scene);

/* Steps the call once with that action. */
void scene_step(struct scene *scene, const struct scene_call *call, size_t size,
		enum scene_action action);
/* Steps it with each action, for each of the sizes, until the time is over; notes the figures. */
void scene_run(struct scene *scene, const struct scene_call *call, const size_t *sizes,
	       size_t nr_sizes);
/* Is there time for another round? Effort says how long; the first round is made in any case. */
bool scene_has_time(const struct scene *scene);
/* How many actions a call is stepped with, and which the i-th is. */
static inline unsigned int scene_actions(const struct scene_call *call)
{
	return call->is_long ? 1 : NR_ACTIONS;
}

static inline enum scene_action scene_action(const struct scene_call *call, size_t i)
{
	return call->is_long ? ACT_MIXED : (enum scene_action)(i % NR_ACTIONS);
}

void scene_note(const struct scene *scene);

/* Objects of scene->size into held[0..n-1]; raw[] has their addresses. */
void scene_hold(struct scene *scene, size_t n);
/* raw[0..nr_held-1], which the call got, become held[]. */
void scene_adopt(struct scene *scene, enum conform_how how);
/* held[] is checked and wiped, for the call to free raw[]. */
void scene_disown(struct scene *scene);
/*
 * realloc for a call that is stepped: of at least `kept` bytes before and after, whose ends are looked at.
 * p may be NULL.
 */
void *scene_realloc(void *p, size_t kept, size_t size);
void scene_free_held(struct scene *scene);

#endif
