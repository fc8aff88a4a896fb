/* Other objects of the same size are freed between the two. */
#include "misuse.h"

int main(void)
{
	void *p[10];

	for (int i = 0; i < 10; i++)
		p[i] = malloc(100);
	for (int i = 0; i < 9; i++)
		free(p[i]);
	free(mistake(p[3]));
	free(p[9]);
	return survived();
}
