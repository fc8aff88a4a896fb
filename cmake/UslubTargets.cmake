# Targets for people: format, coverage.

find_program(CLANG_FORMAT NAMES clang-format-14 clang-format)
if(CLANG_FORMAT)
	add_custom_target(format
		COMMAND ${PROJECT_SOURCE_DIR}/scripts/format ${CLANG_FORMAT}
		COMMENT "Formatting the C sources in place" VERBATIM)
endif()

if(USLUB_INSTRUMENT STREQUAL "coverage")
	find_program(GCOVR gcovr REQUIRED)
	add_custom_target(coverage
		COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure --no-tests=error
		COMMAND ${GCOVR} --root ${PROJECT_SOURCE_DIR} --filter ${PROJECT_SOURCE_DIR}/core/
			--html-details ${PROJECT_BINARY_DIR}/coverage.html --print-summary
			${PROJECT_BINARY_DIR}
		WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
		COMMENT "Running the tests and writing coverage.html" VERBATIM)
	get_property(unit_tests GLOBAL PROPERTY USLUB_UNIT_TESTS)
	add_dependencies(coverage ${unit_tests})
endif()
