/* An address that is mapped, but not for reading. */
#include <sys/mman.h>

#include "misuse.h"

int main(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	free(mistake(p + 65536));
	return survived();
}
