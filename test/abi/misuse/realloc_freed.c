/* realloc of what was freed. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(64);
	char *q;

	free(p);
	q = realloc(mistake(p), 5000);
	free(q);
	return survived();
}
