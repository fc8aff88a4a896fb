/* realloc of a pointer into an object, which must stay whole. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(200);

	memset(p, 7, 200);
	free(realloc(mistake(p + 16), 5000));
	CHECK(all_bytes(p, 7, 200));
	free(p);
	return survived();
}
