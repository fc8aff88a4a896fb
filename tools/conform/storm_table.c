/*
 * The table of objects that pass from hand to hand. Layer: tools; see storm_table.h. One exchange moves
 * an object in or out, so that two never free the same one.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "storm_table.h"

#define SLOTS 64

static _Atomic(struct conform_object *) table[SLOTS];

void table_put(struct conform_object *o, struct conform_random *r)
{
	struct conform_object *box = malloc(sizeof(*box));

	if (box)
		*box = *o;
	else
		conform_end(CONFORM_FAIL, "NULL where there is memory; the size is", sizeof(*box));
	o->p = NULL;
	box = atomic_exchange(&table[conform_random_below(r, SLOTS)], box);
	if (!box)
		return;
	object_free(box);
	free(box);
}

bool table_take(struct conform_object *o, struct conform_random *r)
{
	struct conform_object *box = atomic_exchange(&table[conform_random_below(r, SLOTS)],
						     (struct conform_object *)NULL);

	if (!box)
		return false;
	*o = *box;
	free(box);
	return true;
}

void table_drain(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct conform_object *box =
			atomic_exchange(&table[i], (struct conform_object *)NULL);

		if (!box)
			continue;
		object_free(box);
		free(box);
	}
}

size_t table_size(struct conform_random *r)
{
	size_t kind = conform_random_below(r, 256);

	if (kind < 200)
		return 1 + conform_random_below(r, 512);
	if (kind < 250)
		return 1 + conform_random_below(r, 8192);
	if (kind < 255)
		return 1 + conform_random_below(r, 60000);
	return 1 + conform_random_below(r, 600000);
}

void table_make(struct conform_object *o, struct conform_random *r)
{
	object_make(o, (enum conform_how)conform_random_below(r, NR_CONFORM_HOW), table_size(r));
}
