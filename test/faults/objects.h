/*
 * Memory with a content that only its object can have: each stamp is made from the object's id and the
 * stamp's place. Two objects that overlap, pages that moved wrongly and bytes that were lost show up.
 *
 * Objects up to a page or so are stamped throughout, larger ones at both ends and once in each page, or
 * once in 64 KiB where they are huge.
 */
#ifndef USLUB_FAULTS_OBJECTS_H
#define USLUB_FAULTS_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object {
	unsigned char *p; /* NULL: none */
	size_t size;
	uint64_t id;
};

/* Gives the memory an id of its own, and the stamps. */
void object_stamp(struct object *o, void *p, size_t size);
/* Ends the program where a stamp is not what it must be. */
void object_check(const struct object *o);
/* After realloc: p holds the first `kept` bytes of what o held. */
void object_check_moved(const struct object *o, const unsigned char *p, size_t kept);
/* Are the places of the stamps all zero? */
bool object_is_zero(const unsigned char *p, size_t size);

#endif
