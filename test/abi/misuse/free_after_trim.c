/* The memory went back to the kernel between the two. */
#include "misuse.h"

int main(void)
{
	enum { N = 2000 };
	static void *p[N];

	for (int i = 0; i < N; i++)
		p[i] = malloc(900);
	for (int i = 0; i < N; i++)
		free(p[i]);
	malloc_trim(0);
	free(mistake(p[N / 2]));
	return survived();
}
