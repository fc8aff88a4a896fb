/* An address where malloc has not put an object yet, though one could be. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(1300);
	size_t step = malloc_usable_size(p);
	char *next = p + step;

	/* Behind the end of a slab lies another; before the object lies a place in this one. */
	if (((uintptr_t)next ^ (uintptr_t)p) >> 16)
		next = p - step;
	free(mistake(next));
	free(p);
	return survived();
}
