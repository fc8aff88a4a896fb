/* An object of the program's data. */
#include "misuse.h"

static struct {
	char before[64];
	_Alignas(16) char array[256];
} object;

int main(void)
{
	free(mistake(object.array));
	return survived();
}
