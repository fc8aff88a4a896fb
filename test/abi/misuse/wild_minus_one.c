/* (void *)-1, as mmap and sbrk return on error. */
#include "misuse.h"

int main(void)
{
	free(mistake((void *)-1));
	return survived();
}
