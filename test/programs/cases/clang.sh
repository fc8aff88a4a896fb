# shellcheck shell=bash disable=SC2034
case_about="clang builds this project and a C++ program"
case_quick=no
case_needs=(clang g++ cmake ninja-build binutils libcmocka-dev python3)
case_programs=('clang*' '*-ld.bfd' cmake ninja templates)
case_timeout=900

# shellcheck source=test/programs/build-tree.sh
source "${here:?}/build-tree.sh"

prepare() {
	copy_tree
}

run_round() {
	build_tree clang clang++
	build_templates clang++
}
