/* A module for dlopen() with thread-local memory, MODULE_BYTES of it. Loaded by first_touch.c, several times. */
#include <stddef.h>

/* Not zeros: it is copied when a thread first touches it. */
static _Thread_local struct {
	unsigned int first;
	char bytes[MODULE_BYTES];
	unsigned int last;
} memory = {.first = 0x600d600d, .last = 0x600d600e};

/* Counts the calling thread's calls; 0 where its copy isn't whole. */
unsigned int touch(void);
unsigned int touch(void)
{
	if (memory.last - memory.first != 1)
		return 0;
	for (size_t i = 0; i < MODULE_BYTES; i++) {
		if (memory.bytes[i] != memory.bytes[0])
			return 0;
	}
	for (size_t i = 0; i < MODULE_BYTES; i++)
		memory.bytes[i]++;
	return (unsigned char)memory.bytes[0];
}
