/*
 * Exceptions thrown out of a handler, through the interrupted call. Layer: tools; see jump.h. Compiled with
 * -fnon-call-exceptions: a throw may come from any instruction.
 */
#include "jump.h"

bool jump_try(void (*call)(void *), void *arg)
{
	try {
		call(arg);
		return false;
	} catch (int) {
		return true;
	}
}

void jump_throw()
{
	throw 1;
}
