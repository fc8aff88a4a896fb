/* A pointer into a small object, at an odd address. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(96);

	free(mistake(p + 1));
	free(p);
	return survived();
}
