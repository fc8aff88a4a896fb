# shellcheck shell=bash disable=SC2034
case_about="a large SQL script: joins, windows, full text, JSON, vacuum, dump and reload"
case_quick=yes
case_needs=(sqlite3)
case_programs=(sqlite3)
case_timeout=200

run_round() {
	local rows=400000
	[[ $QUICK == yes ]] && rows=100000
	sed "s/@ROWS@/$rows/g" "$DATA/work.sql" >script.sql
	subject sqlite3 -bail data.db <script.sql >out/script
	subject sqlite3 data.db .dump >dump.sql
	sha256sum <dump.sql >out/dump
	subject sqlite3 -bail again.db <dump.sql
	subject sqlite3 again.db 'PRAGMA integrity_check; SELECT count(*), sum(id) FROM item;' \
		>out/again
	expect "rows" "$rows" "$(subject sqlite3 again.db 'SELECT count(*) FROM item;')"
	subject sqlite3 -json :memory: "SELECT value AS v FROM generate_series(1, 50000);" |
		cksum >out/series
}
