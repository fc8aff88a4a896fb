/* Another thread frees, then the owner does. */
#include <pthread.h>

#include "misuse.h"

static void *free_first(void *p)
{
	free(p);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	void *keep = malloc(64);
	void *p = malloc(64);

	CHECK(pthread_create(&thread, NULL, free_first, p) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	free(mistake(p));
	free(keep);
	return survived();
}
