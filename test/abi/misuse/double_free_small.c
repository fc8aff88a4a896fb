/* The second free comes at once. */
#include "misuse.h"

int main(void)
{
	void *p = malloc(64);

	free(p);
	free(mistake(p));
	return survived();
}
