/* The owner frees, then another thread does. */
#include <pthread.h>

#include "misuse.h"

static void *free_again(void *p)
{
	free(mistake(p));
	return NULL;
}

int main(void)
{
	pthread_t thread;
	void *keep = malloc(64);
	void *p = malloc(64);

	free(p);
	CHECK(pthread_create(&thread, NULL, free_again, p) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	free(keep);
	return survived();
}
