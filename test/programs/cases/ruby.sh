# shellcheck shell=bash disable=SC2034
case_about="strings, hashes, threads, fork, Marshal, JSON and a compacting collector in ruby"
case_quick=yes
case_needs=(ruby)
case_programs=('ruby*')
case_timeout=150

run_round() {
	local scale=4
	[[ $QUICK == yes ]] && scale=1
	subject ruby "$DATA/work.rb" "$scale" >out/work
	# The collector at every chance.
	subject ruby -e 'GC.stress = true; puts (1..60).map { |i| "s" * i }.join.size' >out/stress
}
