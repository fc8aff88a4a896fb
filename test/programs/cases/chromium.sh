# shellcheck shell=bash disable=SC2034
case_about="chromium headless: a local page with scripts, workers, frames; its DOM, a PDF, a picture"
case_quick=no
case_needs=(chromium python3 fonts-dejavu-core)
case_programs=(chromium 'python3*')
# Chromium answers malloc itself, from the executable: there the library is loaded, and has only
# what the C library's other parts ask of it.
case_others=(chromium chrome_crashpad_handler)
case_timeout=300

start_pages() {
	start_server pages /usr/bin/python3 "$DATA/page-server.py" "$DATA/page.html" "$PWD/port"
	wait_until 20 test -s port
}

# browse NAME OPTION...
browse() {
	# Debian's wrapper looks for system settings; there is no bus to talk to.
	subject env DBUS_SESSION_BUS_ADDRESS=disabled: \
		chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
		--disable-background-networking --disable-component-update --disable-sync \
		--disable-default-apps --disable-extensions --no-first-run --no-default-browser-check \
		--metrics-recording-only --user-data-dir="$PWD/profile-$1" --window-size=800,600 \
		--hide-scrollbars "${@:2}" "http://127.0.0.1:$(cat port)/page" 2>"log/$1"
}

run_round() {
	start_pages
	browse dom --dump-dom >out/dom
	grep -q 'id="done">yes' out/dom || die "the page did not finish: $(grep '<dl' out/dom)"
	browse pdf --print-to-pdf="$PWD/page.pdf" --no-pdf-header-footer
	[[ $(head -c 5 page.pdf) == %PDF- ]] || die "no PDF was printed"
	# Dates and identifiers in the file differ.
	grep -ac '/Type /Page' page.pdf >out/pdf
	browse picture --screenshot="$PWD/page.png"
	sha256sum <page.png >out/picture
	if grep -aE 'Received signal|Check failed|FATAL' log/dom log/pdf log/picture; then
		die "a process of chromium crashed"
	fi
}
