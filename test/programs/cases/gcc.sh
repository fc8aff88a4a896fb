# shellcheck shell=bash disable=SC2034
case_about="gcc, g++, as, ld, cmake and ninja build this project and a C++ program"
case_quick=yes
case_needs=(gcc g++ cmake ninja-build binutils libcmocka-dev python3)
case_programs=(cc1 cc1plus '*-as' '*-ld.bfd' cmake ninja templates)
case_timeout=900

# shellcheck source=test/programs/build-tree.sh
source "${here:?}/build-tree.sh"

prepare() {
	copy_tree
}

run_round() {
	build_tree gcc g++
	build_templates g++
}
