# shellcheck shell=bash disable=SC2034
case_about="python's own tests: json, re, threading, subprocess, ctypes"
case_quick=yes
case_needs=(python3 libpython3.11-testsuite)
case_programs=('python3*')
case_timeout=600

# Names and results of all tests, without durations.
results() {
	python3 - "$1" <<-'END'
		import sys
		import xml.etree.ElementTree as tree
		for case in tree.parse(sys.argv[1]).iter('testcase'):
		    status = ' '.join([case.get('status', ''), case.get('result', '')] +
		                      [child.tag for child in case if child.tag != 'system-out'])
		    print(case.get('name'), status)
	END
}

# PYTHONMALLOC=malloc: every object from malloc, instead of large arenas only.
run_test() {
	subject env PYTHONMALLOC=malloc /usr/bin/python3 -m test --junit-xml "$PWD/$1.xml" "$1" \
		>"log/$1" 2>&1 || return 1
	results "$1.xml" | LC_ALL=C sort >"out/$1"
	[[ $(grep -c completed "out/$1") -gt 10 ]]
}

run_round() {
	local test pids=() failed=()
	# These two mostly sleep, so they run at once.
	run_test test_threading &
	pids+=("$!")
	run_test test_subprocess &
	pids+=("$!")
	for test in test_json test_re test_ctypes; do
		run_test "$test" || failed+=("$test")
	done
	wait "${pids[0]}" || failed+=(test_threading)
	wait "${pids[1]}" || failed+=(test_subprocess)
	for test in "${failed[@]}"; do
		grep -aE '^(FAIL|ERROR|test .* (failed|crashed))|Error|Segm' "log/$test" || true
		tail -n 20 "log/$test"
	done
	((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
	# The allocator of python itself on top.
	subject /usr/bin/python3 -m test test_json test_re >log/pymalloc 2>&1 ||
		die "failed with python's own allocator: $(tail -n 5 log/pymalloc)"
}
