/* realloc of a small integer. */
#include "misuse.h"

int main(void)
{
	free(realloc(mistake((void *)32), 100));
	return survived();
}
