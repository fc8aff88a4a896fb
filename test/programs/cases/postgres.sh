# shellcheck shell=bash disable=SC2034
case_about="postgres: initdb, pgbench with its sums checked, SQL, parallel plans, dump, restart"
case_quick=no
case_needs=(postgresql)
case_programs=(postgres initdb pgbench psql pg_dump)
case_timeout=400

# Its programs are not in the PATH of Debian, and psql's there is a wrapper.
find_programs() {
	bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)
	[[ -x $bin/postgres ]] || die "no postgres below /usr/lib/postgresql"
}

as_postgres() {
	subject_as postgres "$bin/$1" "${@:2}"
}

sql() {
	as_postgres psql -X -q -A -h "$PWD/tmp" -d bench -v ON_ERROR_STOP=1 "$@"
}

start_postgres() {
	start_server_as postgres "postgres-$1" "$bin/postgres" -D "$PWD/data" -k "$PWD/tmp" \
		-c listen_addresses= -c fsync=off -c shared_buffers=64MB -c max_connections=30 \
		-c work_mem=2MB -c autovacuum_naptime=3s -c jit=on -c jit_above_cost=1000 \
		-c max_parallel_workers_per_gather=2 -c min_parallel_table_scan_size=0 \
		-c parallel_setup_cost=0 -c log_min_messages=warning
	wait_until 60 as_postgres psql -X -h "$PWD/tmp" -d postgres -c 'SELECT 1'
}

benchmark() {
	local transactions=3000
	[[ $QUICK == yes ]] && transactions=300
	as_postgres pgbench -h "$PWD/tmp" -i -q -s 4 bench >log/pgbench-init 2>&1
	for mode in simple prepared; do
		as_postgres pgbench -h "$PWD/tmp" -n -c 6 -j 2 -M "$mode" -t "$transactions" \
			--random-seed=7 bench >"log/pgbench-$mode" 2>&1
		grep 'transactions actually processed' "log/pgbench-$mode"
		grep 'failed transactions' "log/pgbench-$mode"
	done
	# What was paid must be the same in all four tables.
	sql -t -c "SELECT count(DISTINCT total) FROM (
		SELECT sum(abalance) AS total FROM pgbench_accounts UNION ALL
		SELECT sum(bbalance) FROM pgbench_branches UNION ALL
		SELECT sum(tbalance) FROM pgbench_tellers UNION ALL
		SELECT sum(delta) FROM pgbench_history) AS totals"
}

run_round() {
	local rows=300000 bin
	[[ $QUICK == yes ]] && rows=30000
	find_programs
	export PGUSER=postgres
	mkdir data
	chmod 700 data
	give_to postgres data tmp home
	as_postgres initdb -D "$PWD/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
		--no-instructions >log/initdb 2>&1
	start_postgres first
	as_postgres psql -X -q -h "$PWD/tmp" -d postgres -c 'CREATE DATABASE bench'
	benchmark >out/benchmark
	expect "sums that differ" 1 "$(tail -n 1 out/benchmark)"
	sql -v "rows=$rows" -f "$DATA/postgres.sql" >out/sql
	as_postgres pg_dump -h "$PWD/tmp" -T 'pgbench_*' bench >dump.sql
	# The order of rows depends on what autovacuum did meanwhile; a key in two lines is random.
	sed '/^.\(un\)\?restrict /d' dump.sql | LC_ALL=C sort >out/dump
	stop_server INT
	start_postgres second
	sql -c 'SELECT count(*), sum(id), max(name) FROM item' >out/restarted
	stop_server INT
	if grep -aE 'PANIC|process .* terminated by signal' log/postgres-*; then
		die "a process of postgres crashed"
	fi
}
