/*
 * Walks that freeze the victim. Layer: tools; called by the stop cases.
 *
 * One walk freezes at instructions a spacing apart, not at each: were everything changed between each two
 * instructions, no compare-and-swap of the victim's would ever succeed. The next walk freezes one further.
 */
#include <sys/mman.h>

#include "stop.h"

/* Longer than the way from a load to its compare-and-swap. */
#define SPACING 61UL
#define BUDGET 25000UL
/* A walk may take longer than the first did, for the heap differs; but it must come to its end. */
#define LONGER 4UL

/* The hook. */
static void freeze_here(void *arg, unsigned long at)
{
	struct stop_victim *v = arg;

	(void)at;
	if (v->in_library_only && !freeze_inside(&v->entry, &v->step))
		return;
	v->seen++;
	v->step.leave = v->seen > v->limit;
	if (v->step.leave || v->seen % v->spacing != v->phase)
		return;
	v->stops++;
	crew_round();
}

void stop_arm(struct stop_victim *v)
{
	v->step.hook = freeze_here;
	v->step.hook_arg = v;
	v->entry = 0;
}

static void take_all(struct stop_victim *v, const struct stop_scenario *scenario)
{
	stop_arm(v);
	step_begin(&v->step);
	scenario->take(v);
	step_end(&v->step);
	for (size_t i = 0; i < v->nr; i++)
		object_adopt(&v->objects[i], BY_MALLOC, v->raw[i], v->sizes[i]);
}

static void give_all(struct stop_victim *v, const struct stop_scenario *scenario)
{
	for (size_t i = 0; i < v->nr; i++)
		v->raw[i] = object_disown(&v->objects[i]);
	stop_arm(v);
	step_begin(&v->step);
	scenario->give(v);
	step_end(&v->step);
	v->nr = 0;
}

void stop_walk(struct stop_victim *v, const struct stop_scenario *scenario)
{
	v->nr = 0;
	if (scenario->prepare)
		scenario->prepare(v);
	if (scenario->take)
		take_all(v, scenario);
	if (scenario->give)
		give_all(v, scenario);
}

void stop_each_phase(const struct conform_options *options, struct stop_victim *v,
		     void (*walk)(struct stop_victim *v))
{
	unsigned long length, phases, first;

	v->limit = 1UL << 40;
	v->spacing = v->limit;
	v->seen = 0;
	v->phase = v->limit;
	walk(v);
	length = v->seen + 1;
	v->limit = LONGER * length;
	v->spacing = SPACING;
	phases = BUDGET * options->effort / length + 1;
	first = conform_random_below(&v->random, SPACING);
	for (unsigned long i = 0; i < phases && i < SPACING; i++) {
		v->seen = 0;
		/* Coprime to the spacing: a few phases are spread over it. */
		v->phase = (first + 23 * i) % SPACING;
		walk(v);
	}
	conform_note("instructions", length);
	conform_note("stops", v->stops);
	if (v->stops == 0)
		conform_end(CONFORM_UNABLE, "nobody was ever frozen:", length);
}

struct stop_victim *stop_victim_new(const struct conform_options *options)
{
	struct stop_victim *v =
		mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (v == MAP_FAILED)
		conform_end(CONFORM_UNABLE, "no memory to share, in bytes:", sizeof(*v));
	freeze_prepare();
	conform_random_seed(&v->random, options->seed, 1);
	return v;
}

static const struct stop_scenario *walked;

static void *walk_apart(void *v)
{
	stop_walk(v, walked);
	return NULL;
}

static void walk_once(struct stop_victim *v)
{
	if (walked->apart)
		pthread_join(freeze_thread(walk_apart, v), NULL);
	else
		stop_walk(v, walked);
}

void stop_everywhere(const struct conform_options *options, const struct stop_scenario *scenario)
{
	struct stop_victim *v = stop_victim_new(options);

	crew_start(options, true);
	walked = scenario;
	stop_each_phase(options, v, walk_once);
	crew_stop();
}
