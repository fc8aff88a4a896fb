/* An array on the stack. */
#include "misuse.h"

int main(void)
{
	struct {
		char before[64];
		_Alignas(16) char array[256];
	} frame;

	memset(&frame, 0, sizeof(frame));
	free(mistake(frame.array));
	return survived();
}
