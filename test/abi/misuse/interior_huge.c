/* A pointer far into an object that has a mapping of its own. */
#include "misuse.h"

int main(void)
{
	size_t size = (size_t)3 << 30;
	char *p = malloc(size);

	if (!p)
		skip("this machine's overcommit rules refuse 3 GiB");
	p[0] = p[size - 1] = 1;
	free(mistake(p + (size_t)2 * 1024 * 1024 * 1024));
	CHECK(p[0] == 1 && p[size - 1] == 1);
	free(p);
	return survived();
}
