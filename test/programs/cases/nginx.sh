# shellcheck shell=bash disable=SC2034
case_about="nginx under wrk: files, gzip, ranges, a proxy with a cache, and reloads"
case_quick=yes
case_needs=(nginx-light=nginx wrk curl)
case_programs=(nginx wrk curl)
case_timeout=150

prepare() {
	local i
	mkdir -p site/listing
	for i in 1 10 100 1000 10000; do
		seq -f 'line %.0f of a page with words in it' 1 "$i" >"site/page-$i.txt"
		seq -f '<p>paragraph %.0f OLD</p>' 1 "$i" >"site/page-$i.html"
	done
	seq 1 300 | (cd site/listing && xargs touch -d @1000000000)
	touch -d @1000000000 site/*.* site/listing
	echo '<html><!--#include virtual="/page-100.txt" --><!--#echo var="document_uri" --></html>' \
		>site/included.shtml
	touch -d @1000000000 site/included.shtml
	chmod -R a+rX .
}

# configure PORT: its own files are all below the current directory.
configure() {
	mkdir -p state
	chmod 755 state
	sed -e "s|@PORT@|$1|g" -e "s|@DIR@|$PWD|g" -e "s|@SITE@|$INPUT/site|g" \
		-e "s|@USER@|$([[ $(id -u) == 0 ]] && echo 'user nobody nogroup;')|g" \
		"$DATA/nginx.conf" >nginx.conf
}

fetch() {
	subject curl -sS --fail --max-time 20 -D headers "$@" | sha256sum
	tr -d '\r' <headers | sed 's/boundary=.*//' |
		grep -iE '^(HTTP|content-(type|length|range|encoding)|etag|x-cache)'
}

questions() {
	local base=http://127.0.0.1:$1 page
	for page in page-1.txt page-100.html page-10000.txt included.shtml replaced/page-100.html \
		listing/ proxied/page-1000.txt proxied/page-1000.txt; do
		echo "$page"
		fetch "$base/$page"
		fetch --compressed "$base/$page"
	done
	fetch -r 1000-1999 "$base/page-10000.txt"
	fetch -r 0-9,5000-5009 "$base/page-1000.html" | tail -n +2
	subject curl -sS -o answer -w '%{http_code}\n' "$base/missing"
	# Larger than the buffers.
	subject curl -sS -o answer -w '%{http_code}\n' -H "X-Long: $(printf '%06000d' 1)" "$base/page-1.txt"
}

load() {
	local page seconds=4
	[[ $QUICK == yes ]] && seconds=1
	for page in page-1.txt page-1000.html replaced/page-1000.html included.shtml listing/ \
		proxied/page-100.txt; do
		subject wrk -t 2 -c 40 -d "${seconds}s" -H 'Accept-Encoding: gzip' \
			"http://127.0.0.1:$1/$page" >"log/wrk-${page//\//-}"
		grep -q 'requests in' "log/wrk-${page//\//-}" || die "wrk did not finish on $page"
		if grep -E 'Non-2xx|Socket errors' "log/wrk-${page//\//-}"; then
			die "wrk met errors on $page"
		fi
	done
}

run_round() {
	local port
	port=$(free_port)
	configure "$port"
	subject nginx -p "$PWD" -e log/nginx-start -c "$PWD/nginx.conf" -q -t
	start_server nginx nginx -p "$PWD" -e log/nginx-start -c "$PWD/nginx.conf"
	wait_until 20 curl -sf "http://127.0.0.1:$port/page-1.txt"
	questions "$port" >out/before
	load "$port"
	for _ in 1 2 3; do
		kill -HUP "${SERVER_PIDS[-1]}"
		sleep 0.3
		fetch "http://127.0.0.1:$port/page-100.txt"
	done >out/reloaded
	questions "$port" >out/after
	stop_server QUIT
	if grep -aE '\[(alert|emerg|crit)\]' log/nginx-error log/nginx-start; then
		die "nginx complains"
	fi
}
