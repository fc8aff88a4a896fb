/* A pointer into a large object, aligned to 64 KiB. */
#include "misuse.h"

int main(void)
{
	char *p = malloc(1 << 20);

	memset(p, 1, 1 << 20);
	free(mistake(p + 65536));
	CHECK(all_bytes(p, 1, 1 << 20));
	free(p);
	return survived();
}
