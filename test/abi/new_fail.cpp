// A failing new: the new-handler again and again, then std::bad_alloc; or null from nothrow.
#include <sys/mman.h>

#include <cstddef>
#include <new>

#include "proc.h"

namespace
{

const std::size_t too_big = static_cast<std::size_t>(PTRDIFF_MAX) + 1;

struct OwnError {
	int code;
};

int calls;

void gives_up_at_third_call()
{
	if (++calls == 3)
		std::set_new_handler(nullptr);
}

void throws_own_error()
{
	calls++;
	throw OwnError{77};
}

void throws_bad_alloc()
{
	calls++;
	throw std::bad_alloc();
}

using Allocate = void *(*)(std::size_t);

void *plain(std::size_t n)
{
	return ::operator new(n);
}

void *array(std::size_t n)
{
	return ::operator new[](n);
}

void *aligned(std::size_t n)
{
	return ::operator new (n, std::align_val_t{256});
}

void *aligned_array(std::size_t n)
{
	return ::operator new[](n, std::align_val_t{1u << 20});
}

void *quiet(std::size_t n)
{
	return ::operator new(n, std::nothrow);
}

void *quiet_array(std::size_t n)
{
	return ::operator new[](n, std::nothrow);
}

void *quiet_aligned(std::size_t n)
{
	return ::operator new (n, std::align_val_t{256}, std::nothrow);
}

void *quiet_aligned_array(std::size_t n)
{
	return ::operator new[](n, std::align_val_t{1u << 20}, std::nothrow);
}

const Allocate throwing[] = {plain, array, aligned, aligned_array};
const Allocate nothrow[] = {quiet, quiet_array, quiet_aligned, quiet_aligned_array};

// The destructor shows that the frames between are unwound.
struct Witness {
	int *count;
	~Witness()
	{
		++*count;
	}
};

bool throws_bad_alloc_from(Allocate allocate, std::size_t n)
{
	int unwound = 0;

	try {
		Witness witness{&unwound};
		void *p = allocate(opaque_size(n));

		CHECK_THAT(false, "%zu bytes were found at %p", n, p);
	} catch (const std::bad_alloc &error) {
		CHECK(strcmp(error.what(), "std::bad_alloc") == 0);
		CHECK(unwound == 1);
		return true;
	}
	return false;
}

void without_a_handler()
{
	std::set_new_handler(nullptr);
	for (Allocate allocate : throwing) {
		CHECK(throws_bad_alloc_from(allocate, too_big));
		CHECK(throws_bad_alloc_from(allocate, PTRDIFF_MAX));
		// libstdc++ rounds these up to the alignment, and thereby to 0.
		if (!strict() && (allocate == aligned || allocate == aligned_array))
			continue;
		CHECK(throws_bad_alloc_from(allocate, SIZE_MAX));
		CHECK(throws_bad_alloc_from(allocate, SIZE_MAX - 4096));
	}
	for (Allocate allocate : nothrow)
		CHECK(!allocate(opaque_size(too_big)));
}

void handler_is_called_until_it_is_gone()
{
	for (Allocate allocate : throwing) {
		calls = 0;
		std::set_new_handler(gives_up_at_third_call);
		CHECK(throws_bad_alloc_from(allocate, too_big));
		CHECK_THAT(calls == 3, "the handler was called %d times", calls);
		CHECK(!std::get_new_handler());
	}
	for (Allocate allocate : nothrow) {
		calls = 0;
		std::set_new_handler(gives_up_at_third_call);
		CHECK(!allocate(opaque_size(too_big)));
		CHECK_THAT(calls == 3, "nothrow: the handler was called %d times", calls);
	}
}

void own_error_passes_through()
{
	std::set_new_handler(throws_own_error);
	for (Allocate allocate : throwing) {
		int unwound = 0;

		calls = 0;
		try {
			Witness witness{&unwound};

			allocate(opaque_size(too_big));
			CHECK(false);
		} catch (const OwnError &error) {
			CHECK(error.code == 77 && calls == 1 && unwound == 1);
		}
	}
	std::set_new_handler(nullptr);
}

// nothrow new ends a handler's exception itself, as its noexcept demands.
void nothrow_swallows_what_the_handler_throws()
{
	std::set_new_handler(throws_bad_alloc);
	for (Allocate allocate : nothrow) {
		calls = 0;
		CHECK(!allocate(opaque_size(too_big)));
		CHECK(calls == 1);
	}
	std::set_new_handler(nullptr);
}

void lift_the_limit()
{
	struct rlimit limit;

	calls++;
	CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

bool set_limit(std::size_t room)
{
	struct rlimit limit;
	void *p;

	CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = address_space_bytes() + room;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	p = mmap(nullptr, 8 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		munmap(p, 8 * room);
	return p == MAP_FAILED;
}

// A handler that finds memory: new succeeds after all.
void handler_that_helps()
{
	for (Allocate allocate : throwing) {
		if (!set_limit(64 * MIB)) {
			puts("RLIMIT_AS has no effect here: no handler_that_helps");
			return;
		}
		calls = 0;
		std::set_new_handler(lift_the_limit);
		void *p = allocate(opaque_size(3 * GIB));
		CHECK(p && calls >= 1);
		::operator delete(p);
		std::set_new_handler(nullptr);
	}
}

// No power of two: undefined in C++, but it must end as libstdc++ ends it, not in a wild object.
void bad_alignment()
{
	CHECK(!::operator new (100, std::align_val_t{opaque_size(24)}, std::nothrow));
	try {
		::operator delete(::operator new (100, std::align_val_t{opaque_size(24)}));
		CHECK(false);
	} catch (const std::bad_alloc &) {
	}
}

} // namespace

int main()
{
	without_a_handler();
	handler_is_called_until_it_is_gone();
	own_error_passes_through();
	nothrow_swallows_what_the_handler_throws();
	handler_that_helps();
	bad_alignment();
	puts("new_fail: ok");
	return 0;
}
