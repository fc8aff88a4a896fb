/* An object that has a mapping of its own. */
#include "misuse.h"

int main(void)
{
	char *p = malloc((size_t)200 << 20);

	p[0] = 1;
	free(p);
	free(mistake(p));
	return survived();
}
