/*
 * A jump at each instruction in turn. Layer: tools; listed in jump.c.
 *
 * The n-th instruction of a call is met where a call has so many. Fast ones have a few dozen; those are met
 * one after the other. Beyond, the slow paths alone are left, one of which comes up every few dozen calls:
 * of their instructions as many are met, at random, as the budget of a stream allows.
 */
#include <malloc.h>
#include <stdlib.h>

#include "freeze.h"
#include "jump.h"

/* Each instruction up to here, then at random. */
#define DENSE 80UL
/* Calls without one so long, after which a nearer instruction is waited for. */
#define IDLE 150UL
/* Instructions that a stream steps. */
#define BUDGET 10000UL
/* Of what no jump loses, but malloc may keep. */
#define MORE ((size_t)1 << 20)
enum { LIVE = 64 };
/* Deeper than any call of the checks, so that depths don't mix. */
#define DEEP ((size_t)16384)

enum kind { MALLOC, CALLOC, ALIGNED, REALLOC, FREE, TRIM };

struct stream {
	const struct jump_way *way;
	struct step step;
	struct step inner; /* the handler's own malloc, where jumps come from there */
	bool nested;
	enum kind kind;
	size_t size;
	struct jump_class class;
	unsigned long at;      /* the instruction to jump at */
	unsigned long longest; /* instructions of a call that ended */
	unsigned long budget;  /* instructions still to be stepped */
	unsigned long jumps, idle;
	struct conform_random random;
	struct conform_object objects[LIVE];
	void *raw;
	bool left;
};

static void call(void *arg)
{
	struct stream *s = arg;

	switch (s->kind) {
	case MALLOC:
		s->raw = malloc(s->size);
		break;
	case CALLOC:
		s->raw = calloc(1, s->size);
		break;
	case ALIGNED:
		s->raw = memalign(64, s->size);
		break;
	case REALLOC:
		s->raw = realloc(s->raw, s->size + s->size / 2);
		break;
	case FREE:
		free(s->raw);
		break;
	case TRIM:
		malloc_trim(0);
		break;
	}
}

static void leave_now(struct stream *s)
{
	step_abandon();
	s->way->leave();
}

static void leave_inner(void *arg, unsigned long at)
{
	struct stream *s = arg;

	/* Far enough into any malloc to hold what it holds. */
	if (at >= 12)
		leave_now(s);
}

static void call_inner(void *arg)
{
	struct stream *s = arg;

	free(malloc(s->size));
}

static void hook(void *arg, unsigned long at)
{
	struct stream *s = arg;

	if (at < s->at)
		return;
	if (s->nested)
		step_call(&s->inner);
	leave_now(s);
}

static void step_it(void *arg)
{
	struct stream *s = arg;

	step_call(&s->step);
}

static void attempt_deep(void *arg)
{
	struct stream *s = arg;

	s->left = s->way->attempt(step_it, s);
}

static void check_class(void *arg)
{
	struct stream *s = arg;

	jump_check_class(&s->class);
}

static void aim(struct stream *s, unsigned long longest)
{
	s->idle = 0;
	if (s->at < DENSE && s->at < longest)
		s->at++;
	else if (longest > DENSE)
		s->at = DENSE + conform_random_below(&s->random, longest - DENSE);
	else
		s->at = 1 + conform_random_below(&s->random, DENSE);
}

/* From as deep as the call was, from further up, and from further down once it has been seen up here. */
static void after_jump(struct stream *s)
{
	s->jumps++;
	jump_check_some(s->jumps);
	if (s->jumps % 3 != 0)
		jump_deeper(s->jumps % 3 == 1 ? DEEP : 0, check_class, s);
	else
		check_class(s);
	jump_deeper(2 * DEEP, check_class, s);
	aim(s, s->longest);
}

/* True: the call was left, and what it had in hand is lost. */
static bool was_left(struct stream *s)
{
	unsigned long stepped;

	if (s->budget == 0) {
		call(s);
		return false;
	}
	jump_deeper(DEEP, attempt_deep, s);
	stepped = s->step.instructions;
	s->budget -= stepped < s->budget ? stepped : s->budget;
	if (s->left) {
		after_jump(s);
		return true;
	}
	s->longest = stepped > s->longest ? stepped : s->longest;
	if (++s->idle == IDLE)
		aim(s, s->at);
	return false;
}

static void take(struct stream *s, struct conform_object *o)
{
	bool taken = s->kind <= ALIGNED;

	if (taken && was_left(s))
		o->p = NULL;
	else if (taken)
		object_adopt(o, s->kind == CALLOC ? BY_CALLOC : BY_MALLOC, s->raw, s->size);
	else
		object_make(o, BY_MALLOC, s->size);
}

static void give(struct stream *s, struct conform_object *o)
{
	if (!o->p)
		return;
	if (s->kind != REALLOC && s->kind != FREE) {
		object_free(o);
		return;
	}
	s->raw = object_disown(o);
	if (!was_left(s) && s->kind == REALLOC)
		free(s->raw);
}

static void run_stream(struct stream *s)
{
	jump_learn_class(&s->class, s->size);
	s->step = (struct step){.call = call, .arg = s, .hook = hook, .hook_arg = s};
	s->inner = (struct step){.call = call_inner, .arg = s, .hook = leave_inner, .hook_arg = s};
	s->at = 1;
	s->idle = 0;
	s->longest = DENSE + 1;
	while (s->budget > 0) {
		for (size_t i = 0; i < LIVE; i++)
			take(s, &s->objects[i]);
		if (s->kind == TRIM)
			was_left(s);
		for (size_t i = 0; i < LIVE; i++)
			give(s, &s->objects[i]);
	}
}

static const struct {
	enum kind kind;
	size_t size;
} streams[] = {
	{MALLOC, 48},  {FREE, 48},	 {MALLOC, 3000}, {FREE, 3000},
	{CALLOC, 100}, {ALIGNED, 200},	 {REALLOC, 100}, {MALLOC, 50000},
	{FREE, 50000}, {REALLOC, 50000}, {TRIM, 1000},
};

/* What realloc was left in is two objects. */
static size_t run_and_check(struct stream *s)
{
	unsigned long jumps = s->jumps;
	size_t before = conform_resident();

	run_stream(s);
	return freeze_growth(before, (s->jumps - jumps) * 2 * s->size + MORE);
}

static void run_all(const struct conform_options *options, const struct jump_way *way, bool nested)
{
	static struct stream s;
	size_t left = 0;

	s.way = way;
	s.nested = nested;
	conform_random_seed(&s.random, options->seed, 50);
	jump_keep_objects();
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		s.kind = streams[i].kind;
		s.size = streams[i].size;
		s.budget = BUDGET * options->effort;
		left += run_and_check(&s);
	}
	conform_note("jumps", s.jumps);
	conform_note("KiB left", left / 1024);
	jump_free_kept();
}

void jump_at_each(const struct conform_options *options)
{
	run_all(options, &jump_by_siglongjmp, false);
}

void jump_at_each_nested(const struct conform_options *options)
{
	run_all(options, &jump_by_siglongjmp, true);
}

void jump_at_each_throwing(const struct conform_options *options)
{
	run_all(options, &jump_by_exception, false);
}
