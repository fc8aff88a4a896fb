/* An object of several pages, of which its slab holds only a few. */
#include "misuse.h"

int main(void)
{
	void *p = malloc(20000);
	void *other = malloc(20000);

	free(p);
	free(mistake(p));
	free(other);
	return survived();
}
