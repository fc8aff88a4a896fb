# Tests that run a program under the preloaded library. Used by test/abi and test/stress.
#
#   uslub_test_program(target sources...)      builds, warns, sees check.h; knows nothing of malloc
#   uslub_preload_test(name sources...         a program and its test, ${USLUB_TEST_LABEL}.name
#       [ARGS words...] [OPTIONS value-of-USLUB] [TIMEOUT seconds] [SERIAL])
#   uslub_preload_run(name target              a further test of a program
#       [ARGS ...] [OPTIONS ...] [TIMEOUT ...] [SERIAL])
#   uslub_static_test(name sources...)         a program linked with libuslub.a, and its test
#   uslub_driver_test(name driver.py words...  a Python program that runs programs by itself
#       [TIMEOUT seconds] [SERIAL])
#
# Cross-built, the programs run under the emulator, which is told to preload; a test that says 77 is
# shown as skipped. check.h ends a program at once whose malloc is not the library's.

set(USLUB_TEST_ABI_DIR ${CMAKE_CURRENT_LIST_DIR})
set(USLUB_TEST_EMULATOR "")
if(CMAKE_CROSSCOMPILING)
	if(NOT CMAKE_CROSSCOMPILING_EMULATOR)
		message(FATAL_ERROR "CMAKE_CROSSCOMPILING_EMULATOR is empty: the tests could not run")
	endif()
	set(USLUB_TEST_EMULATOR ${CMAKE_CROSSCOMPILING_EMULATOR})
endif()

function(uslub_test_program target)
	add_executable(${target} ${ARGN})
	target_include_directories(${target} PRIVATE ${USLUB_TEST_ABI_DIR})
	# What the compiler knows of malloc would take the calls out that are tested.
	target_compile_options(${target} PRIVATE
		-O2 -fno-builtin $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-fsized-deallocation>)
	target_link_libraries(${target} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

function(uslub_test_properties test timeout serial)
	set_tests_properties(${test} PROPERTIES
		LABELS ${USLUB_TEST_LABEL}
		TIMEOUT ${timeout}
		RUN_SERIAL ${serial}
		SKIP_RETURN_CODE 77)
endfunction()

function(uslub_preload_run name target)
	cmake_parse_arguments(PARSE_ARGV 2 arg "SERIAL" "OPTIONS;TIMEOUT" "ARGS")
	if(NOT arg_TIMEOUT)
		set(arg_TIMEOUT 120)
	endif()
	set(test ${USLUB_TEST_LABEL}.${name})
	set(environment TEST_ALLOCATOR=libuslub)
	if(DEFINED arg_OPTIONS)
		list(APPEND environment "USLUB=${arg_OPTIONS}")
	endif()
	if(USLUB_TEST_EMULATOR)
		set(head ${USLUB_TEST_EMULATOR} -E LD_PRELOAD=$<TARGET_FILE:uslub>)
		list(APPEND environment TEST_EMULATED=1)
	else()
		set(head "")
		list(APPEND environment LD_PRELOAD=$<TARGET_FILE:uslub>)
	endif()
	add_test(NAME ${test} COMMAND ${head} $<TARGET_FILE:${target}> ${arg_ARGS})
	uslub_test_properties(${test} ${arg_TIMEOUT} ${arg_SERIAL})
	set_tests_properties(${test} PROPERTIES ENVIRONMENT "${environment}")
endfunction()

function(uslub_preload_test name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "OPTIONS;TIMEOUT" "ARGS")
	set(target ${USLUB_TEST_LABEL}_${name})
	set(further ${ARGN})
	list(REMOVE_ITEM further ${arg_UNPARSED_ARGUMENTS})
	uslub_test_program(${target} ${arg_UNPARSED_ARGUMENTS})
	uslub_preload_run(${name} ${target} ${further})
endfunction()

function(uslub_static_test name)
	set(target ${USLUB_TEST_LABEL}_${name})
	set(test ${USLUB_TEST_LABEL}.${name})
	uslub_test_program(${target} ${ARGN})
	target_link_libraries(${target} PRIVATE uslub_static)
	add_test(NAME ${test} COMMAND ${USLUB_TEST_EMULATOR} $<TARGET_FILE:${target}>)
	uslub_test_properties(${test} 120 OFF)
	set_tests_properties(${test} PROPERTIES ENVIRONMENT TEST_ALLOCATOR=${target})
endfunction()

function(uslub_driver_test name driver)
	cmake_parse_arguments(PARSE_ARGV 2 arg "SERIAL" "TIMEOUT" "")
	if(NOT arg_TIMEOUT)
		set(arg_TIMEOUT 120)
	endif()
	set(test ${USLUB_TEST_LABEL}.${name})
	add_test(NAME ${test}
		COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/${driver}
			${arg_UNPARSED_ARGUMENTS})
	uslub_test_properties(${test} ${arg_TIMEOUT} ${arg_SERIAL})
	set_tests_properties(${test} PROPERTIES ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
endfunction()
