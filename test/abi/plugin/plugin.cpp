// A C++ plugin of a C program: its failing new must end in its own catch.
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace
{

int handler_calls;

void handler()
{
	if (++handler_calls == 2)
		std::set_new_handler(nullptr);
}

std::size_t too_big()
{
	volatile std::size_t n = static_cast<std::size_t>(PTRDIFF_MAX) + 1;

	return n;
}

int fails_plainly()
{
	try {
		::operator delete(::operator new(too_big()));
	} catch (const std::bad_alloc &) {
		return 0;
	}
	return 1;
}

int fails_aligned()
{
	try {
		::operator delete[](::operator new[](too_big(), std::align_val_t{512}));
	} catch (const std::bad_alloc &) {
		return 0;
	}
	return 1;
}

} // namespace

extern "C" {

// 0, or the number of the first step that went wrong.
int plugin_run()
{
	if (fails_plainly())
		return 1;
	if (fails_aligned())
		return 2;
	handler_calls = 0;
	std::set_new_handler(handler);
	if (fails_plainly())
		return 3;
	if (handler_calls != 2)
		return 4;
	if (::operator new(too_big(), std::nothrow))
		return 5;
	try {
		std::string text(static_cast<std::size_t>(1) << 20, 'x');

		text.at(text.size());
		return 6;
	} catch (const std::out_of_range &) {
	}
	return 0;
}

void *plugin_new(std::size_t n)
{
	return ::operator new(n);
}

void plugin_delete(void *p)
{
	::operator delete(p);
}
}
