/*
 * A program that replaces operator new(size_t) and delete(void *) alone: the forms that call these by
 * default must call them, and what they allocate must come back to them.
 */
#include <cstdlib>
#include <new>

#include "check.h"

#ifndef __clang__
/* That the sized form is left to its default is what is tested. */
#pragma GCC diagnostic ignored "-Wsized-deallocation"
#endif

static int made, ended;

void *operator new(std::size_t size)
{
	made++;
	/* Not the start of an object of malloc's: whoever frees it otherwise is found out. */
	char *p = static_cast<char *>(std::malloc(size + 16));

	CHECK(p);
	return p + 16;
}

void operator delete(void *p) noexcept
{
	if (p) {
		ended++;
		std::free(static_cast<char *>(p) - 16);
	}
}

static void check_turn(int n)
{
	CHECK(made == n && ended == n);
}

int main()
{
	::operator delete(::operator new(40));
	check_turn(1);
	::operator delete[](::operator new[](40));
	check_turn(2);
	::operator delete (::operator new(40), std::size_t{40});
	check_turn(3);
	::operator delete[](::operator new[](40), std::size_t{40});
	check_turn(4);
	::operator delete(::operator new(40, std::nothrow), std::nothrow);
	check_turn(5);
	::operator delete[](::operator new[](40, std::nothrow), std::nothrow);
	check_turn(6);
	/* The aligned forms are not replaced, and are the library's own. */
	::operator delete (::operator new (40, std::align_val_t{64}), std::align_val_t{64});
	::operator delete[](::operator new[](40, std::align_val_t{64}), 40, std::align_val_t{64});
	check_turn(6);
	return 0;
}
