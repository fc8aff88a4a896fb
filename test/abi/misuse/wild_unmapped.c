/* An aligned address that nothing is mapped at. */
#include <sys/mman.h>

#include "misuse.h"

int main(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && munmap(p, 1 << 20) == 0);
	free(mistake(p + 65536));
	return survived();
}
