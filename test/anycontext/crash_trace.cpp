// A program with backward-cpp's crash handler. Three threads are busy with strings; at a random moment one
// of them gets a SIGSEGV, and the handler, in that thread, prints a trace: with malloc, C++ streams and
// backtrace_symbols(). Right is a whole trace, down to the name of the signal, and death by that signal.
// The other threads go on meanwhile.
#include <atomic>
#include <thread>

#include <backward.hpp>

#include "text_work.hpp"

namespace
{
const unsigned int nr_threads = 3;
std::atomic<unsigned int> ready;
} // namespace

// The trace must name it: it is exported, and stays a frame of its own.
extern "C" void busy_with_strings();
__attribute__((noinline)) void busy_with_strings()
{
	text_work work;

	for (unsigned long steps = 0;; steps++) {
		if (steps == 5000)
			ready++;
		work.step();
	}
}

int main()
{
	backward::SignalHandling crash_handler;
	std::vector<std::thread> threads;
	std::uint64_t random = random_start();

	CHECK(crash_handler.loaded());
	for (unsigned int i = 0; i < nr_threads; i++)
		threads.emplace_back([] { busy_with_strings(); });
	while (ready < nr_threads)
		std::this_thread::yield();
	std::this_thread::sleep_for(std::chrono::microseconds(next_random(&random) % 20000));
	pthread_kill(threads[next_random(&random) % nr_threads].native_handle(), SIGSEGV);
	for (std::thread &thread : threads)
		thread.join();
	return 1;
}
