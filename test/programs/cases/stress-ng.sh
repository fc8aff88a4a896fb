# shellcheck shell=bash disable=SC2034
case_about="stress-ng --malloc, with verification, threads, and other stressors that allocate"
case_quick=yes
case_needs=(stress-ng)
case_programs=('stress-ng*')
case_timeout=300

# run NAME OPTION...: a fixed number of operations; the summary says how many failed.
run() {
	local name=$1
	shift
	subject stress-ng --verify --seed 7 --metrics --temp-path tmp --timeout 100 \
		--log-file "log/$name" "$@" >"log/$name-output" 2>&1 ||
		die "stress-ng $name: $(tail -n 5 "log/$name-output")"
	grep -qE 'successful run completed' "log/$name" || die "stress-ng $name did not complete"
	if grep -E 'fail:|error:' "log/$name"; then
		die "stress-ng $name found an error"
	fi
	echo "$name: completed"
}

run_round() {
	local ops=200000
	[[ $QUICK == yes ]] && ops=20000
	{
		run malloc --malloc 2 --malloc-ops "$ops" --malloc-bytes 4M --malloc-max 500
		run threads --malloc 2 --malloc-ops "$ops" --malloc-pthreads 4 --malloc-max 2000
		run touch --malloc 1 --malloc-ops "$((ops / 10))" --malloc-touch --malloc-thresh 64K
		run zero --malloc 2 --malloc-ops "$((ops / 10))" --malloc-zerofree --malloc-bytes 1M
		run bigheap --bigheap 1 --bigheap-ops 2000
		run others --tree 1 --tree-ops 5 --tree-size 20000 --hsearch 1 --hsearch-ops 20 \
			--qsort 1 --qsort-ops 5 --str 1 --str-ops 200 --list 1 --list-ops 20
	} >out/runs
}
