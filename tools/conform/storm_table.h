/*
 * A table through which threads and handlers hand objects to each other: what one has made, another
 * checks and frees. Layer: tools. Used by the stop, jump, fork and storm cases, from handlers too.
 */
#ifndef USLUB_CONFORM_STORM_TABLE_H
#define USLUB_CONFORM_STORM_TABLE_H

#include "conform.h"

/* Hands *o over, in a box from malloc; checks and frees what lay in its place. */
void table_put(struct conform_object *o, struct conform_random *r);
/* Takes an object out of the table into *o; false: there was none where it looked. */
bool table_take(struct conform_object *o, struct conform_random *r);
/* Frees all that is in it. */
void table_drain(void);

/* A size of those that programs use: mostly small, at times some KiB, rarely large. */
size_t table_size(struct conform_random *r);
/* An object of such a size, by any of the calls. */
void table_make(struct conform_object *o, struct conform_random *r);

#endif
