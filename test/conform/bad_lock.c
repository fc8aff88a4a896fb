/* A malloc with a mutex: right in any thread, and waits for itself in a handler. */
#include <pthread.h>

#include "lists.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void *heap_take(size_t size)
{
	void *p;

	pthread_mutex_lock(&mutex);
	p = lists_take(size);
	pthread_mutex_unlock(&mutex);
	return p;
}

void heap_give(void *p)
{
	pthread_mutex_lock(&mutex);
	lists_give(p);
	pthread_mutex_unlock(&mutex);
}
