# shellcheck shell=bash disable=SC2034
case_about="mariadbd: a new data directory, SQL, concurrent transfers, dump and reload, restart"
case_quick=no
case_needs=(mariadb-server mariadb-client)
case_programs=(mariadbd mariadb mariadb-dump)
case_timeout=400

client() {
	subject_as mysql mariadb --no-defaults -u root -S "$PWD/tmp/m.sock" --batch "$@"
}

start_mariadb() {
	start_server_as mysql "mariadbd-$1" mariadbd --no-defaults --datadir="$PWD/data" \
		--socket="$PWD/tmp/m.sock" --tmpdir="$PWD/tmp" --pid-file="$PWD/tmp/m.pid" \
		--skip-networking --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=0 \
		--innodb-flush-method=fsync --performance-schema=ON
	wait_until 60 client -e 'SELECT 1'
}

# Money moves between accounts at once from many connections; the sum must stay.
transfer() {
	local number=$1 i
	for ((i = 0; i < transfers; i++)); do
		cat <<-END
			CALL transfer($(((i * 7 + number) % 50)), $(((i * 11 + number * 3 + 1) % 50)), $((i % 9)));
			SELECT SQL_NO_CACHE count(*), repeat('y', $((i % 3000))) FROM account WHERE id > $i % 40;
		END
	done | client bench >"log/transfer-$number"
}

concurrent_transfers() {
	local transfers=1500 number pids=() pid
	[[ $QUICK == yes ]] && transfers=150
	for number in 1 2 3 4 5 6; do
		transfer "$number" &
		pids+=("$!")
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	client bench -N -e 'SELECT sum(money) FROM account'
}

run_round() {
	local rows=200000
	[[ $QUICK == yes ]] && rows=20000
	mkdir data
	give_to mysql data tmp home
	subject_as mysql mariadb-install-db --no-defaults --datadir="$PWD/data" --tmpdir="$PWD/tmp" \
		--auth-root-authentication-method=normal --skip-test-db >log/install 2>&1
	start_mariadb first
	sed "s/@ROWS@/$rows/g" "$DATA/mariadb.sql" >script.sql
	client <script.sql >out/sql
	concurrent_transfers >out/sum
	expect "the sum of all accounts" 50000 "$(cat out/sum)"
	dump >dump.sql
	sha256sum <dump.sql >out/dump
	client -e 'CREATE DATABASE again'
	client again <dump.sql
	checksums again >out/again
	stop_server
	start_mariadb second
	checksums bench >out/restarted
	stop_server
	diff <(sed 's/again/X/' out/again) <(sed 's/bench/X/' out/restarted) ||
		die "the reloaded data is not the data"
	if grep -aE '\[ERROR\]|signal|Assertion' log/mariadbd-first log/mariadbd-second; then
		die "mariadbd complains"
	fi
}

dump() {
	subject_as mysql mariadb-dump --no-defaults -u root -S "$PWD/tmp/m.sock" --skip-dump-date \
		--ignore-table=bench.account bench
}

checksums() {
	client -N "$1" -e 'CHECKSUM TABLE item, document EXTENDED; CHECK TABLE item, document EXTENDED;'
}
