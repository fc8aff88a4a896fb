// spdlog called from a SIGPROF handler over threads that work with strings. spdlog's file sink has a mutex
// of its own, on which a handler would wait for ever that interrupts a logging call of its own thread, with
// any malloc; so the handler alone logs, and malloc is all that it shares with what it interrupts. Right is
// a log with every record, each of them whole.
#include <atomic>
#include <fstream>
#include <thread>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "text_work.hpp"

namespace
{
const unsigned int nr_threads = 3;
const unsigned long nr_wanted = 600;
const std::size_t longest = 3000;
const long interval = 200000; // ns

std::atomic<unsigned long> handled, logged, inside;
std::shared_ptr<spdlog::logger> logger;
char payload[longest + 1];

std::size_t payload_length(unsigned long number)
{
	return number * 7919 % longest;
}

void on_sigprof(int, siginfo_t *, void *context)
{
	int saved = errno;
	unsigned long number = handled++;

	inside += in_allocator(context);
	logger->info("record {} payload {} end {}", number,
		     spdlog::string_view_t(payload, payload_length(number)), number);
	logged++;
	errno = saved;
}

void work()
{
	text_work text;
	timer_t timer = interrupt_this_thread(interval);

	while (logged < nr_wanted)
		text.step();
	CHECK(timer_delete(timer) == 0);
}

std::string expected(unsigned long number)
{
	std::string digits = std::to_string(number);

	return "record " + digits + " payload " + std::string(payload_length(number), 'p') +
	       " end " + digits;
}

void check_line(const std::string &line, std::vector<bool> &seen)
{
	std::size_t start = line.find("record ");
	unsigned long number;

	CHECK_THAT(start != std::string::npos, "no record: %.200s", line.c_str());
	number = std::stoul(line.substr(start + 7));
	CHECK_THAT(number < seen.size() && !seen[number], "record %lu is one too many", number);
	CHECK_THAT(line.substr(start) == expected(number), "record %lu is torn", number);
	seen[number] = true;
}

void check_log(const char *path)
{
	std::vector<bool> seen(handled);
	std::ifstream log(path);
	unsigned long lines = 0;

	for (std::string line; std::getline(log, line); lines++)
		check_line(line, seen);
	CHECK_THAT(lines == handled, "%lu records are logged of %lu", lines, handled.load());
}
} // namespace

int main(int argc, char **argv)
{
	std::vector<std::thread> threads;

	CHECK_THAT(argc == 2, "usage: log_handler FILE");
	find_allocator();
	memset(payload, 'p', longest);
	logger = spdlog::basic_logger_mt("sampler", argv[1], true);
	handle_sigprof(on_sigprof);
	for (unsigned int i = 0; i < nr_threads; i++)
		threads.emplace_back(work);
	for (std::thread &thread : threads)
		thread.join();
	logger->flush();
	check_log(argv[1]);
	return report(handled, inside, 50);
}
