/* A pointer to the second page of an object. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(30000);

	free(mistake(p + 4096));
	free(p);
	return survived();
}
