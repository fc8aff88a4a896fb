/* An address that no processor of today has. */
#include "misuse.h"

int main(void)
{
	free(mistake((void *)(uintptr_t)0xdead4141dead4140u));
	return survived();
}
