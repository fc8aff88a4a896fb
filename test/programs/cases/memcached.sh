# shellcheck shell=bash disable=SC2034
case_about="memcached with four threads, driven by sixteen clients that check what they get"
case_quick=no
case_needs=(memcached python3)
case_programs=(memcached 'python3*')
case_timeout=200

run_round() {
	local operations=20000
	[[ $QUICK == yes ]] && operations=3000
	start_server_as nobody memcached memcached -s "$TMPDIR/memcached.sock" -m 64 -t 4 -c 256 -v
	wait_until 20 test -S tmp/memcached.sock
	subject /usr/bin/python3 "$DATA/memcached.py" "$TMPDIR/memcached.sock" "$operations" >out/clients
	stop_server
}
