/* A pointer into a small object, aligned as malloc's are. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(96);

	free(mistake(p + 32));
	free(p);
	return survived();
}
