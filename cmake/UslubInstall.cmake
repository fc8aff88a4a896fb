# Install rules, and the ways to find what was installed: pkg-config and find_package(uslub).

include(CMakePackageConfigHelpers)

install(TARGETS uslub uslub_static EXPORT uslub-targets
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
configure_file(
	${PROJECT_SOURCE_DIR}/cmake/uslub.pc.in ${PROJECT_BINARY_DIR}/uslub.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/uslub.pc
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

add_library(uslub::uslub ALIAS uslub)
add_library(uslub::uslub_static ALIAS uslub_static)
