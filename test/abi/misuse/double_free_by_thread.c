/* Another thread frees twice. */
#include <pthread.h>

#include "misuse.h"

static void *free_twice(void *p)
{
	free(p);
	free(mistake(p));
	return NULL;
}

int main(void)
{
	pthread_t thread;
	void *keep = malloc(64);
	void *p = malloc(64);

	CHECK(pthread_create(&thread, NULL, free_twice, p) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	free(keep);
	return survived();
}
