// What the threads of the C++ programs of test/anycontext are busy with: strings that are made with room for
// up to 100 kB, joined from pieces, and dropped.
#ifndef USLUB_TEST_TEXT_WORK_HPP
#define USLUB_TEST_TEXT_WORK_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "interrupt.h"

class text_work
{
      public:
	text_work() : random(random_start()), lines(1000)
	{
	}

	void step()
	{
		std::string &line = lines[next_random(&random) % lines.size()];
		const std::string &other = lines[next_random(&random) % lines.size()];
		std::string longer;

		longer.reserve(next_random(&random) % longest);
		longer.append(other, 0, 50);
		longer += std::to_string(next_random(&random));
		CHECK(line.empty() || line.back() == 'a');
		line = std::move(longer);
		line += 'a';
	}

      private:
	static const std::size_t longest = 100000;

	std::uint64_t random;
	std::vector<std::string> lines;
};

#endif
