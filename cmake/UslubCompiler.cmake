# Language, warnings and instrumentation for every target of the tree.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

# Debug information costs the running program nothing, and a core dump of it is worth having.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g -DNDEBUG")

add_compile_options(
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual -Wundef -Wvla
	"$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>"
	"$<$<COMPILE_LANG_AND_ID:C,Clang>:-Wthread-safety>")

# Empty, so that a file which defines it for itself says the same.
add_compile_definitions("$<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>")
if(USLUB_DEBUG)
	add_compile_definitions(USLUB_DEBUG=1)
endif()

if(USLUB_INSTRUMENT STREQUAL "asan")
	set(instrument -fsanitize=address,undefined -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
elseif(USLUB_INSTRUMENT STREQUAL "tsan")
	set(instrument -fsanitize=thread -fno-omit-frame-pointer)
elseif(USLUB_INSTRUMENT STREQUAL "coverage")
	set(instrument --coverage -fprofile-update=atomic)
elseif(USLUB_INSTRUMENT STREQUAL "")
	set(instrument "")
else()
	message(FATAL_ERROR
		"USLUB_INSTRUMENT is '${USLUB_INSTRUMENT}': it must be asan, tsan, coverage or empty")
endif()
add_compile_options(${instrument})
add_link_options(${instrument})

# What an implementation of malloc needs from its compiler.
add_library(uslub_codegen INTERFACE)
target_compile_options(uslub_codegen INTERFACE
	# preload/uslub.ld puts some of them together.
	-ffunction-sections
	-fvisibility=hidden
	-ftls-model=initial-exec
	# The compiler knows what malloc does; in here that knowledge is wrong.
	-fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
	-fno-builtin-aligned_alloc -fno-builtin-memalign -fno-builtin-posix_memalign
	# Objects change their type when they go on a freelist.
	-fno-strict-aliasing
	# Two stores of a word each are faster than joining them in a vector register first.
	-fno-tree-slp-vectorize
	# Exceptions and debuggers unwind through us from any instruction.
	-fasynchronous-unwind-tables)
if(USLUB_INSTRUMENT STREQUAL "")
	target_compile_options(uslub_codegen INTERFACE
		-fno-plt -fno-semantic-interposition
		-fomit-frame-pointer -fno-stack-protector)
endif()
