/* Found by its loader alone. */
#include <stdlib.h>

int inner_answer(void);
void *inner_malloc(size_t n);

int inner_answer(void)
{
	return 42;
}

void *inner_malloc(size_t n)
{
	return malloc(n);
}
