/* An object of many pages. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(1 << 20);

	p[0] = 1;
	free(p);
	free(mistake(p));
	return survived();
}
