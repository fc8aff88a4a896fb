// SPDX-License-Identifier: MIT
/*
 * C++ for the compiler cases: templates enough to make the compiler work, and a program that uses
 * every kind of operator new.  Prints the same on every run.
 */
#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

class Random {
public:
	explicit Random(std::uint32_t seed) : state_(seed) {}
	std::uint32_t operator()(std::uint32_t below)
	{
		state_ = state_ * 1664525u + 1013904223u;
		return (state_ >> 8) % below;
	}

private:
	std::uint32_t state_;
};

struct alignas(256) Wide {
	unsigned char bytes[512];
};

struct Shape {
	virtual ~Shape() = default;
	virtual double area() const = 0;
};

template <std::size_t Sides> struct Polygon final : Shape {
	explicit Polygon(double side) : sides(Sides, side) {}
	double area() const override
	{
		return std::accumulate(sides.begin(), sides.end(), 0.0) * Sides;
	}
	std::vector<double> sides;
};

template <std::size_t... Sides>
std::unique_ptr<Shape> make_polygon(std::size_t which, double side, std::index_sequence<Sides...>)
{
	std::unique_ptr<Shape> shape;
	((which == Sides ? void(shape = std::make_unique<Polygon<Sides + 3>>(side)) : void()), ...);
	return shape;
}

template <class Container> std::size_t churn(std::uint32_t seed)
{
	Random random(seed);
	Container container;
	std::size_t total = 0;
	for (int i = 0; i < 40000; i++) {
		std::string word(random(60), static_cast<char>('a' + random(26)));
		container.insert(container.end(), word + std::to_string(random(1000)));
		if (container.size() > 3000)
			container.erase(container.begin());
	}
	for (const auto &word : container)
		total = total * 31 + word.size();
	return total;
}

std::uint64_t in_threads()
{
	std::vector<std::future<std::uint64_t>> results;
	for (std::uint32_t seed = 1; seed <= 8; seed++)
		results.push_back(std::async(std::launch::async, [seed] {
			Random random(seed);
			std::unordered_map<std::string, std::shared_ptr<std::vector<std::uint32_t>>> map;
			for (int i = 0; i < 30000; i++) {
				auto &list = map["key" + std::to_string(random(2000))];
				if (!list || list->size() > 20)
					list = std::make_shared<std::vector<std::uint32_t>>();
				list->push_back(random(100));
			}
			std::uint64_t sum = 0;
			for (const auto &[key, list] : map)
				sum += std::accumulate(list->begin(), list->end(), std::uint64_t(0));
			return sum;
		}));
	return std::accumulate(results.begin(), results.end(), std::uint64_t(0),
			       [](std::uint64_t sum, auto &result) { return sum + result.get(); });
}

std::size_t words_of(const std::string &text)
{
	std::regex word("([a-z]+)([0-9]*)");
	std::map<std::string, std::size_t, std::greater<>> lengths;
	for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it)
		lengths[(*it)[1].str()] += (*it)[2].length();
	return std::accumulate(lengths.begin(), lengths.end(), std::size_t(0),
			       [](std::size_t sum, const auto &pair) { return sum + pair.second; });
}

std::size_t aligned_objects()
{
	std::vector<std::unique_ptr<Wide>> wides;
	std::size_t misaligned = 0;
	for (int i = 0; i < 500; i++) {
		wides.push_back(std::make_unique<Wide>());
		misaligned += reinterpret_cast<std::uintptr_t>(wides.back().get()) % alignof(Wide) != 0;
	}
	return misaligned;
}

int exceptions()
{
	int caught = 0;
	for (int i = 0; i < 2000; i++) {
		try {
			std::string where(static_cast<std::size_t>(i % 200), 'e');
			throw std::runtime_error(where + std::to_string(i));
		} catch (const std::exception &e) {
			caught += static_cast<int>(std::string(e.what()).size());
		}
	}
	/* More than there is; the functions, as a compiler may leave out expressions. */
	try {
		::operator delete(::operator new(PTRDIFF_MAX));
	} catch (const std::bad_alloc &) {
		caught++;
	}
	if (void *none = ::operator new(PTRDIFF_MAX, std::nothrow))
		::operator delete(none);
	else
		caught++;
	return caught;
}

double polygons()
{
	Random random(5);
	std::deque<std::unique_ptr<Shape>> shapes;
	double total = 0;
	for (int i = 0; i < 20000; i++) {
		shapes.push_back(
			make_polygon(random(12), 1.0 + random(9), std::make_index_sequence<12>{}));
		if (shapes.size() > 500)
			shapes.erase(shapes.begin() + random(500));
	}
	for (const auto &shape : shapes)
		total += shape->area();
	return total;
}

std::size_t pools()
{
	std::pmr::synchronized_pool_resource pool;
	std::pmr::map<int, std::pmr::string> names(&pool);
	std::size_t total = 0;
	for (int i = 0; i < 20000; i++)
		names[i * 7919 % 5003] += std::to_string(i);
	for (const auto &[key, name] : names)
		total = total * 33 + name.size() + static_cast<std::size_t>(key);
	return total;
}

std::string variants()
{
	using Value = std::variant<int, std::string, std::vector<int>, std::map<int, std::string>>;
	std::vector<Value> values;
	for (int i = 0; i < 4000; i++) {
		switch (i % 4) {
		case 0: values.emplace_back(i); break;
		case 1: values.emplace_back(std::string(static_cast<std::size_t>(i % 90), 'v')); break;
		case 2: values.emplace_back(std::vector<int>(static_cast<std::size_t>(i % 50), i)); break;
		default: values.emplace_back(std::map<int, std::string>{{i, "x"}, {-i, "y"}}); break;
		}
	}
	std::ranges::stable_sort(values, {}, &Value::index);
	std::ostringstream text;
	for (const auto &value : values)
		std::visit([&text](const auto &held) { text << sizeof(held) << ' '; }, value);
	return std::to_string(std::hash<std::string>{}(text.str()) != 0) + " " +
	       std::to_string(text.str().size());
}

} // namespace

int main()
{
	std::string text;
	for (int i = 0; i < 3000; i++)
		text += std::string(static_cast<std::size_t>(i % 7), 'q') + std::to_string(i) + " ";
	std::cout << "vector " << churn<std::vector<std::string>>(1) << "\nlist "
		  << churn<std::list<std::string>>(2) << "\nset "
		  << churn<std::multiset<std::string>>(3) << "\nthreads " << in_threads()
		  << "\nwords " << words_of(text) << "\nmisaligned " << aligned_objects()
		  << "\ncaught " << exceptions() << "\npolygons " << polygons() << "\npools "
		  << pools() << "\nvariants " << variants() << '\n';
	return 0;
}
