/* The last object of its size: its slab is empty after the first free. */
#include "misuse.h"

int main(void)
{
	void *p = malloc(7000);

	free(p);
	free(mistake(p));
	return survived();
}
