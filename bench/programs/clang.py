# SPDX-License-Identifier: MIT
"""clang++ -O1 on C++ with heavy headers of the standard library."""

import hashlib

NEEDS = {"clang-14": "clang++-14", "libstdc++-12-dev": "/usr/include/c++/12/regex"}
RUNS = ("clang++-14",)
QUICK, FULL = 1, 4  # tables; with more than one, regular expressions, too

SOURCE = r"""
#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
#if COUNT > 1
#include <regex>
#endif

template <int N> struct Table {
    std::map<std::string, std::vector<std::variant<int, double, std::string>>> rows;
    std::unordered_map<int, std::function<int(int)>> actions;
    int fill(const std::string &text)
    {
#if COUNT > 1
        std::regex words("([a-z]+)=([0-9]+)");
        for (std::sregex_iterator at(text.begin(), text.end(), words), end; at != end; ++at)
            rows[(*at)[1]].push_back(std::stoi((*at)[2]) + N);
#else
        rows[text].push_back(N);
#endif
        actions[N] = [this](int value) { return int(rows.size()) * value + N; };
        return actions[N](N);
    }
};

template <int... Numbers> int all(std::integer_sequence<int, Numbers...>, const std::string &text)
{
    return (Table<Numbers>().fill(text) + ...);
}

int main()
{
    std::ostringstream text;
    std::mt19937 chance(7);
    for (int i = 0; i < 100; i++)
        text << "name" << "=" << chance() % 1000 << ' ';
    std::cout << all(std::make_integer_sequence<int, COUNT>(), text.str()) << '\n';
}
"""


def setup(box):
    (box.input / "tables.cc").write_text(SOURCE)


def command(box):
    return ["clang++-14", "-std=c++20", "-O1", f"-DCOUNT={box.size}", "-c",
            box.input / "tables.cc", "-o", box.run / "tables.o"]


def result(box, _output):
    return hashlib.sha256((box.run / "tables.o").read_bytes()).hexdigest()
