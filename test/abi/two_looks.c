/*
 * Two handlers within one free, at each two of its instructions: the first notes what stands at the stack pointer that the
 * lock's word names, the second looks whether it is still the same. The free is alive: neither may take its lock. Where one
 * did, objects were handed out twice. Frees that a full sheaf leaves to their slab hold the lock longest; operator
 * delete is another compiler's way into them. x86-64 only, whose trap flag brings the handlers there.
 */
#include "proc.h"

#include "../trap_flag.h"

#include <dlfcn.h>
#include <signal.h>

enum {
	SIZE = 640,
	NR = 3000,
	FREED = 1500, /* here and there, more than a sheaf grows to hold: it is full, and no slab is */
	STRIDE = 97, /* prime to NR */
	STEPS = 110, /* such a free has about as many */
	/* Sights of a held lock after which it is looked at closely: the first time, and where a print was noted. */
	FIRST_SIGHTS = 200,
	SECOND_SIGHTS = 2600,
	KEPT = 40,
};

static size_t *objects[NR], *kept[KEPT];
static size_t ids;
static volatile unsigned long steps, first_at, second_at;

static size_t *make(void)
{
	size_t *p = malloc(SIZE);

	CHECK(p);
	p[0] = p[SIZE / sizeof(*p) - 1] = ++ids;
	return p;
}

static void drop(size_t **place)
{
	size_t *p = *place;

	*place = NULL;
	if (!p)
		return;
	CHECK(p[0] == p[SIZE / sizeof(*p) - 1] && p[0] != 0 && p[0] <= ids);
	p[0] = 0;
	free(p);
}

static void look(unsigned int sights)
{
	while (sights--)
		free(malloc(SIZE));
}

static void on_trap(int signal)
{
	(void)signal;
	steps++;
	if (steps != first_at && steps != second_at)
		return;
	look(steps == first_at ? FIRST_SIGHTS : SECOND_SIGHTS);
	for (unsigned int i = 0; steps == second_at && i < KEPT; i++)
		kept[i] = make();
}

static void try_pair(void (*delete)(void *, size_t))
{
	size_t *last;

	for (unsigned int i = 0; i < NR; i++)
		objects[i] = make();
	for (unsigned int i = 0; i < FREED; i++)
		drop(&objects[i * STRIDE % NR]);
	last = objects[FREED * STRIDE % NR];
	objects[FREED * STRIDE % NR] = NULL;
	steps = 0;
	step_on();
	delete (last, SIZE);
	step_off();
	for (unsigned int i = 0; i < NR; i++)
		if (!objects[i])
			objects[i] = make();
	for (unsigned int i = 0; i < KEPT; i++)
		drop(&kept[i]);
	for (unsigned int i = 0; i < NR; i++)
		drop(&objects[i]);
}

static void try_all(const char *name)
{
	void (*delete)(void *, size_t);

	/* POSIX's own way around a conversion that C has not. */
	*(void **)&delete = dlsym(RTLD_DEFAULT, name);
	CHECK(delete);
	for (unsigned long first = 1; first < STEPS; first++) {
		for (unsigned long second = first + 1; second < STEPS; second += 2 + first % 3) {
			first_at = first;
			second_at = second;
			try_pair(delete);
		}
	}
}

int main(void)
{
	const struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_NODEFER};

	if (!CAN_STEP || emulated())
		skip("no trap flag to step by");
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
	try_all("free_sized");
	/* operator delete(void *, size_t) */
	try_all("_ZdlPvm");
	return 0;
}
