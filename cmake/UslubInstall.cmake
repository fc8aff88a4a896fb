# Install rules, and the ways to find what was installed: pkg-config and find_package(uslub).

include(CMakePackageConfigHelpers)

# Installed, the log brings the malloc that its promise rests on.
target_link_libraries(uslub_siglog INTERFACE $<INSTALL_INTERFACE:uslub::uslub>)
target_link_libraries(uslub_siglog_static INTERFACE $<INSTALL_INTERFACE:uslub::uslub_static>)

install(TARGETS uslub uslub_static uslub_siglog uslub_siglog_static EXPORT uslub-targets
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/uslub
	DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
	FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/uslub)
install(EXPORT uslub-targets NAMESPACE uslub:: DESTINATION ${package_dir})
configure_package_config_file(
	${PROJECT_SOURCE_DIR}/cmake/uslub-config.cmake.in
	${PROJECT_BINARY_DIR}/uslub-config.cmake
	INSTALL_DESTINATION ${package_dir}
	NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
	${PROJECT_BINARY_DIR}/uslub-config-version.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES
	${PROJECT_BINARY_DIR}/uslub-config.cmake
	${PROJECT_BINARY_DIR}/uslub-config-version.cmake
	DESTINATION ${package_dir})

# Seen from its own place the file works wherever the prefix is moved to.
file(RELATIVE_PATH pc_prefix
	/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
foreach(package IN ITEMS uslub uslub-siglog)
	configure_file(${PROJECT_SOURCE_DIR}/cmake/${package}.pc.in
		${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/uslub.pc ${PROJECT_BINARY_DIR}/uslub-siglog.pc
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

add_library(uslub::uslub ALIAS uslub)
add_library(uslub::uslub_static ALIAS uslub_static)
add_library(uslub::uslub_siglog ALIAS uslub_siglog)
add_library(uslub::uslub_siglog_static ALIAS uslub_siglog_static)
