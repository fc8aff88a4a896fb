# shellcheck shell=bash disable=SC2034
case_about="worker threads, streams, zlib, crypto, child processes and JSON in node"
case_quick=no
case_needs=(nodejs=node)
case_programs=(node)
case_timeout=240

run_round() {
	local scale=4
	[[ $QUICK == yes ]] && scale=1
	subject node "$DATA/work.js" "$scale" >out/work
	subject node --expose-gc --stress-compaction "$DATA/work.js" 1 >out/stress
}
