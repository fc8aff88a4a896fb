/* An array on another thread's stack. */
#include <pthread.h>

#include "misuse.h"

static void *frees_its_stack(void *arg)
{
	struct {
		char before[64];
		_Alignas(16) char array[256];
	} frame;

	(void)arg;
	memset(&frame, 0, sizeof(frame));
	free(mistake(frame.array));
	return NULL;
}

int main(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, frees_its_stack, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	return survived();
}
