/* A malloc whose free lists have no protection: it hands an object out twice, or follows a wild pointer. */
#include "lists.h"

void *heap_take(size_t size)
{
	return lists_take(size);
}

void heap_give(void *p)
{
	lists_give(p);
}
