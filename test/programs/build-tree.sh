# shellcheck shell=bash
# Building C and C++ with the compiler of a case.  Sourced by the cases gcc and clang.

# In prepare: a copy of the source tree without what was built in it.
copy_tree() {
	mkdir tree
	tar -C "$TREE" --exclude=./build --exclude=./.git -cf - . | tar -C tree -xf -
	[[ -f tree/CMakeLists.txt ]] || die "$TREE has no CMakeLists.txt to build"
}

# build_tree CC CXX: objects, archives and libraries go to out/.
build_tree() {
	local tests=ON file
	[[ $QUICK == yes ]] && tests=OFF
	subject cmake -S "$INPUT/tree" -B build -G Ninja -DCMAKE_BUILD_TYPE=Release \
		"-DCMAKE_C_COMPILER=$1" "-DCMAKE_CXX_COMPILER=$2" \
		"-DUSLUB_BUILD_TESTS=$tests" >log/configure
	subject cmake --build build --parallel 4 >log/build || die "$(tail -n 30 log/build)"
	while read -r file; do
		install -D -m 644 "build/$file" "out/$file"
	done < <(cd build && find . -path './CMakeFiles/[0-9]*' -prune -o \
		\( -name '*.o' -o -name '*.a' -o -name '*.so' \) -type f -print)
	[[ $(find out -name '*.o' | wc -l) -ge 5 ]] || die "the build left no objects"
}

# build_templates CXX: much compiler memory for little source, and operator new in the result.
build_templates() {
	local level levels=(0 1 2 3) pids=() pid
	[[ $QUICK == yes ]] && levels=(0 2)
	for level in "${levels[@]}"; do
		subject "$1" -std=c++20 "-O$level" -g -Wall -Wextra -c "$DATA/templates.cc" \
			-o "out/templates-$level.o" &
		pids+=("$!")
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	subject "$1" out/templates-2.o -o templates -pthread
	subject ./templates >out/templates
}
