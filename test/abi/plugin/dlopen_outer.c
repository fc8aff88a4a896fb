/* Loads its inner library by a name that only this library's own RUNPATH leads to. */
#include <dlfcn.h>

void *outer_load(const char *name, int flags);

/* Through a variable: a call in tail position would hide this caller itself. */
void *outer_load(const char *name, int flags)
{
	void *volatile handle = dlopen(name, flags);

	return handle;
}
