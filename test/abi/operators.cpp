// Every operator new and delete of C++17, called by its own name: all replaceable, all ours.
#include <malloc.h>

#include <cstddef>
#include <new>
#include <string>
#include <vector>

#include "check.h"

namespace
{

const std::size_t sizes[] = {0, 1, 8, 64, 100, 1000, 4096, 50000, 300000, 5u << 20};
const std::size_t aligns[] = {1, 2, 8, 16, 32, 64, 256, 4096, 65536, 1u << 21};

template <typename T> T *hidden(T *p)
{
	return static_cast<T *>(opaque(p));
}

void *used(void *p, std::size_t n, std::size_t align)
{
	CHECK_THAT(p, "new of %zu bytes gave null", n);
	CHECK(is_aligned(p, align) && is_aligned(p, 16));
	CHECK(malloc_usable_size(p) >= n);
	memset(p, 0x33, n);
	return p;
}

void plain(std::size_t n)
{
	::operator delete(used(::operator new(n), n, 16));
	::operator delete(used(::operator new(n), n, 16), n);
	::operator delete(used(::operator new(n), n, 16), std::nothrow);
	::operator delete(used(::operator new(n, std::nothrow), n, 16));
	::operator delete(used(::operator new(n, std::nothrow), n, 16), std::nothrow);
	::operator delete[](used(::operator new[](n), n, 16));
	::operator delete[](used(::operator new[](n), n, 16), n);
	::operator delete[](used(::operator new[](n), n, 16), std::nothrow);
	::operator delete[](used(::operator new[](n, std::nothrow), n, 16));
	::operator delete[](used(::operator new[](n, std::nothrow), n, 16), std::nothrow);
}

void aligned(std::size_t n, std::size_t align)
{
	const std::align_val_t at{align};

	::operator delete(used(::operator new(n, at), n, align), at);
	::operator delete(used(::operator new(n, at), n, align), n, at);
	::operator delete(used(::operator new(n, at), n, align), at, std::nothrow);
	::operator delete(used(::operator new(n, at, std::nothrow), n, align), at);
	::operator delete[](used(::operator new[](n, at), n, align), at);
	::operator delete[](used(::operator new[](n, at), n, align), n, at);
	::operator delete[](used(::operator new[](n, at), n, align), at, std::nothrow);
	::operator delete[](used(::operator new[](n, at, std::nothrow), n, align), at);
}

// Laundered each time: the compiler believes that what was deleted once is gone.
void *null()
{
	return opaque(nullptr);
}

void null_may_be_deleted()
{
	::operator delete(null());
	::operator delete (null(), std::size_t{8});
	::operator delete(null(), std::nothrow);
	::operator delete (null(), std::align_val_t{64});
	::operator delete (null(), std::size_t{64}, std::align_val_t{64});
	::operator delete[](null());
	::operator delete[](null(), std::size_t{8});
	::operator delete[](null(), std::nothrow);
	::operator delete[](null(), std::align_val_t{64});
	::operator delete[](null(), std::size_t{64}, std::align_val_t{64});
}

void zero_is_unique()
{
	void *p = ::operator new(0);
	void *q = ::operator new(0);

	CHECK(p && q && p != q);
	::operator delete(p);
	::operator delete(q);
}

struct alignas(128) Wide {
	char text[200];
};

void expressions()
{
	Wide *one = hidden(new Wide());
	Wide *many = hidden(new Wide[9]);
	std::vector<std::string> words;

	CHECK(is_aligned(one, 128) && is_aligned(many, 128));
	delete one;
	delete[] many;
	for (int i = 0; i < 10000; i++)
		words.push_back("a word too long to be held in place " + std::to_string(i));
	for (int i = 0; i < 10000; i++)
		CHECK(words[static_cast<std::size_t>(i)].back() == '0' + i % 10);
}

// malloc and new are one heap: much code mixes them.
void mixes_with_malloc()
{
	void *p = ::operator new(100);

	memset(p, 0x21, 100);
	p = realloc(p, 5000);
	CHECK(p && all_bytes(p, 0x21, 100));
	free(p);
	::operator delete(malloc(opaque_size(100)));
}

// new and delete keep errno, as free does.
void keeps_errno()
{
	for (std::size_t n : sizes) {
		errno = 4711;
		::operator delete(used(::operator new(n), n, 16));
		CHECK(errno == 4711);
	}
}

} // namespace

int main()
{
	for (std::size_t n : sizes) {
		plain(n);
		for (std::size_t align : aligns)
			aligned(n, align);
	}
	null_may_be_deleted();
	zero_is_unique();
	expressions();
	mixes_with_malloc();
	keeps_errno();
	puts("operators: ok");
	return 0;
}
