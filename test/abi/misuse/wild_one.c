/* A small integer. */
#include "misuse.h"

int main(void)
{
	free(mistake((void *)1));
	return survived();
}
