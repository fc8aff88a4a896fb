# shellcheck shell=bash disable=SC2034
case_about="hashes, regular expressions, sorting, interpreter threads and fork in perl"
case_quick=yes
case_needs=(perl)
case_programs=(perl)
case_timeout=120

run_round() {
	local scale=3
	[[ $QUICK == yes ]] && scale=1
	subject perl "$DATA/work.pl" "$scale" >out/work
	# The hash seed is fixed to compare an order that depends on it.
	# shellcheck disable=SC2016
	subject env PERL_HASH_SEED=7 PERL_PERTURB_KEYS=0 \
		perl -MData::Dumper -e 'print Dumper({ map { $_ => [1 .. $_ % 5] } 1 .. 20000 })' |
		cksum >out/dumper
}
